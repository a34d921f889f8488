"""prodgen data: which data sets there are, and fetching one."""

import argparse
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    data = commands.add_parser("data", help="list data sets, or fetch one").add_subparsers(
        required=True, metavar="ACTION"
    )
    command = data.add_parser("list", help="what there is, with licence and source")
    command.set_defaults(command=_data_list)
    command = data.add_parser("get", help="fetch a data set into the cache")
    command.add_argument("name", metavar="NAME")
    command.set_defaults(command=_data_get)


def _data_list(options: argparse.Namespace, arguments: list[str]) -> int:
    from prodgen import data

    for name in data.names():
        info = data.describe(name)
        counts = ", ".join(f"{count:,} {split}" for split, count in info.images.items())
        print(f"{name}\n    {info.title}\n    {info.image_size} px, {info.channels} channel(s); {counts}")
        print(f"    classes: {', '.join(info.class_names) or 'none'}")
        print(f"    licence: {info.licence}; source: {info.source}")
    print("Or give a folder of images: each subfolder is a class.")
    return 0


def _data_get(options: argparse.Namespace, arguments: list[str]) -> int:
    from prodgen import data

    info = data.describe(options.name)
    for split in info.images:
        dataset = data.load(options.name, split)
        print(f"{options.name} {split}: {len(dataset):,} images, ready")
    return 0
