"""The runner behind `make test` counts right and lets no failure pass."""

import pytest
import run_tests
from run_tests import Tally, run, run_pytest

TESTS = """
import pytest
def test_good(): pass
def test_bad(): assert False
@pytest.fixture
def broken(): raise OSError
def test_error(broken): pass
@pytest.mark.parametrize("i", range(2))
def test_skipped(i): pytest.skip("no browser")
"""


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(run_tests, "OUT", tmp_path)
    monkeypatch.setattr(run_tests, "ROOT", tmp_path)


def test_counts_each_kind_and_gives_the_reason_of_skips(tmp_path):
    (tmp_path / "test_x.py").write_text(TESTS)
    tally = Tally()
    assert not run_pytest(tally, "a title", "test_x.py")
    assert tally.lines() == ["1 passed, 2 failed, 2 skipped", "Skipped: 2 × no browser"]


def test_sums_over_runs(tmp_path):
    (tmp_path / "test_x.py").write_text("def test_good(): pass")
    tally = Tally()
    assert run_pytest(tally, "one", "test_x.py") and run_pytest(tally, "two", "test_x.py")
    assert tally.lines() == ["2 passed, 0 failed, 0 skipped"]


def test_a_run_without_tests_is_a_failure(tmp_path):
    (tmp_path / "test_x.py").write_text("")
    tally = Tally()
    assert not run_pytest(tally, "empty", "test_x.py")
    assert tally.lines() == ["0 passed, 1 failed, 0 skipped"]


@pytest.mark.parametrize(("code", "failed"), [("pass", 0), ("raise SystemExit(3)", 1)])
def test_a_step_that_is_no_test_counts_only_when_it_fails(code, failed):
    tally = Tally()
    assert run(tally, "step", "-c", code) is (not failed)
    assert (tally.passed, tally.failed) == (0, failed)


def test_goes_on_after_a_failure_and_ends_with_its_status(monkeypatch, capfd):
    steps = []

    def fake(tally, title, *arguments, report=None):
        steps.append(title)
        tally.failed += title == "ruff check"
        return title != "ruff check"

    monkeypatch.setattr(run_tests, "run", fake)
    (run_tests.OUT / "wheel").mkdir()
    monkeypatch.setattr(run_tests, "build_wheel", lambda tally: True)
    assert run_tests.main() == 1
    assert steps[-1] == "pages" and "unit and maths tests" in steps
    assert capfd.readouterr().out.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"


def test_pages_are_not_opened_when_the_book_was_not_built(monkeypatch):
    steps = []

    def fake(tally, title, *arguments, report=None):
        steps.append(title)
        tally.failed += title.startswith("second pass")
        return not title.startswith("second pass")

    monkeypatch.setattr(run_tests, "run", fake)
    monkeypatch.setattr(run_tests, "build_wheel", lambda tally: True)
    assert run_tests.main() == 1
    assert "pages" not in steps
