"""`plimsoll gateway`: a configuration that is wrong ends it with one sentence instead of a trace."""

from __future__ import annotations

import signal
import sys

from plimsoll.cli.exit_codes import ExitCode
from plimsoll.errors import Invalid


def run(config_path: str) -> int:
    """Runs a gateway until a signal; 1 when a part of it died, 2 when it cannot start, 143 when it was cut short."""
    # The first process of a container ignores a signal that it does not handle, and loading takes a second.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        from plimsoll.gateway.app import run_gateway  # noqa: PLC0415 - see above

        return run_gateway(config_path)
    except (Invalid, OSError) as error:
        print(f"plimsoll gateway: {error}", file=sys.stderr)
        return ExitCode.UNUSABLE
    finally:
        signal.signal(signal.SIGTERM, before)
