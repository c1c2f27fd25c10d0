"""`plimsoll COMMAND`: one program for the controller, the init container and people."""

from __future__ import annotations

import sys

from plimsoll.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
