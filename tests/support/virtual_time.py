"""An event loop whose clock stands still while anything happens and jumps to the next timer when nothing does."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from typing_extensions import override

Result = TypeVar("Result")


class _Selector(selectors.SelectSelector):
    """Waits by moving the clock. Without a timer it waits for real: something outside, a thread, will wake the loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self._loop.now += timeout
            timeout = 0
        return super().select(timeout)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`now` is what `time()` says, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Selector(self))

    @override
    def time(self) -> float:
        return self.now


def run_virtually(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs `work` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
