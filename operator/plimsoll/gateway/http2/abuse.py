"""Frames that cost work and carry nothing: counted per stretch of time, and too many end the connection."""

from __future__ import annotations

from plimsoll.gateway.http2.limits import Limits
from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode


class Abuse:
    """The counts of one connection.

    `renew` is called now and then with the time: counting itself reads no clock.
    """

    __slots__ = ("_limits", "_since", "empty_data", "opened", "pings", "resets", "settings", "strays")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._since = now
        self._clear()

    def renew(self, now: float) -> None:
        """Starts a new stretch when the present one is over."""
        if now - self._since >= self._limits.window_s:
            self._since = now
            self._clear()

    def ping(self) -> None:
        """Counts a PING."""
        self.pings += 1
        if self.pings > self._limits.pings:
            raise _calm("PING frames")

    def setting(self) -> None:
        """Counts SETTINGS."""
        self.settings += 1
        if self.settings > self._limits.settings:
            raise _calm("SETTINGS frames")

    def empty(self) -> None:
        """Counts DATA without bytes and without end."""
        self.empty_data += 1
        if self.empty_data > self._limits.empty_data:
            raise _calm("empty DATA frames")

    def stray(self) -> None:
        """Counts a frame of a stream that is no more."""
        self.strays += 1
        if self.strays > self._limits.strays:
            raise _calm("frames of closed streams")

    def reset(self) -> None:
        """Counts a call that was ended by its caller before anything was answered, or that was refused unseen."""
        self.resets += 1

    def check_resets(self) -> None:
        """Refuses too many of them. Deadlines that pass look the same, so most of the calls have to be of that kind."""
        if self.resets > self._limits.resets and self.resets * 2 > self.opened:
            raise _calm("calls that were ended at once")

    def _clear(self) -> None:
        self.pings = self.settings = self.empty_data = self.strays = self.resets = self.opened = 0


def _calm(what: str) -> ConnectionFailure:
    return ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, f"Too many {what} in a short time.")
