"""`plimsoll controller`: a configuration that is wrong ends it with one sentence instead of a trace."""

from __future__ import annotations

import sys

from plimsoll.cli.exit_codes import ExitCode
from plimsoll.controller.app import run_controller
from plimsoll.errors import Invalid


def run(config_path: str) -> int:
    """Runs the controller until a signal; 1 when it lost the Lease, 2 when it cannot start."""
    try:
        return run_controller(config_path)
    except (Invalid, OSError) as error:
        print(f"plimsoll controller: {error}", file=sys.stderr)
        return ExitCode.UNUSABLE
