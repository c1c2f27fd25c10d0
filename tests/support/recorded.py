"""What a revision's recorder was told, for tests of the data paths."""

from __future__ import annotations

from dataclasses import dataclass, field

from plimsoll.core.records.outcome import Outcome


@dataclass
class Recorded:
    """A recorder that remembers."""

    arrivals: int = 0
    ends: list[tuple[Outcome, str]] = field(default_factory=list)
    rescues: int = 0
    queued: int = 0
    cache_hits: int = 0
    cache_mismatches: int = 0
    copies_agreed: int = 0
    copies_differed: int = 0
    copies_failed: int = 0
    exempt: int = 0

    def arrived(self) -> None:
        self.arrivals += 1

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = False) -> None:
        assert latency_s >= 0
        self.ends.append((outcome, pod))
        self.exempt += exempt

    def rescued(self) -> None:
        self.rescues += 1

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for outcome, _ in self.ends]
