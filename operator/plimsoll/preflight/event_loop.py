"""The event loop that measures."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def precise_loop() -> asyncio.AbstractEventLoop:
    """Makes an event loop that wakes when it is due.

    The default one waits in whole milliseconds, so every request would be up to one late.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def run_precisely(work: Coroutine[Any, Any, _T]) -> _T:
    """Runs the work to its end, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        return runner.run(work)
