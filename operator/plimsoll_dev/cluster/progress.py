"""Says what is being waited for, to a person (one line that updates) or to a log (one line at start and end)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from plimsoll.errors import NotYet

PERIOD_S = 0.3
# A log gets a line about a wait only when it lasts longer.
PATIENCE_S = 5.0


@dataclass(slots=True)
class Progress:
    """Prints to `stream`, standard error by default: standard output belongs to the command's result."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)

    def say(self, sentence: str) -> None:
        """Prints one line."""
        print(sentence, file=self.stream, flush=True)

    @contextmanager
    def step(self, sentence: str) -> Iterator[None]:
        """Prints what starts, and how many seconds it took."""
        started = time.monotonic()
        self.say(f"  ... {sentence}")
        yield
        self.say(f"  ok  {sentence} ({time.monotonic() - started:.0f} s)")

    def wait(
        self,
        sentence: str,
        ready: Callable[[], bool],
        hopeless: Callable[[], bool] = lambda: False,
        *,
        timeout_s: float,
    ) -> None:
        """Waits until `ready()`, asking about thrice a second.

        Raises:
            NotYet: not ready within `timeout_s` seconds, or `hopeless()`.
        """
        started, announced = time.monotonic(), self.stream.isatty()
        while not ready():
            waited_s = time.monotonic() - started
            if hopeless():
                raise NotYet("Ended", f"Gave up after {waited_s:.0f} s waiting for {sentence}.")
            if waited_s > timeout_s:
                raise NotYet("TimedOut", f"Waited {timeout_s:.0f} s for {sentence}.")
            if waited_s > PATIENCE_S and not announced:
                announced = True
                self.say(f"  ... waiting for {sentence}, at most {timeout_s:.0f} s")
            if self.stream.isatty():
                print(f"\r  ... waiting for {sentence} ({waited_s:.0f} s)\033[K", end="", file=self.stream, flush=True)
            time.sleep(PERIOD_S)
        end = "\r" if self.stream.isatty() else ""
        self.say(f"{end}  ok  {sentence} ({time.monotonic() - started:.0f} s)" + ("\033[K" if end else ""))
