"""Images, and what is in them.

`python -m plimsoll_dev.images build [IMAGE ...]` prints one line per image: its name, reference and archive.
`python -m plimsoll_dev.images compile` prints the folder of a `plimsoll` that is compiled as in the image.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from plimsoll.errors import PlimsollError
from plimsoll_dev.images.build import TARGETS, build
from plimsoll_dev.images.hot_path import compiled_folder


def main(arguments: list[str]) -> int:
    """Run one command; 1 if something cannot be built."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll_dev.images", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    images = commands.add_parser("build", help="build images into the cache")
    images.add_argument("images", nargs="*", metavar="IMAGE", help=f"{', '.join(TARGETS)} (all, if none is named)")
    commands.add_parser("compile", help="compile the gateway's hot path into the cache")
    given = parser.parse_args(arguments)
    try:
        if given.command == "compile":
            print(compiled_folder())
        else:
            _build(given.images or TARGETS)
    except PlimsollError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


def _build(targets: Sequence[str]) -> None:
    for target in targets:
        archive, reference = build(target)
        print(target, reference, archive)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
