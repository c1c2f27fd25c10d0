"""SIGTERM and SIGHUP end a run as Ctrl-C does, so that everything on its stack is stopped on the way out."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_LIKE_AN_INTERRUPT = (signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Interrupted:
    """Which signal came, if one did."""

    by: int = signal.SIGINT

    @property
    def exit_code(self) -> int:
        """Returns what shells expect of a program that a signal ended."""
        return 128 + self.by


@contextmanager
def interruptible() -> Iterator[Interrupted]:
    """Turns the signals into `KeyboardInterrupt` while the context lasts."""
    interrupted = Interrupted()

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.by = number
        # asyncio has its own way of being interrupted, which cancels tasks instead of cutting them off.
        present = signal.getsignal(signal.SIGINT)
        if not callable(present):
            raise KeyboardInterrupt
        present(signal.SIGINT, frame)

    before = {number: signal.signal(number, interrupt) for number in _LIKE_AN_INTERRUPT}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
