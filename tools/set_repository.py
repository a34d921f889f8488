"""`make repo URL=…`: write the address of the public repository to every place that needs it.

Its one place is `[project.urls]` in pyproject.toml. The copies are the repository entry of `_config.yml`, the
set-up cells and links of the chapters, `CITATION.cff` and the README. The address of the published book
follows from it.
"""

import re
import sys
from pathlib import Path

from setup_cell import ROOT, repository

# Colab and GitHub Pages, which the book relies on, know repositories on GitHub only.
ADDRESS = re.compile(
    r"https://github\.com/(?P<owner>[a-z0-9-]+)/(?P<name>[\w.-]*\w)", re.ASCII | re.IGNORECASE
)


def normalise(url: str) -> str:
    """The address without a final slash or `.git`; ValueError if it is no GitHub repository's."""
    url = url.strip().rstrip("/").removesuffix(".git")
    if not ADDRESS.fullmatch(url):
        raise ValueError(
            f"{url!r} is not the address of a repository; one looks like https://github.com/OWNER/NAME"
        )
    return url


def addresses(url: str) -> list[str]:
    """The repository's address, the start of its Colab links, and the address of the published book."""
    owner, name = ADDRESS.fullmatch(url).group("owner", "name")
    colab = f"https://colab.research.google.com/github/{owner}/{name}"
    return [url, colab, f"https://{owner.lower()}.github.io/{name}"]


def files(root: Path = ROOT) -> list[Path]:
    """Every file that may hold the address."""
    top = [root / name for name in ("pyproject.toml", "CITATION.cff", "README.md", "_config.yml")]
    return [*top, *sorted((root / "book").glob("*.md")), *sorted((root / "book").glob("*.ipynb"))]


def replace(url: str, root: Path = ROOT) -> list[Path]:
    """Put `url` in the place of the present address; returns the files that changed."""
    changed = []
    pairs = list(zip(addresses(repository(root)), addresses(normalise(url)), strict=True))
    for path in files(root):
        text = before = path.read_text("utf-8")
        for old, new in pairs:
            # A longer name that only starts alike stays; a full stop may end the sentence.
            text = re.sub(re.escape(old) + r"(?![\w-]|\.\w)", new, text)
        if text != before:
            path.write_text(text, "utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    try:
        changed = replace(sys.argv[1])
    except ValueError as error:
        sys.exit(f"repo: {error}")
    print(*([f"wrote {p.relative_to(ROOT)}" for p in changed] or ["nothing to change"]), sep="\n")
