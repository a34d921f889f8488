"""Built pages in headless Chromium: what the page tests and the screenshots share."""

import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# No sandbox: as root Chromium refuses to start with one. The rest keeps it from calling home.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Most pictures wait until the reader comes near. One that is missing resolves too: a test counts those.
EVERY_PICTURE = """Promise.all([...document.querySelectorAll("img[loading=lazy]")].map((picture) => {
  picture.loading = "eager";
  return picture.decode().catch(() => null);
}))"""


def find() -> str | None:
    """Path of the installed Chromium or Chrome."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing: the pages under test speak for themselves."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve `folder` on a free local port; yields the address, without a final slash."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def launch(playwright: Playwright, program: str) -> Browser:
    """Start Chromium without a window."""
    return playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))


def visit(page: Page, address: str) -> None:
    """Open `address` and wait for what comes after its "load" event: formulas, pictures, letters."""
    page.goto(address, wait_until="load")
    page.evaluate("window.MathJax?.startup?.promise.then(() => null)")
    page.evaluate(EVERY_PICTURE)
    settle(page)


def settle(page: Page) -> None:
    """Wait until a page that was loaded stands still: after it was opened, or its colours were changed."""
    page.evaluate("document.fonts.ready")
    # Buttons fade into the dark scheme's colours; half-way their contrast is that of neither scheme.
    page.wait_for_function("document.getAnimations().every((a) => a.playState !== 'running')")
