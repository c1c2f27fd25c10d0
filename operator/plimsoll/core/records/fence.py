"""Lets every cut of every gateway through at most once, and says what is missing between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """A time of which a gateway said nothing that arrived. What happened in it is unknown, not nothing.

    Attributes:
        gateway: uid of its pod.
        since: When its last cut before it was made, by its own clock; None before the first that was heard.
        until: When the next one was.
        cuts: How many are missing; None where the gateway started anew in between, so that nobody knows.
    """

    gateway: str
    since: float | None
    until: float
    cuts: int | None


@dataclass(frozen=True, slots=True)
class Admission:
    """What the fence says of a cut.

    Attributes:
        fresh: It has not been used and may be, now.
        gap: What is missing before it.
    """

    fresh: bool
    gap: Gap | None = None


_KNOWN = Admission(fresh=False)
_NEXT = Admission(fresh=True)


class Fence:
    """One high-water mark per life of a gateway: what comes after a later cut is not used any more.

    So a cut that was overtaken stays a gap: less evidence, but none of it twice.

    Args:
        last: By boot id the last cut that was used before, as `last` returned it.
    """

    def __init__(self, last: Mapping[str, int] | None = None) -> None:
        self._kept = dict(last or {})
        self._lives: dict[str, _Life] = {}

    @property
    def last(self) -> dict[str, int]:
        """By boot id the last cut that was used; to be kept with what became of it."""
        return {life.boot: life.seq for life in self._lives.values()}

    def admit(self, gateway: str, boot: str, seq: int, at: float) -> Admission:
        """Takes note of a cut and says whether to use it.

        Args:
            gateway: uid of its pod.
            boot: The life of the gateway that it is of.
            seq: Its number in it.
            at: When it was made, in seconds since 1970.
        """
        life = self._lives.get(gateway)
        if life is None:
            life = self._lives[gateway] = _Life(boot, self._kept.pop(boot, 0))
        elif life.boot != boot:
            return self._another_life(gateway, life, boot, seq, at)
        missing = seq - life.seq - 1
        if missing < 0:
            return _KNOWN
        since, life.seq, life.at = life.at, seq, at
        return Admission(fresh=True, gap=Gap(gateway, since, at, missing)) if missing else _NEXT

    def _another_life(self, gateway: str, life: _Life, boot: str, seq: int, at: float) -> Admission:
        if boot in life.former:
            return _KNOWN
        since, life.boot, life.seq, life.at, former = life.at, boot, seq, at, (life.boot, *life.former)
        life.former = former[:_FORMER_LIVES]
        return Admission(fresh=True, gap=Gap(gateway, since, at, None))

    def forget(self, gateway: str) -> None:
        """Drops what is known of a gateway whose pod is gone and that is not read any more."""
        self._lives.pop(gateway, None)


@dataclass(slots=True)
class _Life:
    boot: str
    seq: int
    at: float | None = None
    former: tuple[str, ...] = ()


_FORMER_LIVES = 8
"""Of which something may still be on its way; a gateway that starts anew for ever must not fill the memory."""
