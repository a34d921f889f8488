"""Which of a folder's images belong to which class and split, read from their paths as a person would.

- Folders that only wrap another one are looked through.
- `train` (or `training`) is a split beside a held-out folder, or where it holds subfolders only; else it is a
  class. The first of HELD_OUT that there is becomes "test", what else lies beside the split is left out.
- Classes are the subfolders. Where an image lies in none, there are no classes.
- Without a held-out folder every tenth image of each class is held out, in the order of a hash of its path.
- Copies of one image are never on both sides, and no class loses its only image.
Whatever is left out or may surprise is told in a remark.
"""

import hashlib
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TRAIN = ("train", "training")
HELD_OUT = ("test", "testing", "eval", "evaluation", "validation", "valid", "val", "dev")


@dataclass(frozen=True)
class Layout:
    """The files of "train", of "test" and of further held-out folders, each sorted; {file: class}, or None
    without classes; remarks."""

    train: list[str]
    test: list[str]
    rest: list[str]
    classes: dict[str, str] | None
    remarks: list[str]


def arrange(files: Sequence[str], copies: Mapping[str, str]) -> Layout:
    """The layout of image files, given by their paths below the folder, with "/" between the parts.

    copies: {file: the first file with the same content}, of those that are not the only one.
    """
    folders = _looked_through({file: tuple(readable(file).split("/")[:-1]) for file in sorted(files)})
    top = {file: place[0].casefold() if place else "" for file, place in folders.items()}
    train = [file for file in folders if top[file] in TRAIN]
    held_out, remarks = [file for file in folders if top[file] in HELD_OUT], []
    if train and (held_out or all(len(folders[file]) > 1 for file in train)):
        split = train + held_out
        if beside := Counter(sorted((*folders[file], "loose")[0] for file in folders.keys() - split)):
            remarks.append(f"left out, because they lie beside {folders[train[0]][0]}: {counted(beside)}")
        folders = _looked_through({file: folders[file][1:] for file in sorted(split)})
    else:
        train, held_out = list(folders), []
    classes = {file: place[0] if place else "" for file, place in folders.items()}
    if loose := sum(not name for name in classes.values()):
        if loose < len(classes):
            remarks.append(f"{loose:,} image(s) in no subfolder, so the folder counts as without classes")
        classes = None
    if held_out:
        held_out = _apart(train, held_out, classes, copies, remarks)
        which = min((top[file] for file in held_out), key=HELD_OUT.index, default="")
        test = [file for file in held_out if top[file] == which]
        rest = [file for file in held_out if top[file] != which]
    else:
        train, test = _every_tenth(train, classes, copies)
        rest = []
    if rest:
        remarks.append(
            f"neither for training nor for testing: {counted(Counter(top[file] for file in rest))}"
        )
    if twins := [file for file in train + test + rest if copies.get(file, file) != file]:
        pair = f"{readable(twins[0])} of {readable(copies[twins[0]])}"
        remarks.append(f"{len(twins):,} exact copies of other images, such as {pair}: kept, on one side")
    return Layout(train, test, rest, classes, remarks)


def readable(name: str) -> str:
    """A file name that every terminal and file can hold: composed (NFC), with what is no text as escapes."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))


def counted(counts: Mapping[str, int], most: int = 30) -> str:
    """{"bag": 2, "shoe": 3} -> "bag 2, shoe 3"; beyond `most` only how many there are."""
    shown = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:most])
    return shown + (f" and {len(counts) - most:,} more" if len(counts) > most else "")


def _looked_through(folders: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Without the leading folders that all images share, down to the last one."""
    while len({place[:1] for place in folders.values()}) == 1 and min(map(len, folders.values())) > 1:
        folders = {file: place[1:] for file, place in folders.items()}
    return folders


def _apart(
    train: list[str],
    held_out: list[str],
    classes: dict[str, str] | None,
    copies: Mapping[str, str],
    remarks: list[str],
) -> list[str]:
    """The held-out files that are no copies of training images and whose class there is in training.

    Adds to `remarks` what it leaves out.
    """
    if classes:
        known = {classes[file] for file in train}
        if lost := Counter(classes[file] for file in held_out if classes[file] not in known):
            remarks.append(f"left out, because their class has no image to train on: {counted(lost)}")
        held_out = [file for file in held_out if classes[file] in known]
    seen = {copies[file] for file in train if file in copies}
    fresh = [file for file in held_out if copies.get(file) not in seen]
    if twins := len(held_out) - len(fresh):
        remarks.append(f"left out of those held out, because they are copies of training images: {twins:,}")
    return fresh


def _every_tenth(
    files: list[str], classes: dict[str, str] | None, copies: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Train and test, a tenth of each class; copies count as one image, and one of two classes is kept."""
    alike, members = defaultdict(list), defaultdict(set)
    for file in files:
        first = copies.get(file, file)
        alike[first].append(file)
        members[classes[file] if classes else ""].add(first)
    shared = {
        first for first, group in alike.items() if classes and len({classes[file] for file in group}) > 1
    }
    ranked = [
        first
        for name in sorted(members)
        if len(members[name]) > 1
        for first in sorted(
            members[name] - shared, key=lambda file: hashlib.sha256(os.fsencode(file)).digest()
        )
    ]
    held_out = {file for first in ranked[9::10] for file in alike[first]}
    return [file for file in files if file not in held_out], sorted(held_out)
