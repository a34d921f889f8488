"""Take pictures of built pages, to look at them: desktop and phone, light and dark.

    python tools/screenshots.py                         # every page of the book
    python tools/screenshots.py 05-4-results glossary   # these two

Writes `_build/screenshots/PAGE-{desktop,phone}-{light,dark}.png`; `--html` names another built book.
"""

import argparse
import sys
from pathlib import Path

from browser import find, launch, serve, visit
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = {"desktop": 1280, "phone": 360}


def main(pages: list[str], html: Path, out: Path) -> None:
    """Write four pictures of each page."""
    program = find()
    if program is None:
        sys.exit("no Chromium on PATH (install the package chromium, or Google Chrome)")
    known = sorted(path.stem for path in (html / "book").glob("*.html"))
    if unknown := set(pages) - set(known):
        sys.exit(f"no such page in {html}: {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    out.mkdir(parents=True, exist_ok=True)
    with serve(html) as address, sync_playwright() as playwright:
        browser = launch(playwright, program)
        for size, width in WIDTHS.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                for name in pages or known:
                    visit(page, f"{address}/book/{name}.html")
                    page.screenshot(path=out / f"{name}-{size}-{scheme}.png", full_page=True)
                page.close()
        browser.close()
    print(f"{out}: {4 * len(pages or known)} pictures")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Take pictures of built pages.")
    parser.add_argument("pages", nargs="*", help="names without .html; none means all")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "screenshots")
    arguments = parser.parse_args()
    main(arguments.pages, arguments.html, arguments.out)
