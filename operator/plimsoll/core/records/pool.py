"""Puts together what the gateways of a model tell, until somebody takes it: each count is handed out once."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice

from plimsoll.core.records import histogram
from plimsoll.core.records.fence import Fence, Gap
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.record import CELLS_PER_S, Cell, Cut, Record

MAX_CELLS = 20_000
"""Of one revision: 20 pods for 100 s. Whoever does not take for longer loses the oldest."""
MAX_GAPS = 100
_CLOCKS_APART_S = 10
"""A cell so far ahead is of a gateway whose clock is wrong: waiting for others to tell of it would be in vain."""
_LEFT_AFTER_S = 600
"""A revision that serves is told of with every heartbeat, however idle it is."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """What is known of one revision since the last time it was taken: sums over gateways.

    Attributes:
        known_s: Gateway-seconds that the counts cover. With 3 gateways and no gap it grows by 3 a second.
        in_flight, queued: Not sums over time, but the newest figures of all gateways that told of it.
        latency: shape (48,), see histogram.py.
        cells: By (pod, number). A cell of which a gateway told too late stands here again, with what was added.
        cells_lost: Given up because nobody took them.

    All others are those of `Record`.
    """

    known_s: float
    arrivals: int
    outcomes: tuple[int, ...]
    in_flight: int
    queued: int
    held_s: float
    rescued: int
    exempt: int
    cache_hits: int
    bytes_in: int
    bytes_out: int
    latency: tuple[int, ...]
    latency_sum_s: float
    cells: Mapping[tuple[str, int], Cell]
    cells_lost: int = 0
    copies_agreed: int = 0
    copies_differed: int = 0
    copies_failed: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one model since the last time it was taken.

    Attributes:
        revisions: By name. A revision that is not here is unknown, not idle.
        gaps: Times of which gateways that serve the model told nothing.
    """

    revisions: Mapping[str, Pooled] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()


class Pool:
    """Of all models.

    Args:
        fence: Lets each cut through once.
    """

    def __init__(self, fence: Fence | None = None) -> None:
        self.fence = fence or Fence()
        self._models: dict[str, _Model] = {}
        self._told_of: dict[str, set[str]] = {}

    def add(self, gateway: str, boot: str, cut: Cut) -> bool:
        """Adds a cut unless it was used before or came after a later one; returns whether it was added.

        Args:
            gateway: uid of the pod that it came from.
            boot: The life of the gateway that it is of.
            cut: What it told.
        """
        admission = self.fence.admit(gateway, boot, cut.seq, cut.at)
        if not admission.fresh:
            return False
        if admission.gap:
            self._note(gateway, admission.gap)
        for record in cut.records:
            revision = self._revision(record)
            if gateway not in revision.levels:
                self._told_of.setdefault(gateway, set()).add(record.uid)
            revision.add(gateway, record, cut.at)
        return True

    def take(self, uid: str, now: float, settled_s: float = 0.0) -> Evidence:
        """Returns what is known of a model and forgets it.

        Args:
            uid: Of the ModelDeployment.
            now: Seconds since 1970.
            settled_s: Cells of the last so many seconds stay for the next time: gateways may have yet to tell of them.
        """
        model = self._models.get(uid)
        if model is None:
            return Evidence()
        gaps = tuple(model.gaps)
        model.gaps.clear()
        before = int((now - settled_s) * CELLS_PER_S)
        taken = {name: pooled for name, revision in model.revisions.items() if (pooled := revision.take(before))}
        for left in [name for name, revision in model.revisions.items() if revision.heard_at < now - _LEFT_AFTER_S]:
            del model.revisions[left]
        return Evidence(taken, gaps)

    def keep(self, uids: Collection[str]) -> None:
        """Forgets all models but these."""
        for gone in self._models.keys() - set(uids):
            del self._models[gone]

    def forget(self, gateway: str) -> None:
        """Drops a gateway whose pod is gone: what it told stays, what it had in flight is not in flight any more."""
        self.fence.forget(gateway)
        for model in self._models_of(gateway):
            for revision in model.revisions.values():
                revision.levels.pop(gateway, None)
        self._told_of.pop(gateway, None)

    def _revision(self, record: Record) -> _Revision:
        model = self._models.get(record.uid)
        if model is None:
            model = self._models[record.uid] = _Model()
        revision = model.revisions.get(record.revision)
        if revision is None:
            revision = model.revisions[record.revision] = _Revision()
        return revision

    def _note(self, gateway: str, gap: Gap) -> None:
        for model in self._models_of(gateway):
            model.gaps.append(gap)

    def _models_of(self, gateway: str) -> list[_Model]:
        return [self._models[uid] for uid in self._told_of.get(gateway, ()) if uid in self._models]


@dataclass(slots=True)
class _Model:
    revisions: dict[str, _Revision] = field(default_factory=dict)
    gaps: deque[Gap] = field(default_factory=lambda: deque(maxlen=MAX_GAPS))


@dataclass(slots=True)
class _Counts:
    """What is handed out and begins anew."""

    known_s: float = 0.0
    arrivals: int = 0
    outcomes: list[int] = field(default_factory=lambda: [0] * len(Outcome))
    held_s: float = 0.0
    rescued: int = 0
    exempt: int = 0
    cache_hits: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * histogram.BUCKETS)
    latency_sum_s: float = 0.0
    cells_lost: int = 0
    copies_agreed: int = 0
    copies_differed: int = 0
    copies_failed: int = 0

    def add(self, record: Record) -> None:
        self.known_s += record.span_s
        self.arrivals += record.arrivals
        self.held_s += record.held_s
        self.rescued += record.rescued
        self.exempt += record.exempt
        self.cache_hits += record.cache_hits
        self.bytes_in += record.bytes_in
        self.bytes_out += record.bytes_out
        self.copies_agreed += record.copies_agreed
        self.copies_differed += record.copies_differed
        self.copies_failed += record.copies_failed
        self.latency_sum_s += record.latency_sum_s
        histogram.add(self.latency, record.latency)
        outcomes = self.outcomes
        if len(outcomes) < len(record.outcomes):
            outcomes.extend([0] * (len(record.outcomes) - len(outcomes)))
        for outcome, count in enumerate(record.outcomes):
            outcomes[outcome] += count


class _Revision:
    """One revision; `levels` are (in flight, queued) by gateway."""

    __slots__ = ("cells", "counts", "heard_at", "levels")

    def __init__(self) -> None:
        self.counts: _Counts | None = None
        self.levels: dict[str, tuple[int, int]] = {}
        self.cells: dict[tuple[str, int], Cell] = {}
        self.heard_at = 0.0

    def add(self, gateway: str, record: Record, at: float) -> None:
        counts = self.counts
        if counts is None:
            counts = self.counts = _Counts()
        counts.add(record)
        self.heard_at = max(self.heard_at, at)
        self.levels[gateway] = (record.in_flight, record.queued)
        cells = self.cells
        for pod, told in record.cells.items():
            for cell in told:
                key = (pod, cell.number)
                known = cells.get(key)
                cells[key] = cell if known is None else _together(known, cell)
        if len(cells) > MAX_CELLS:
            # Half of them at once: a dictionary that loses its first key again and again looks for it ever longer.
            for oldest in list(islice(cells, MAX_CELLS // 2)):
                del cells[oldest]
            counts.cells_lost += MAX_CELLS // 2

    def take(self, before: int) -> Pooled | None:
        """Hands out everything but the cells from number `before` on, which stay."""
        counts, self.counts = self.counts, None
        too_new = before + _CLOCKS_APART_S * CELLS_PER_S
        kept = {key: cell for key, cell in self.cells.items() if before <= key[1] < too_new}
        ripe, self.cells = self.cells, kept
        for key in kept:
            del ripe[key]
        if counts is None and not ripe:
            return None
        counts = counts or _Counts()
        in_flight, queued = (sum(level) for level in zip(*self.levels.values(), strict=True)) if self.levels else (0, 0)
        return Pooled(
            known_s=counts.known_s,
            arrivals=counts.arrivals,
            outcomes=tuple(counts.outcomes),
            in_flight=in_flight,
            queued=queued,
            held_s=counts.held_s,
            rescued=counts.rescued,
            exempt=counts.exempt,
            cache_hits=counts.cache_hits,
            bytes_in=counts.bytes_in,
            bytes_out=counts.bytes_out,
            latency=tuple(counts.latency),
            latency_sum_s=counts.latency_sum_s,
            cells=ripe,
            cells_lost=counts.cells_lost,
            copies_agreed=counts.copies_agreed,
            copies_differed=counts.copies_differed,
            copies_failed=counts.copies_failed,
        )


def _together(one: Cell, other: Cell) -> Cell:
    return Cell(one.number, one.judged + other.judged, one.failed + other.failed)
