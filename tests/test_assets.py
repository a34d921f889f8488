"""The vendored JavaScript: only what is pinned gets in, all of it or nothing."""

import hashlib
import io
import tarfile
from pathlib import Path

import assets
import pytest
from assets import AssetError, Package, main

FILES = {
    "package/dist/page.js": b"let a = 1",
    "package/dist/chunks/part.js": b"let b = 2",
    "package/dist/page.js.map": b'{"sources": ["../a.ts", "../node_modules/.pnpm/@scope+part@2.0_p=1/a.js"]}',
    "package/other/page.js": b"another folder",
    "package/dist/../../../escaped.js": b"outside",
    "package/package.json": b'{"name": "widget", "version": "1.0", "license": "MIT"}',
    "package/LICENSE": b"Copyright of the widget",
}
PART = {
    "package/package.json": b'{"name": "@scope/part", "version": "2.0"}',
    "package/License.md": b"Copyright of the part",
}
LISTED = {"listed/package.json": b'{"name": "listed", "version": "3.0", "license": "ISC"}'}
# Hands out the archives that its arguments name: for @scope/part@2.0 scope-part-2.0.tgz, as npm calls it.
NPM = """#!/bin/sh
echo "$@" >>{folder}/calls
for last; do :; done
for spec; do case $spec in *@[0-9]*) cp {folder}/$(echo ${{spec#@}} | tr /@ --).tgz "$last";; esac; done
"""


def archive(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry of three packages, behind an `npm` that hands out the archives in the folder returned."""
    folder = tmp_path / "registry"
    folder.mkdir()
    archive(folder / "widget-1.0.tgz", FILES)
    archive(folder / "scope-part-2.0.tgz", PART)
    archive(folder / "listed-3.0.tgz", LISTED)
    sha512 = hashlib.sha512((folder / "widget-1.0.tgz").read_bytes()).hexdigest()
    monkeypatch.setattr(assets, "PACKAGES", (Package("widget", "1.0", sha512, "package/dist/", r".+\.js"),))
    monkeypatch.setattr(assets, "BUNDLED", ("listed@3.0",))
    npm = folder / "npm"
    npm.write_text(NPM.format(folder=folder))
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def calls(registry: Path) -> int:
    """How often the widget was asked for."""
    return (registry / "calls").read_text().count("pack widget@1.0")


def test_only_the_needed_files_come_and_once(registry: Path, tmp_path: Path) -> None:
    vendor = tmp_path / "static" / "vendor"
    main(vendor)
    assert names(vendor) == ["NOTICES.txt", "manifest.json", "widget/chunks/part.js", "widget/page.js"]
    assert names(tmp_path / "static") == [f"vendor/{name}" for name in names(vendor)], "nothing else is left"
    assert not list(tmp_path.rglob("escaped.js"))
    main(vendor)
    assert calls(registry) == 1


def test_what_is_served_and_what_is_bundled_into_it_comes_with_its_licence(
    registry: Path, tmp_path: Path
) -> None:
    main(tmp_path / "vendor")
    notices = (tmp_path / "vendor" / "NOTICES.txt").read_text("utf-8")
    assert notices.split(assets.RULE) == [
        "@scope/part 2.0 (licence below)\n\nCopyright of the part",
        "listed 3.0 (ISC)",
        "widget 1.0 (MIT)\n\nCopyright of the widget\n",
    ]


@pytest.mark.parametrize("damage", ["altered", "missing", "added", "no manifest", "other pin", "other list"])
def test_what_is_not_intact_is_fetched_anew(
    damage: str, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = tmp_path / "vendor"
    main(vendor)
    match damage:
        case "altered":
            (vendor / "widget" / "page.js").write_text("let a = 3")
        case "missing":
            (vendor / "widget" / "page.js").unlink()
        case "added":
            (vendor / "widget" / "stray.js").touch()
        case "no manifest":
            (vendor / "manifest.json").write_text("{")
        case "other pin":
            [package] = assets.PACKAGES
            narrower = Package("widget", "1.0", package.sha512, "package/dist/", r"page\.js")
            monkeypatch.setattr(assets, "PACKAGES", (narrower,))
        case "other list":
            monkeypatch.setattr(assets, "BUNDLED", ("@scope/part@2.0",))
    assert not assets.intact(vendor)
    main(vendor)
    assert assets.intact(vendor) and calls(registry) == 2
    assert (vendor / "widget" / "page.js").read_bytes() == FILES["package/dist/page.js"]
    assert not (vendor / "widget" / "stray.js").exists()


def test_an_altered_archive_is_refused_and_what_was_there_stays(registry: Path, tmp_path: Path) -> None:
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    (vendor / "earlier").touch()
    with (registry / "widget-1.0.tgz").open("ab") as file:
        file.write(b"more")
    with pytest.raises(AssetError, match=r"^widget@1\.0 refused: its SHA-512 is [0-9a-f]{16}…, not "):
        main(vendor)
    assert names(tmp_path / "vendor") == ["earlier"]


def test_a_failing_npm_is_told_in_one_sentence(registry: Path, tmp_path: Path) -> None:
    told = "printf 'npm notice\\nnpm error code E1\\nnpm error network\\nnpm error A log of this run' >&2"
    (registry / "npm").write_text(f"#!/bin/sh\n{told}\nexit 1\n")
    with pytest.raises(AssetError) as failure:
        main(tmp_path / "vendor")
    assert str(failure.value).startswith("`npm pack widget@1.0` failed")
    assert str(failure.value).endswith("npm error network")
    assert not (tmp_path / "vendor").exists()
