"""Counts what becomes of the requests of one revision. On every request's path: no call that need not be, no object."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from plimsoll.core.records.histogram import BOUNDS_S, BUCKETS, sparse
from plimsoll.core.records.outcome import Outcome, is_failure, is_judged, is_timed
from plimsoll.core.records.record import CELLS_PER_S, Cell, Record
from plimsoll.gateway.request_log import RequestLog

_FAILED: Final = tuple(is_failure(outcome) for outcome in Outcome)
_JUDGED: Final = tuple(is_judged(outcome) for outcome in Outcome)
_TIMED: Final = tuple(is_timed(outcome) for outcome in Outcome)
_NO_CELL: Final = -1
_CELLS_PER_S: Final = CELLS_PER_S
_BOUNDS_S: Final = BOUNDS_S


class RevisionRecording:
    """Implements `targets.Recorder`; beyond it, stages of a request's path count here what they alone know.

    Sums of times are kept relative to the clock's origin and not to the last cut. That saves two subtractions a request
    and costs nothing that is seen: with 1,000 requests in flight after 100 days of uptime each addition rounds by a
    millionth of a second.

    Attributes:
        uid: Of the ModelDeployment whose requests these are.
        queued: Requests that wait for an endpoint now; kept by the queue.
        cache_hits, cache_mismatches: Since the last cut.
        bytes_in, bytes_out: Bodies since the last cut.
        copies_agreed, copies_differed, copies_failed: Copies of stable's requests since the last cut, by their end.
    """

    __slots__ = (
        "_arrivals",
        "_before",
        "_cell_offset",
        "_clock",
        "_cut_at",
        "_ended",
        "_exempt",
        "_held_s",
        "_latency",
        "_latency_sum_s",
        "_log",
        "_pods",
        "_rescued",
        "bytes_in",
        "bytes_out",
        "cache_hits",
        "cache_mismatches",
        "copies_agreed",
        "copies_differed",
        "copies_failed",
        "model",
        "queued",
        "revision",
        "uid",
    )

    def __init__(
        self,
        model: str,
        uid: str,
        revision: str,
        clock: Callable[[], float],
        wall_offset_s: float,
        log: RequestLog | None = None,
    ) -> None:
        """Makes one with nothing counted.

        Args:
            model: Public model name.
            uid: Of the ModelDeployment.
            revision: Its name.
            clock: Monotonic time in seconds.
            wall_offset_s: What to add to it to get seconds since 1970.
            log: Is told of each request; nothing is where it is None.
        """
        self._log = log
        self.model = model
        self.uid = uid
        self.revision = revision
        self._clock = clock
        self._cell_offset = wall_offset_s * CELLS_PER_S
        self._pods: dict[str, _Pod] = {}
        self._before = 0
        self.queued = 0
        self._begin(clock())

    # ---- on the path of every request ----
    def arrived(self) -> None:
        """Counts a request whose first attempt goes to this revision."""
        self._arrivals += 1
        self._held_s -= self._clock()

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = False) -> None:
        """Counts the end of a first attempt: exactly once for each arrival.

        Args:
            outcome: What became of it.
            latency_s: From the request's first byte to its end, in seconds.
            pod: Where it was sent; empty when it was sent nowhere.
            exempt: An arm held the answer in its cache before the toss: it is no evidence for either.
        """
        now = self._clock()
        self._held_s += now
        if self._log is not None:
            self._log.note(self.model, self.revision, outcome, latency_s, pod)
        which: int = outcome  # Compiled, an index of another type costs a call of Python.
        self._ended[which] += 1
        if exempt:
            self._exempt += 1
        elif _JUDGED[which]:
            if _TIMED[which]:
                bucket: int = bisect_left(_BOUNDS_S, latency_s)
                self._latency[bucket] += 1
                self._latency_sum_s += latency_s
            cells = self._pods.get(pod)
            if cells is None:
                cells = self._pods[pod] = _Pod()
            number = int(now * _CELLS_PER_S + self._cell_offset)
            if number != cells.number:
                cells.turn(number)
            cells.judged += 1
            if _FAILED[which]:
                cells.failed += 1

    def rescued(self) -> None:
        """Counts a request whose first attempt failed here and that was answered by a second one."""
        self._rescued += 1

    # ---- a few times a second ----
    @property
    def in_flight(self) -> int:
        """Arrivals that have not ended."""
        return self._before + self._arrivals - sum(self._ended)

    @property
    def active(self) -> bool:
        """Something happened since the last cut, is happening, or has not been told: a cell that was not over."""
        copies = self.copies_agreed or self.copies_differed or self.copies_failed
        return bool(self._arrivals or self._before or self._pods or self.cache_hits or copies)

    def cut(self, now: float, wall_offset_s: float, *, last: bool = False) -> Record:
        """Returns what happened since the last cut, and begins anew.

        Args:
            now: The clock's time.
            wall_offset_s: What to add to it to get seconds since 1970.
            last: Tell of the cells that are not over, too, because there will be no other record.
        """
        in_flight = self.in_flight
        self._cell_offset = wall_offset_s * CELLS_PER_S
        record = Record(
            uid=self.uid,
            revision=self.revision,
            span_s=max(0.0, now - self._cut_at),
            arrivals=self._arrivals,
            outcomes=tuple(self._ended),
            in_flight=in_flight,
            queued=min(self.queued, in_flight),
            held_s=max(0.0, self._held_s + in_flight * now),
            rescued=self._rescued,
            exempt=self._exempt,
            cache_hits=self.cache_hits,
            cache_mismatches=self.cache_mismatches,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            copies_agreed=self.copies_agreed,
            copies_differed=self.copies_differed,
            copies_failed=self.copies_failed,
            latency=sparse(self._latency),
            latency_sum_s=self._latency_sum_s,
            cells=self._cells(_AFTER_ALL if last else int(now * CELLS_PER_S + self._cell_offset)),
        )
        self._before = in_flight
        self._begin(now)
        return record

    def _begin(self, now: float) -> None:
        self._cut_at = now
        self._held_s = -self._before * now
        self._arrivals = self._rescued = self._exempt = 0
        self.cache_hits = self.cache_mismatches = self.bytes_in = self.bytes_out = 0
        self.copies_agreed = self.copies_differed = self.copies_failed = 0
        self._latency_sum_s = 0.0
        self._ended = [0] * len(Outcome)
        self._latency = [0] * BUCKETS

    def _cells(self, current: int) -> dict[str, tuple[Cell, ...]]:
        """Takes the cells that are over, and forgets pods of which there is nothing more."""
        taken: dict[str, tuple[Cell, ...]] = {}
        for name, pod in list(self._pods.items()):
            if pod.number != current:
                pod.turn(_NO_CELL)
                del self._pods[name]
            if pod.over and name:
                taken[name] = tuple(pod.over)
            pod.over = []
        return taken


class _Pod:
    """The cell that a pod is in, and those that are over since the last cut: ten a second."""

    __slots__ = ("failed", "judged", "number", "over")

    def __init__(self) -> None:
        self.number = _NO_CELL
        self.judged = 0
        self.failed = 0
        self.over: list[Cell] = []

    def turn(self, number: int) -> None:
        """Ends the cell and begins another."""
        if self.judged:
            self.over.append(Cell(self.number, self.judged, self.failed))
        self.number = number
        self.judged = self.failed = 0


_AFTER_ALL = -2
"""No cell has this number, so all of them are over."""
