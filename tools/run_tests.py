"""Everything `make test` proves, in order. A failure does not hide what comes after it.

1. ruff: rules and formatting.
2. The unit and maths tests.
3. First pass over the notebooks: nbmake runs them where they lie, at the smoke preset.
4. Second pass: the wheel is built and installed by itself, papermill runs the notebooks in empty folders
   against it (what Colab sees), the book is built from these copies, and the page tests open every page.
"""

import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lock import alone

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "_build" / "test"
SITE = OUT / "site"
ENVIRONMENT = {
    **os.environ,
    "PRODGEN_PRESET": "smoke",
    # Two PyTorch processes with two threads each are slower on two cores than with one.
    "OMP_NUM_THREADS": "1",
    # Where the page tests find the pages.
    "PRODGEN_HTML": str(OUT / "html"),
}


@dataclass
class Tally:
    """What the steps came to so far."""

    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # reason -> how many

    def add_report(self, report: Path) -> None:
        """Add a pytest run from its JUnit XML file."""
        for case in ET.parse(report).iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
            elif (skip := case.find("skipped")) is not None:
                self.skipped[skip.get("message", "no reason given")] += 1
            else:
                self.passed += 1

    def lines(self) -> list[str]:
        """The closing lines: the counts and, where tests were skipped, why."""
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped.total()} skipped"
        reasons = "; ".join(f"{n} × {reason}" for reason, n in self.skipped.most_common())
        return [counts, f"Skipped: {reasons}"] if self.skipped else [counts]


def run(tally: Tally, title: str, *arguments: str | Path, report: Path | None = None) -> bool:
    """Run Python with `arguments` as one step; returns whether it went well.

    If pytest writes `report`, the tally gets its tests one by one; without, only a failure.
    """
    print(f"\n== {title}", flush=True)
    start = time.perf_counter()
    ok = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=ENVIRONMENT).returncode == 0
    print(f"== {title}: {'ok' if ok else 'FAILED'}, {time.perf_counter() - start:.0f} s", flush=True)
    failed_before = tally.failed
    if report and report.exists():
        tally.add_report(report)
    if not ok and tally.failed == failed_before:
        tally.failed += 1  # not a test, or a pytest run that came to nothing: no test collected, or a crash
    return ok


def run_pytest(tally: Tally, title: str, *arguments: str) -> bool:
    """Run pytest on two cores and count its tests."""
    report = OUT / f"{title.replace(' ', '-')}.xml"
    pytest = ("-m", "pytest", "-q", "-n", "2", "--durations=25", f"--junitxml={report}")
    return run(tally, title, *pytest, *arguments, report=report)


def build_wheel(tally: Tally) -> bool:
    """Build the wheel and install it into `SITE`, apart from the environment."""
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # setuptools would pack what an earlier build left
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check")
    if not run(tally, "wheel", *pip, "wheel", "--no-deps", "--wheel-dir", OUT / "wheel", ROOT):
        return False
    [wheel] = (OUT / "wheel").glob("*.whl")
    return run(tally, "install the wheel", *pip, "install", "--no-deps", "--target", SITE, wheel)


def build_book(tally: Tally) -> bool:
    """Run the notebooks against the wheel and build the HTML that the page tests open."""
    script = (ROOT / "tools" / "build_book.py", "--preset", "smoke", "--wheel", SITE, "--out", OUT)
    return run(tally, "second pass over the notebooks, and the book", *script)


def main() -> int:
    """Run all steps, once no other run is under way; returns the exit status."""
    with alone(OUT.with_suffix(".lock")):
        return run_all()


def run_all() -> int:
    """Run all steps; returns the exit status."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    tally = Tally()
    run(tally, "ruff check", "-m", "ruff", "check")
    run(tally, "ruff format", "-m", "ruff", "format", "--check")
    run_pytest(tally, "unit and maths tests", "--ignore=tests/test_pages.py", "tests")
    run_pytest(tally, "first pass over the notebooks", "--nbmake", "book")
    if build_wheel(tally) and build_book(tally):
        run_pytest(tally, "pages", "--dist=loadscope", "tests/test_pages.py")
    print("", *tally.lines(), sep="\n")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
