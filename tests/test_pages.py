"""Every page of the built book: opened in headless Chromium, and its links followed.

The pages are those in `_build/html`, or in `$PRODGEN_HTML`; without a built book these tests fail.
"""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import reading
import set_repository
import yaml
from axe_core_python.sync_playwright import Axe
from browser import launch, serve, settle, visit
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

import prodgen
from prodgen import recorded

ROOT = Path(__file__).resolve().parents[1]
HTML = Path(os.environ.get("PRODGEN_HTML", ROOT / "_build" / "html"))
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
DESKTOP, PHONE, HEIGHT = 1280, 360, 900  # CSS pixels
PLACEHOLDER = "https://github.com/OWNER/REPOSITORY"


def pages_of(entry: object) -> Iterator[str]:
    """The names of all pages in (a part of) the table of contents, in order."""
    if isinstance(entry, list):
        for item in entry:
            yield from pages_of(item)
    elif isinstance(entry, dict):
        for key, value in entry.items():
            if key in ("root", "file"):
                yield value
            yield from pages_of(value)


PAGES = list(pages_of(yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))))
NOTEBOOKS = [page for page in PAGES if (ROOT / f"{page}.ipynb").exists()]
COVERED = [
    row
    for row in csv.DictReader(
        (ROOT / "book" / "headings.tsv").read_text("utf-8").splitlines(), delimiter="\t"
    )
    if row["page"]
]


def source(page: str) -> str:
    """What the author wrote: the Markdown of a page, or of all text cells of a notebook."""
    if page in NOTEBOOKS:
        cells = json.loads((ROOT / f"{page}.ipynb").read_text("utf-8"))["cells"]
        return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return (ROOT / f"{page}.md").read_text("utf-8")


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """A missing book is a failure: the tests below prove nothing without one."""
    if not (HTML / "index.html").exists():
        pytest.fail(
            f"there is no built book in {HTML}: run `make book`, or `make test`, which builds its own"
        )


# ---------------------------------------------------------------- without a browser


class Document(HTMLParser):
    """Of one page: its anchors, the heading that follows each, and every address in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: dict[str, str] = {}  # id -> text of the next heading
        self.loads: list[str] = []  # what the browser fetches by itself
        self.links: list[str] = []  # what a reader may follow
        self._waiting: list[str] = []
        self._heading: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if name := attributes.get("id"):
            self.anchors[name] = ""
            self._waiting.append(name)
        if re.fullmatch("h[1-6]", tag):
            self._heading = []
        address = attributes.get("src") or attributes.get("href")
        if address and tag == "a":
            self.links.append(address)
        elif address and attributes.get("rel") != "canonical":
            self.loads.append(address)

    def handle_data(self, data: str) -> None:
        if self._heading is not None:
            self._heading.append(data)

    def handle_endtag(self, tag: str) -> None:
        if re.fullmatch("h[1-6]", tag) and self._heading is not None:
            self.anchors |= dict.fromkeys(self._waiting, "".join(self._heading))
            self._waiting, self._heading = [], None


@cache
def document(path: Path) -> Document:
    return Document(path.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_the_sidebar_is_in_english_and_its_title_leads_home(page: str) -> None:
    html = (HTML / f"{page}.html").read_text("utf-8")
    [menu] = re.findall(r'<nav class="bd-links.*?</nav>', html, re.DOTALL)
    assert "Introduction" in menu and not re.search("[\u4e00-\u9fff]", menu)
    [home] = re.findall(r'<a class="navbar-brand logo" href="([^"]*)"', html)
    assert home == ("#" if page == "book/index" else "index.html")


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_equations_have_the_numbers_that_their_source_has(page: str) -> None:
    html = (HTML / f"{page}.html").read_text("utf-8")
    assert re.findall(r'class="eqno">\(([^)]+)\)', html) == re.findall(r"\\tag\{([^}]+)\}", source(page))
    assert "\\tag{" not in html


def dead(page: Path, address: str) -> bool:
    """Whether a local address on `page` leads to a missing file or a missing anchor."""
    parts = urlsplit(address)
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return True
    fragment = unquote(parts.fragment)
    return bool(fragment) and target.suffix == ".html" and fragment not in document(target).anchors


def external(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def test_every_link_inside_the_book_leads_somewhere() -> None:
    files = [path for path in HTML.rglob("*.html") if "_static" not in path.parts]
    assert len(files) > len(PAGES)
    addresses = [(path, a) for path in files for a in document(path).links + document(path).loads]
    local = [(path, a) for path, a in addresses if not external(a) and urlsplit(a).scheme in ("", "file")]
    assert local
    assert not [f"{path.relative_to(HTML)}: {a}" for path, a in local if dead(path, a)]


def test_no_page_and_no_style_sheet_names_a_foreign_server_to_load_from() -> None:
    pages = [(p, a) for p in HTML.rglob("*.html") for a in document(p).loads]
    sheet = re.compile(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)")
    styles = [(p, a) for p in HTML.rglob("*.css") for a in sheet.findall(p.read_text("utf-8"))]
    assert pages and styles
    assert not [f"{path.relative_to(HTML)}: {a}" for path, a in pages + styles if external(a)]


@pytest.mark.parametrize("row", COVERED, ids=lambda row: row["number"])
def test_each_covered_heading_of_the_article_has_its_anchor(row: dict[str, str]) -> None:
    anchors = document(HTML / "book" / f"{row['page']}.html").anchors
    assert row["anchor"] in anchors
    heading = re.search(r"[\u4e00-\u9fff][^：（]*", row["heading"]).group()  # the article's own words
    assert heading in anchors[row["anchor"]]


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_download_is_the_notebook_as_it_is_stored(page: str) -> None:
    path = HTML / f"{page}.html"
    [address] = {
        a for a in document(path).links if a.endswith(".ipynb") and not external(a) and "_sources" in a
    }
    downloaded = (path.parent / address).read_bytes()
    assert downloaded == (ROOT / f"{page}.ipynb").read_bytes()
    assert not [c for c in json.loads(downloaded)["cells"] if c.get("outputs")]


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_the_executed_edition_holds_no_myst_and_points_to_what_the_book_has(page: str) -> None:
    nb = nbformat.read(HTML.parent / "edition" / f"{page}.ipynb", as_version=4)
    nbformat.validate(nb)
    shown_data = [output.get("data", {}) for cell in nb.cells for output in cell.get("outputs", [])]
    said = [data["text/markdown"] for data in shown_data if "text/markdown" in data]
    text = "\n\n".join([c.source for c in nb.cells if c.cell_type == "markdown"] + said)
    myst = r"\{[\w:]+\}`|^\([\w-]+\)=|\$\$ \(|```\{?mermaid|\]\((?!https?:)[^)\n]*\)"
    assert re.findall(myst, text, re.MULTILINE) == []
    book = set_repository.addresses(CONFIG["repository"]["url"])[2]
    for target in set(re.findall(rf"\({re.escape(book)}/([^)\s]*)\)", text)):
        path, _, anchor = target.partition("#")
        assert (HTML / path).exists(), target
        assert not anchor or f'id="{anchor}"' in (HTML / path).read_text("utf-8"), target
    stored = json.loads((ROOT / f"{page}.ipynb").read_text("utf-8"))["cells"]
    left = [c for c in stored if "remove-cell" not in c["metadata"].get("tags", [])]
    code = ["".join(c["source"]) for c in left if c["cell_type"] == "code"]
    kept = [re.sub(r"^# @title .*\n", "", c.source) for c in nb.cells if c.cell_type == "code"]
    assert kept == code, "the code that a reader is shown is the stored notebook's"


@pytest.mark.parametrize("page", PAGES)
def test_buttons_lead_to_the_repository_once_it_has_an_address(page: str) -> None:
    repository = CONFIG["repository"]["url"]
    links = document(HTML / f"{page}.html").links
    colab = [a for a in links if a.startswith("https://colab.research.google.com/github/") and page in a]
    if repository == PLACEHOLDER:
        assert not [a for a in links if a == repository or a.startswith(f"{repository}/issues/new")]
    else:
        assert repository in links
        if page in NOTEBOOKS:
            place = repository.removeprefix("https://github.com/")
            assert f"https://colab.research.google.com/github/{place}/blob/notebooks/{page}.ipynb" in colab


@pytest.mark.parametrize("page", PAGES)
def test_a_page_tells_its_date_its_version_and_what_it_is_about(page: str) -> None:
    html = (HTML / f"{page}.html").read_text("utf-8")
    assert f"Version {prodgen.__version__}." in html
    dates = re.findall(r"Last updated on (\d\d \w+ \d{4})\.", html)
    assert bool(dates) == (reading.last_commit(ROOT) is not None)
    tags = dict(re.findall(r'<meta (?:name|property)="([\w:]+)" content="([^"]*)"', html))
    assert (
        20 < len(tags["description"]) <= reading.DESCRIPTION and tags["description"] == tags["og:description"]
    )
    assert tags["og:title"] and "<" not in tags["og:title"]
    assert external(tags["og:image"]) or not dead(HTML / f"{page}.html", tags["og:image"])


def test_no_two_pages_have_the_same_description() -> None:
    told = [
        re.search('<meta name="description" content="([^"]*)"', (HTML / f"{page}.html").read_text("utf-8"))[1]
        for page in PAGES
    ]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_every_summary_of_code_says_what_it_unfolds(page: str) -> None:
    html = (HTML / f"{page}.html").read_text("utf-8")
    said = re.findall('<p class="(?:collapsed|expanded) admonition-title">(.*?)</p>', html)
    assert said and not [one for one in said if re.search("cell (source|content|output)", one)]
    assert all(re.match("(Show|Hide) (the|how) ", one) for one in said)
    assert 'aria-label="Toggle hidden content"' not in html, "its name is what it says"


# ---------------------------------------------------------------- in the browser


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    with serve(HTML) as address:
        yield address


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright, chromium)
        yield browser
        browser.close()


def watched(page: Page, site: str) -> list[str]:
    """What goes wrong on a page from now on: errors of its scripts, failed and foreign requests."""
    problems, at_home = [], (f"{site}/", "data:")
    page.on("console", lambda m: m.type == "error" and problems.append(f"console: {m.text}"))
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    page.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
    page.on("response", lambda r: r.status >= 400 and problems.append(f"{r.status}: {r.url}"))
    page.on("request", lambda r: r.url.startswith(at_home) or problems.append(f"foreign: {r.url}"))
    return problems


@pytest.fixture
def open_page(browser: Browser, site: str) -> Iterator[Callable[..., Page]]:
    """`open_page(name, width, scheme)` opens a page; at the end nothing may have gone wrong on it."""
    opened = []

    def open_page(name: str, width: int = DESKTOP, scheme: str = "light") -> Page:
        page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
        opened.append((page, watched(page, site)))
        visit(page, f"{site}/{name}")
        return page

    yield open_page
    for page, _ in opened:
        page.close()
    assert [problem for _, problems in opened for problem in problems] == []


@pytest.fixture(scope="module")
def loaded(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[tuple[Page, list[str]]]:
    """A page of the book by its name, opened once for all tests of it, and what went wrong on it so far."""
    page = browser.new_page(viewport={"width": DESKTOP, "height": HEIGHT}, color_scheme="light")
    problems = watched(page, site)
    visit(page, f"{site}/{request.param}.html")
    yield page, problems
    page.close()


@pytest.fixture
def shown(loaded: tuple[Page, list[str]]) -> Iterator[Callable[..., Page]]:
    """`shown(width, scheme)` is the page as somebody has it; at the end nothing may have gone wrong on it."""
    page, problems = loaded

    def shown(width: int = DESKTOP, scheme: str = "light") -> Page:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_selector(f"html[data-theme={scheme}]")
        settle(page)  # diagrams are drawn again in other colours
        return page

    yield shown
    assert problems == []


def each(pages: list[str]) -> pytest.MarkDecorator:
    """The test for each of the pages."""
    pairs = [(page, page) for page in pages]
    # Without its scope pytest would not take the tests of one page in a row, and load it for each.
    return pytest.mark.parametrize(("loaded", "name"), pairs, indirect=["loaded"], scope="module", ids=pages)


# What a reader would see. Text that still holds TeX was not recognised as a formula.
SEEN = r"""() => {
  const article = document.querySelector("article");
  const leftovers = [];
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { textContent, parentElement } = walker.currentNode;
    if (parentElement.closest("pre, code, script, style, mjx-container")) continue;
    if (/\$\$|\\(frac|mathbb|log|sum|begin|text)\b/.test(textContent)) leftovers.push(textContent.trim());
  }
  return {
    leftovers,
    formulas: article.querySelectorAll("mjx-container").length,
    undrawn: [...article.querySelectorAll(".math:not(:has(mjx-container))")].map((m) => m.textContent),
    // An unknown command is no error to MathJax: it prints the command in red.
    errors: [...article.querySelectorAll("mjx-merror, mtext[mathcolor=red]")].map((e) => e.textContent),
    images: [...article.querySelectorAll("img")].map(({ naturalWidth, alt }) => ({ naturalWidth, alt })),
    diagrams: [...article.querySelectorAll("img")].filter((i) => /-\d+\.svg$/.test(i.src)).map((i) => ({
      description: i.alt, height: i.getBoundingClientRect().height,
    })),
  };
}"""


def drawn(page: str) -> int:
    """How many pictures the executed copy of a notebook put on the page."""
    nb = json.loads((HTML.parent / "stage" / f"{page}.ipynb").read_text("utf-8"))
    hidden = {"remove-cell", "remove-output"}
    cells = [c for c in nb["cells"] if not hidden & set(c["metadata"].get("tags", []))]
    outputs = [o for c in cells for o in c.get("outputs", [])]
    return sum(any(mime.startswith("image/") for mime in o.get("data", {})) for o in outputs)


@each(PAGES)
def test_formulas_figures_and_diagrams_are_drawn(name: str, shown: Callable[..., Page]) -> None:
    seen = shown().evaluate(SEEN)
    assert not seen["undrawn"] and not seen["errors"] and not seen["leftovers"]
    assert seen["formulas"] >= source(name).count("$$") // 2
    assert [image for image in seen["images"] if not image["naturalWidth"] or not image["alt"].strip()] == []
    if name in NOTEBOOKS:
        assert len(seen["images"]) >= drawn(name)
    described = re.findall(r"accDescr: *(.+)", source(name))
    assert [diagram["description"] for diagram in seen["diagrams"]] == described
    assert all(diagram["height"] > 20 for diagram in seen["diagrams"])


def findings(page: Page, context: dict[str, Any] | None = None, **options: Any) -> list[str]:
    """What axe-core takes for a serious or critical obstacle to someone who reads with help."""
    found = Axe().run(page, context=context, options={"resultTypes": ["violations"], **options})
    return [
        f"{v['id']}: {node['target']} {node['failureSummary']}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
    ]


@each([*PAGES, "search"])
def test_accessible(name: str, shown: Callable[..., Page]) -> None:
    assert findings(shown()) == []


@each([*PAGES, "search"])
def test_accessible_in_the_dark(name: str, shown: Callable[..., Page]) -> None:
    # Of what the other test looks at, only this depends on the mode.
    colours = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
    assert findings(shown(scheme="dark"), runOnly=colours) == []


@each([*PAGES, "search"])
def test_fits_a_phone(name: str, shown: Callable[..., Page]) -> None:
    page = shown(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    # The article's colours and its formulas are those of the desk, where they were looked at.
    assert findings(page, {"exclude": [["mjx-container"]]}, rules={"color-contrast": {"enabled": 0}}) == []
    assert findings(page, {"exclude": [["article"]]}, runOnly=["color-contrast"]) == []


FOCUS = """() => {
  const { activeElement: e, body } = document;
  if (!e || e === body) return null;
  const box = e.getBoundingClientRect();
  const onScreen = box.width * box.height > 0 && box.bottom > 0 && box.top < innerHeight;
  return {
    html: e.outerHTML.slice(0, 120),
    name: (e.getAttribute("aria-label") || e.title || e.innerText || e.placeholder || e.tagName).trim(),
    seen: onScreen && e.checkVisibility({ visibilityProperty: true }),
    inside: document.querySelector("main").contains(e),
  };
}"""


@each(PAGES)
def test_keyboard_reaches_everything(name: str, shown: Callable[..., Page]) -> None:
    opened = shown()
    opened.keyboard.press("Tab")
    # The skip link slides in from above.
    opened.wait_for_function("document.activeElement.getBoundingClientRect().top >= 0")
    first = opened.evaluate(FOCUS)
    assert first["name"] == "Skip to main content" and first["seen"]
    opened.keyboard.press("Enter")
    opened.keyboard.press("Tab")
    assert opened.evaluate(FOCUS)["inside"], "the skip link leads past the sidebar"
    stops = []
    while (stop := opened.evaluate(FOCUS)) and len(stops) < 1000:
        stops.append(stop)
        opened.keyboard.press("Tab")
    assert 5 < len(stops) < 1000, "the focus is trapped"
    assert [s["html"] for s in stops if not s["seen"] or not s["name"]] == []


def test_a_product_in_three_dimensions_is_turned_by_key_and_offers_no_room_without_https(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("book/06-3-vr-ar-try-on.html", PHONE)
    viewer = page.locator("model-viewer")
    viewer.scroll_into_view_if_needed()
    # It draws without a graphics card here, which takes its time.
    page.wait_for_function("document.querySelector('model-viewer').loaded", timeout=120_000)
    angle = "document.querySelector('model-viewer').getCameraOrbit().theta"
    before = page.evaluate(angle)
    viewer.locator(".userInput").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"Math.abs({angle} - {before}) > 0.05", timeout=60_000)
    assert viewer.get_attribute("alt") and viewer.get_attribute("ar") is None
    page.get_by_role("button", name="Check this file").click()
    said = page.get_by_text(re.compile(r"^glTF validator .*: 0 errors, 0 warnings; [\d,]+ triangles\.$"))
    said.wait_for(timeout=30_000)
    assert findings(page) == []


# A page with a network in it, the network, and what the page says of its size, in megabytes.
LIVE = (
    ("book/index", "gan-fashion-mnist", 1.6),
    ("book/06-1-ecommerce", "gan-studio", 6),
    ("book/06-1-ecommerce", "gan-clothing", 6),
)
WHERE = [place[:2] for place in LIVE]
# On how many canvases something is drawn.
PICTURES = """(live) => [...live.querySelectorAll("canvas")].filter((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(data).size > 5;
}).length"""


def wake(page: Page, model: str) -> Locator:
    """Wake one of a page's networks by key, and wait for its pictures: the place where it stands."""
    place = page.locator(f".live[data-model={model}]")
    place.get_by_role("button", name="Wake the network").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f".live[data-model={model}][data-drawn]", timeout=60_000)
    assert place.evaluate(PICTURES) == 9 + place.locator(".live-pair").count()
    return place


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
@pytest.mark.parametrize(("name", "model"), WHERE)
def test_a_network_wakes_and_draws_what_is_asked_for(
    name: str, model: str, width: int, scheme: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{name}.html", width, scheme)
    place = wake(page, model)
    kind = place.get_by_label("kind", exact=True)
    assert kind.evaluate("(e) => e === document.activeElement"), "the focus is where the reader goes on"
    kind.select_option(label=(asked := kind.locator("option").last.inner_text()))
    place.locator(".live-said", has_text=f"kind {asked}").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert findings(page) == []


@pytest.mark.parametrize(("name", "model", "megabytes"), LIVE)
def test_a_network_weighs_what_its_page_says_and_wakes_without_a_server(
    name: str, model: str, megabytes: float, browser: Browser
) -> None:
    size = (HTML / "_static" / "live" / f"{model}.js").stat().st_size / 1e6
    assert size == pytest.approx(megabytes, rel=0.05)
    page = browser.new_page()
    page.goto((HTML / f"{name}.html").as_uri())
    wake(page, model)
    page.close()


@pytest.mark.parametrize(("name", "model"), WHERE)
def test_where_a_network_cannot_wake_the_page_is_whole(
    name: str, model: str, browser: Browser, site: str
) -> None:
    place = f".live[data-model={model}]"
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{site}/{name}.html")
    assert page.locator(place).inner_text() == "" and page.locator("article img").count()
    page.close()
    page = browser.new_page()
    page.route("**/live/*.js", lambda route: route.abort())
    visit(page, f"{site}/{name}.html")
    page.locator(place).get_by_role("button", name="Wake the network").click()
    page.get_by_role("button", name="It could not be loaded. Try again").wait_for()
    page.unroute("**/live/*.js")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(f"{place}[data-drawn]", timeout=60_000)
    page.close()


LABS = [
    (page, name) for page in PAGES for name in re.findall(r'class="lab" data-lab="([\w-]+)"', source(page))
]


@pytest.mark.parametrize(("page", "name"), LABS)
def test_a_lab_opens_in_its_page_and_without_scripts_the_page_has_its_picture(
    page: str, name: str, open_page: Callable[..., Page], browser: Browser, site: str
) -> None:
    opened = open_page(f"{page}.html", PHONE, "dark")
    lab = opened.locator(f".lab[data-opened={name}]")
    lab.wait_for()
    assert lab.get_attribute("aria-label") == recorded.labs()[name]["title"]
    assert lab.locator("select, input, button").count()
    assert opened.evaluate("document.documentElement.scrollWidth") <= PHONE
    without = browser.new_page(java_script_enabled=False)
    without.goto(f"{site}/{page}.html")
    assert without.locator(f".lab[data-lab={name}]").inner_text() == ""
    assert without.locator("article img").count()
    without.close()


# What a reader looks for -> the page that is to come first, and what the title of its section has.
SOUGHT = {
    "KL": ("book/", "KL"),
    "a belief about classes": ("book/02-3-losses.html#", "cross-entropy"),
    "Activation functions": ("book/02-2-activations.html", "Activation functions"),
    "激活函数": ("book/02-2-activations.html", "激活函数"),
}


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
@pytest.mark.parametrize("words", SOUGHT)
def test_a_search_leads_to_the_section_from_a_file_without_any_request(
    words: str, width: int, scheme: str, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append((request.resource_type, request.url)))
    page.goto((HTML / "search.html").as_uri())
    page.get_by_label("Words, in English or Chinese").fill(words)
    page.keyboard.press("Enter")
    said = page.get_by_role("status")
    page.wait_for_function("document.querySelectorAll('#search-results a').length")
    assert re.match(rf"\d+ sections? in \d+ pages? (has|have) .*“{words}”\.", said.inner_text())
    address, title = SOUGHT[words]
    first = page.locator("#search-results li").first
    assert first.locator("a").get_attribute("href").startswith(address)
    assert title.lower() in first.locator("a").inner_text().lower() and first.locator("p").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert findings(page) == []
    for _ in range(4):  # the field's own cross, the button, the first result
        page.keyboard.press("Tab")
        if first.locator("a").evaluate("(e) => e === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{address}*")
    assert not errors and not [a for a in asked if a[0] in ("fetch", "xhr") or not a[1].startswith("file:")]
    page.close()


def test_a_search_that_finds_nothing_or_much_says_so(open_page: Callable[..., Page]) -> None:
    page = open_page("search.html?q=xyzzy")
    assert page.get_by_role("status").inner_text().startswith("No section has “xyzzy”.")
    page = open_page("search.html?q=the")
    shown = page.locator("#search-results li")
    assert shown.count() == 30 and "The first 30 are shown." in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Show more").press("Enter")
    assert shown.count() == 60
    assert shown.nth(30).locator("a").evaluate("(e) => e === document.activeElement")


def test_every_section_that_the_search_knows_is_there() -> None:
    script = (HTML / "_static" / "sections.js").read_text("utf-8")
    pages = json.loads(script.partition("=")[2].strip().removesuffix(";"))
    assert {f"{page}.html" for page in PAGES} <= {address for address, _ in pages}
    for address, sections in pages:
        anchors = document(HTML / address).anchors
        assert sections and not sections[0][1], f"{address} itself comes first"
        assert not [anchor for _, anchor, _ in sections[1:] if anchor not in anchors], address
        assert all(title for title, _, _ in sections), address


# What an A4 sheet has between its margins, in CSS pixels.
SHEET = 665
PRINTED = """() => {
  const seen = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
  const style = (e, name, part) => getComputedStyle(e, part)[name];
  const text = "article :is(p, li, td, h1, h2, pre, pre *)";
  const all = [...document.querySelectorAll(`body, .bd-main, .bd-content, ${text}`)];
  const shade = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 3;
  return {
    idle: seen(".bd-sidebar-primary, .bd-sidebar-secondary, .prev-next-footer, article button").length,
    alive: seen(".lab, .live, .headerlink").length,
    titles: seen("h1").length,
    wide: document.documentElement.scrollWidth,
    pale: all.filter((e) => shade(style(e, "color")) > 160).map((e) => e.outerHTML.slice(0, 80)),
    dark: all.map((e) => style(e, "backgroundColor")).filter((c) => !/, 0\\)$/.test(c) && shade(c) < 160),
    cut: seen("article pre").filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent),
    split: seen("article :is(figure, img)").filter((e) => style(e, "breakInside") !== "avoid").length,
    unfolded: document.querySelectorAll("article details.hide[open]").length,
    folded: seen("article details.hide > summary").length,
    codes: document.querySelectorAll("article details.hide").length,
    told: seen("article a.internal").filter((e) => style(e, "content", "::after") !== "none").length,
  };
}"""


@pytest.mark.parametrize(
    "name", ["index", "02-3-losses", "04-2-derivations", "06-3-vr-ar-try-on", "notation", "glossary"]
)
def test_a_page_shown_dark_prints_dark_on_light_with_nothing_cut(
    name: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"book/{name}.html", SHEET, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_function("document.getAnimations().every((a) => a.playState !== 'running')")
    printed = page.evaluate(PRINTED)
    assert printed.pop("wide") <= SHEET and printed.pop("titles") == 1
    assert printed.pop("folded") == printed.pop("codes")
    assert not {what: found for what, found in printed.items() if found}


DRAWN = "article .cell_output img[data-drawing]"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_drawing_follows_a_dark_page_and_a_photo_keeps_its_card(
    name: str, open_page: Callable[..., Page]
) -> None:
    """In the dark the ground of a drawing is that of the page; what is no drawing stays as it was drawn."""
    page = open_page(f"{name}.html", DESKTOP, "dark")
    drawings, others = page.locator(DRAWN), page.locator("article .cell_output img:not([data-drawing])")
    if others.count():
        style = others.first.evaluate(
            "(e) => [getComputedStyle(e).filter, getComputedStyle(e).backgroundColor]"
        )
        assert style == ["none", "rgb(255, 255, 255)"]
    if drawings.count():
        drawings.first.scroll_into_view_if_needed()
        page.wait_for_function("(e) => e.complete && e.naturalWidth", arg=drawings.first.element_handle())
        shot = Image.open(io.BytesIO(drawings.first.screenshot())).convert("RGB")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        expected = [int(part) for part in re.findall(r"\d+", ground)[:3]]
        _, most = max(shot.getcolors(shot.width * shot.height))
        assert max(abs(a - b) for a, b in zip(most, expected, strict=True)) < 12, (most, expected)


def test_root_address_leads_to_the_first_page(browser: Browser, site: str) -> None:
    # Not through open_page: the page moves on while that would still look at it, and drops its requests.
    page = browser.new_page()
    page.goto(f"{site}/", wait_until="commit")
    page.wait_for_url("**/book/index.html")
    assert page.locator("article h1").count() == 1
    page.close()


# What is seen of a page: code, and what code printed and drew.
CODE = (
    "[...document.querySelectorAll('div.cell:not(.tag_hide-cell) > :is(.cell_input, details.above-input)')]"
)
OUTPUTS = "[...document.querySelectorAll('div.cell:not(.tag_hide-cell) .cell_output')]"
SEEN_OF = "{}.filter((e) => e.checkVisibility()).length"


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_a_key_hides_all_code_and_brings_it_back(
    width: int, scheme: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{NOTEBOOKS[1]}.html", width, scheme)
    code, outputs = page.evaluate(SEEN_OF.format(CODE)), page.evaluate(SEEN_OF.format(OUTPUTS))
    assert code and outputs
    button = page.get_by_role("button", name="Hide all code")
    assert button.get_attribute("aria-pressed") == "false"
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert page.get_by_role("status").first.inner_text() == "All code is hidden. Outputs stay."
    assert page.evaluate(SEEN_OF.format(CODE)) == 0 and page.evaluate(SEEN_OF.format(OUTPUTS)) == outputs
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    settle(page)
    assert findings(page) == []
    page.reload()
    assert page.evaluate(SEEN_OF.format(CODE)) == 0, "the choice is kept"
    page.get_by_role("button", name="Hide all code").press("Enter")
    assert page.evaluate(SEEN_OF.format(CODE)) == code


# The theme keeps its mode in the same place and would fail; only what the switch keeps is refused.
REFUSED = """for (const name of ["getItem", "setItem"]) {
  const own = Storage.prototype[name];
  Storage.prototype[name] = function (key, ...rest) {
    if (key === "prodgen-code") throw new DOMException("refused", "SecurityError");
    return own.call(this, key, ...rest);
  };
}"""


@pytest.mark.parametrize("refused", [False, True])
def test_code_hides_in_a_page_that_is_a_file_or_may_keep_nothing(refused: bool, browser: Browser) -> None:
    page, errors = browser.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    if refused:
        page.add_init_script(REFUSED)
    page.goto((HTML / f"{NOTEBOOKS[1]}.html").as_uri())
    page.get_by_role("button", name="Hide all code").click()
    assert page.evaluate(SEEN_OF.format(CODE)) == 0
    page.reload()
    assert (page.evaluate(SEEN_OF.format(CODE)) == 0) is not refused
    page.goto((HTML / "book" / "index.html").as_uri())
    assert page.get_by_role("button", name="Hide all code").count() == 0, "there is none to hide"
    page.close()
    assert errors == []


def test_both_entries_are_copied_by_a_button(browser: Browser, site: str) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    visit(page, f"{site}/book/index.html")
    block = page.locator("div.highlight-bibtex")
    block.hover()
    block.get_by_role("button").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert (
        copied.count("@") == 2
        and yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["title"] in copied
    )
    context.close()


def test_a_working_lab_needs_no_kernel(open_page: Callable[..., Page], browser: Browser, site: str) -> None:
    name = next(page for page, lab in LABS if lab == "activations")
    page = open_page(f"{name}.html")
    page.locator(".lab[data-opened]").first.wait_for()
    assert page.locator(".widget-note").count() and not page.locator(".widget-note:visible").count()
    without = browser.new_page(java_script_enabled=False)
    without.goto(f"{site}/{name}.html")
    assert without.locator(".widget-note:visible").count()
    without.close()


@each(NOTEBOOKS)
def test_formulas_are_no_stops_and_pictures_keep_their_places(name: str, shown: Callable[..., Page]) -> None:
    page = shown()
    assert page.locator("mjx-container[tabindex='0']").count() == 0
    pictures = page.eval_on_selector_all(
        "article img",
        """all => all.map((e) => [
          e.src, e.width / e.height, e.naturalWidth / e.naturalHeight, e.hasAttribute("width")])""",
    )
    assert all(sized for src, *_, sized in pictures if urlsplit(src).path.endswith((".png", ".jpeg")))
    assert all(abs(here / own - 1) < 0.02 for _, here, own, _ in pictures)


def test_focus_is_seen_on_small_buttons(open_page: Callable[..., Page]) -> None:
    page = open_page(f"{NOTEBOOKS[1]}.html")
    buttons = (".primary-toggle", ".dropdown-download-buttons button", ".hide-code")
    for place in (*buttons, ".bd-sidebar-primary summary", "article summary"):
        page.keyboard.press("Tab")  # so that the focus is one by key
        page.locator(place).first.focus()
        ring = """(e) => [e, ...e.children].some((one) => getComputedStyle(one).outlineStyle === "solid")"""
        assert page.locator(f"{place}:focus").evaluate(ring), place
