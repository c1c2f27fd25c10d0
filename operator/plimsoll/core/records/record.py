"""What a gateway tells the controller: a greeting, then cuts, each with the records of what happened since the last.

A cut has a number of its own in its gateway's life, and is sent once or never. What a cut does not speak of is not zero
but unknown; therefore a record says how much time it covers, and one of an idle revision comes with every heartbeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.records.outcome import Outcome

WIRE = 1
"""Version of the wire format. Each side reads its own and the neighbours' (see wire.py)."""
CELLS_PER_S = 10
"""The unit of evidence is a tenth of a second of one pod: failures within one are of one cause."""
HEARTBEAT_S = 5.0
"""A gateway is heard at least this often."""


class Cell(NamedTuple):
    """A tenth of a second of one pod.

    Attributes:
        number: Tenths of seconds since 1970, in UTC: the same for all gateways, whose counts of one pod and cell are
            one observation.
        judged: First attempts that ended in it and say anything about the revision.
        failed: Of these, the ones that speak against it.
    """

    number: int
    judged: int
    failed: int


@dataclass(frozen=True, slots=True)
class Hello:
    """The first line of a stream.

    Attributes:
        boot: Random, new with every start of a gateway.
        pod: Name of its pod.
        version: Of the program.
        wire: Of the lines that follow.
    """

    boot: str
    pod: str
    version: str
    wire: int = WIRE


@dataclass(frozen=True, slots=True)
class Record:
    """What happened at one gateway to the requests of one revision since its last record.

    Attributes:
        uid: Of the ModelDeployment.
        revision: Its name.
        span_s: Time that it covers, in seconds.
        arrivals: Requests whose first attempt went to this revision.
        outcomes: Ends of first attempts, by number of `Outcome`; longer when a newer gateway knows more classes.
        in_flight: Arrivals that had not ended at the end of the span.
        queued: Of these, the ones that waited for an endpoint.
        held_s: Time integral of the requests in the system over the span, in request-seconds.
        rescued: Requests whose first attempt failed and that a second one answered.
        exempt: Ends that are no evidence: an arm held the answer in its cache. In no cell and no histogram.
        cache_hits: Requests answered from the cache.
        cache_mismatches: Re-checks that got another answer than was kept.
        bytes_in, bytes_out: Bodies of requests and of answers.
        copies_agreed, copies_differed, copies_failed: Copies of stable's requests that this revision answered as
            stable did, otherwise, or not at all. They are no arrivals and in nothing else here.
        latency: Histogram of the outcomes that are timed, bucket to count (see histogram.py).
        latency_sum_s: Sum of the same, in seconds.
        cells: By pod, ascending; a cell is told when it is over, so it comes whole and up to one cut later.
    """

    uid: str
    revision: str
    span_s: float
    arrivals: int = 0
    outcomes: tuple[int, ...] = (0,) * len(Outcome)
    in_flight: int = 0
    queued: int = 0
    held_s: float = 0.0
    rescued: int = 0
    exempt: int = 0
    cache_hits: int = 0
    cache_mismatches: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    copies_agreed: int = 0
    copies_differed: int = 0
    copies_failed: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)
    latency_sum_s: float = 0.0
    cells: Mapping[str, tuple[Cell, ...]] = field(default_factory=dict)

    @property
    def in_flight_before(self) -> int:
        """Requests in the system when the span began: in flight + outcomes - arrivals, never below 0."""
        return self.in_flight + sum(self.outcomes) - self.arrivals


@dataclass(frozen=True, slots=True)
class Cut:
    """One line of a stream after the first.

    Attributes:
        seq: 1 for the first cut of a gateway's life; one more for each, sent or not.
        at: When it was made, in seconds since 1970, by the gateway's clock.
        cpu_s: Processor time of the gateway's process so far, in seconds.
        acks: What changed in what it follows: uid of a ModelDeployment to the epoch, None where it follows it no
            longer. Everything in the first cut of a stream.
        records: At most one per revision.
        in_flight: What changed in the requests that pods which drain have yet to answer: uid of a ModelDeployment to
            these by pod, None where no pod of it drains any more. Everything in the first cut of a stream. Of a pod
            that is never named nothing is known, as from a gateway that is too old to say: that is not zero.
        trips: What changed in the kill switches that have tripped: uid of a ModelDeployment to why, None where it has
            been released. Everything in the first cut of a stream.
    """

    seq: int
    at: float
    cpu_s: float = 0.0
    acks: Mapping[str, int | None] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    in_flight: Mapping[str, Mapping[str, int] | None] = field(default_factory=dict)
    trips: Mapping[str, Trip | None] = field(default_factory=dict)
