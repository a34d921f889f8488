"""The command line: prodgen data | train | sample | evaluate | report | export, one module a command.

Each has `add_parser(commands)`, which names its options, and `run(options, arguments)`, which does the work
and returns the exit code: 0 done, 2 a mistake that one sentence on standard error explains, 130 stopped by
Ctrl-C. While a model trains, SIGTERM and SIGHUP do as Ctrl-C does: the run is saved, and the code is 130.
Torch is imported only inside the functions that need it, so that --help answers at once.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from prodgen import __version__
from prodgen.cli import data, evaluate, export, report, sample, train
from prodgen.cli.streams import lasting_streams
from prodgen.errors import ProdgenError

COMMANDS = (data, train, sample, evaluate, report, export)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"prodgen: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    with lasting_streams():
        options = build_parser().parse_args(arguments)
        try:
            return options.command(options, arguments)
        except KeyboardInterrupt:
            print("prodgen: interrupted", file=sys.stderr)
            return 130
        except ProdgenError as error:
            sentence = str(error)
        except OSError as error:
            if not error.strerror:  # not the system's: a fault of ours, which shows its trace
                raise
            sentence = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        print(f"prodgen: {' '.join(sentence.split()).removesuffix('.')}.", file=sys.stderr)
        return 2


def build_parser() -> Parser:
    """Every command with its options."""
    parser = Parser(prog="prodgen", description="Generate product images: get data, train, sample, evaluate.")
    parser.add_argument("--version", action="version", version=f"prodgen {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser
