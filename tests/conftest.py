"""What several test files share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser for the page tests; without one they are skipped, with the reason."""
    return browser.find() or pytest.skip(
        "no Chromium on PATH: install the package chromium, or Google Chrome"
    )


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    """The browser, started."""
    with sync_playwright() as playwright:
        started = browser.launch(playwright, chromium)
        yield started
        started.close()


@pytest.fixture
def open_file(chrome: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a file in a window of its own.

    At the end nothing may have gone wrong on any page, and nothing been asked for that does not lie in
    `within`, which is the file itself unless a folder is given.
    """
    problems, contexts = [], []

    def open_file(path: Path, width: int = 900, within: Path | None = None, **options: Any) -> Page:
        contexts.append(chrome.new_context(viewport={"width": width, "height": 900}, **options))
        page, home = contexts[-1].new_page(), (within or path).as_uri()
        page.on("console", lambda message: message.type == "error" and problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: request.url.startswith(home) or problems.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert problems == []


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist=loadscope` a scope is a parameter: all tests of a page are one worker's, and load it once.

    The groups of xdist 3.8 do nothing under pytest 9.2, whose items do not take another name any more.
    """
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByParameter(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("[")[2] or nodeid

    return ByParameter(config, log)
