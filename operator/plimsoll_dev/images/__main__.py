"""`python -m plimsoll_dev.images build [IMAGE ...]` prints one line per image: its name, reference and archive."""

from __future__ import annotations

import argparse
import sys

from plimsoll.errors import PlimsollError
from plimsoll_dev.images.build import TARGETS, build


def main(arguments: list[str]) -> int:
    """Build the named images, by default all of them; 1 if one cannot be built."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll_dev.images", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    images = commands.add_parser("build", help="build images into the cache")
    images.add_argument("images", nargs="*", metavar="IMAGE", help=f"{', '.join(TARGETS)} (all, if none is named)")
    chosen = parser.parse_args(arguments).images or TARGETS
    try:
        for target in chosen:
            archive, reference = build(target)
            print(target, reference, archive)
    except PlimsollError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
