"""What several test files share."""

from typing import Any

import browser
import pytest


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser for the page tests; without one they are skipped, with the reason."""
    return browser.find() or pytest.skip(
        "no Chromium on PATH: install the package chromium, or Google Chrome"
    )


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
