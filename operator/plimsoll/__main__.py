"""`plimsoll COMMAND`: one program for the controller, the init container, the sidecar and people."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs one command and returns its exit code.

    `examine` stays resident in every model pod, so it starts without the command line's imports.
    """
    if sys.argv[1:2] == ["examine"]:
        from plimsoll.preflight.examiner import main as examine  # noqa: PLC0415

        return examine(sys.argv[2:])
    from plimsoll.cli.main import main as command_line  # noqa: PLC0415

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
