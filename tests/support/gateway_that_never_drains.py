"""A gateway whose requests never end: `python -m tests.support.gateway_that_never_drains --config FILE`."""

from __future__ import annotations

import asyncio
import sys

from plimsoll.gateway.app import run_gateway
from plimsoll.gateway.parts import Parts


class Endless:
    """Takes requests, so to speak, and never ends them."""

    async def start(self) -> None:
        """Nothing to be done."""

    async def drain(self, _deadline_s: float) -> None:
        """Waits for ever, deadline or not."""
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(run_gateway(sys.argv[2], Parts(listeners=lambda *_: [Endless()])))
