"""What several test files share."""

import browser
import pytest


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser for the page tests; without one they are skipped, with the reason."""
    return browser.find() or pytest.skip(
        "no Chromium on PATH: install the package chromium, or Google Chrome"
    )
