"""Print the built book into one PDF, with headless Chromium: `make pdf`.

    python tools/make_pdf.py                                       # _build/html -> _build/book.pdf
    python tools/make_pdf.py --html _build/test/html --out book.pdf

All pages become one, in the order of the contents, and are printed at once. So a link from chapter to chapter
leads to a place in the same file, and the outline has each chapter with its sections. The style is that of
`_static/print.css`. The file appears whole or not at all. Some 770 sheets took 8 minutes on two
busy cores, and 4 GB of memory.
"""

import argparse
import re
import sys
from pathlib import Path

from browser import find, launch, serve
from playwright.sync_api import Browser, Error, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
WHOLE = "book/whole-book.html"  # where the one page pretends to lie, beside the pages that it is made of
PATIENCE = 15 * 60 * 1000  # ms; thousands of formulas are drawn on one page
FOOTER = """<div style="width:100%;font:8px sans-serif;text-align:center;color:#48566b">
<span class="pageNumber"></span></div>"""

# Makes one page of all, in the browser, which knows HTML best. Each anchor gets its page's name before it.
JOIN = r"""async (first) => {
  const fetched = async (page) => {
    const answer = await fetch(`/book/${page}`);
    if (!answer.ok) throw new Error(`there is no ${page}`);
    return answer.text();
  };
  const read = async (page) => new DOMParser().parseFromString(await fetched(page), "text/html");
  const whole = await read(first);
  const depths = new Map([[first, 0]]); // page -> how deep it stands in the contents
  for (const link of whole.querySelectorAll("nav.bd-links a.reference.internal[href]")) {
    const page = link.getAttribute("href").split("#")[0];
    let depth = -1;
    for (let up = link.closest("ul"); up; up = up.parentElement.closest("ul")) depth++;
    if (page && !page.includes("/") && !depths.has(page)) depths.set(page, depth);
  }
  const anchor = (page, id) => `${page.replace(".html", "")}--${id}`;
  const article = whole.querySelector("article"), scripts = new Set();
  for (const script of whole.querySelectorAll("script")) scripts.add(script.outerHTML);
  const parts = [];
  for (const [page, depth] of depths) {
    const source = page === first ? whole : await read(page);
    const part = whole.createElement("section");
    part.id = anchor(page, "");
    part.className = "whole-book-page";
    part.append(...source.querySelector("article").cloneNode(true).childNodes);
    const idle = ".live, .lab, .headerlink, .toctree-wrapper, script, button";
    for (const e of part.querySelectorAll(idle)) e.remove();
    for (const e of part.querySelectorAll("[id]")) e.id = anchor(page, e.id);
    for (const e of part.querySelectorAll("[for], [aria-labelledby], [aria-describedby]")) {
      for (const name of ["for", "aria-labelledby", "aria-describedby"]) e.removeAttribute(name);
    }
    for (const link of part.querySelectorAll("a[href]")) {
      const [to, id] = link.getAttribute("href").split("#");
      if (!to && id !== undefined) link.setAttribute("href", `#${anchor(page, decodeURIComponent(id))}`);
      else if (depths.has(to)) link.setAttribute("href", `#${anchor(to, decodeURIComponent(id ?? ""))}`);
      // What else lies beside the pages is in no PDF.
      else if (!/^[a-z]+:/.test(to)) link.replaceWith(...link.childNodes);
    }
    // The outline follows the contents: the title of 3.1 stands below that of 3.
    for (const heading of part.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
      heading.setAttribute("aria-level", Math.min(6, Number(heading.tagName[1]) + depth));
    }
    for (const image of part.querySelectorAll("img")) image.loading = "eager";
    // What draws formulas; one page has what another has not.
    for (const script of source.querySelectorAll("script")) {
      if (!scripts.has(script.outerHTML)) whole.head.append(whole.importNode(script, true));
      scripts.add(script.outerHTML);
    }
    parts.push(part);
  }
  whole.title = whole.title.split(" — ").pop(); // the book's
  article.replaceChildren(...parts);
  for (const e of whole.querySelectorAll("nav, .bd-header-article, #jb-print-docs-body")) e.remove();
  return { html: `<!doctype html>${whole.documentElement.outerHTML}`, pages: depths.size };
}"""


class PdfError(RuntimeError):
    """There is no PDF; the message says why, in one sentence."""


def print_book(browser: Browser, address: str) -> tuple[bytes, int]:
    """The PDF of the book that is served at `address`, and of how many of its pages it was made."""
    page = browser.new_page(color_scheme="light")
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}/_static/favicon.svg")  # a quiet place with the book's address
    joined = page.evaluate(JOIN, "index.html")
    html = joined["html"]
    page.route(f"**/{WHOLE}", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
    page.goto(f"{address}/{WHOLE}", wait_until="load")
    page.evaluate("window.MathJax?.startup?.promise.then(() => null)")
    page.evaluate("document.fonts.ready.then(() => null)")
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    pdf = page.pdf(
        prefer_css_page_size=True,
        print_background=True,
        outline=True,
        tagged=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
    )
    page.close()
    return pdf, joined["pages"]


def main(html: Path, out: Path) -> None:
    """Write the PDF of the book in `html` to `out`: see the head of this file."""
    if not (html / "book" / "index.html").exists():
        raise PdfError(f"There is no built book in {html}: run `make book` first.")
    program = find()
    if program is None:
        raise PdfError("There is no Chromium on PATH: install the package chromium, or Google Chrome.")
    try:
        with serve(html) as address, sync_playwright() as playwright:
            pdf, pages = print_book(launch(playwright, program), address)
    except Error as error:
        raise PdfError(f"Chromium did not print the book: {error.message.splitlines()[0]}") from error
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f"{out.name}.unfinished")
    unfinished.write_bytes(pdf)
    unfinished.replace(out)
    sheets = len(re.findall(rb"/Type\s*/Page\b", pdf))
    print(f"{out}: {pages} pages of the book, {sheets} of paper, {len(pdf) / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print the built book into one PDF.")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html", help="the built book")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "book.pdf")
    arguments = parser.parse_args()
    try:
        main(arguments.html.resolve(), arguments.out.resolve())
    except (PdfError, OSError) as error:
        sys.exit(f"No PDF was written.\n{error}")
