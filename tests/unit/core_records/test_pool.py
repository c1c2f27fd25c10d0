"""What many gateways tell, put together: nothing twice, nothing made up, and what is unknown is said to be."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.records import NOW, REVISION, UID, cells, cut, outcomes, record

from plimsoll.core.records import pool as pools
from plimsoll.core.records.fence import Fence, Gap
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.pool import Evidence, Pool, Pooled
from plimsoll.core.records.record import Cell, Cut, Record


def taken(pool: Pool, now: float = NOW, settled_s: float = 0.0) -> Pooled:
    return pool.take(UID, now, settled_s).revisions[REVISION]


def test_counts_of_two_gateways_are_added() -> None:
    pool = Pool()
    assert pool.add("gw-a", "a", cut(1, record()))
    assert pool.add("gw-b", "b", cut(1, record()))
    sums = taken(pool)
    one = record()
    assert sums.arrivals == 2 * one.arrivals
    assert sums.outcomes == tuple(2 * count for count in one.outcomes)
    assert (sums.known_s, sums.held_s, sums.latency_sum_s) == (0.5, 0.25, 61.0)
    assert (sums.in_flight, sums.queued, sums.rescued, sums.exempt, sums.cache_hits) == (6, 2, 4, 2, 2)
    assert (sums.bytes_in, sums.bytes_out) == (3600, 1800)
    assert (sums.copies_agreed, sums.copies_differed, sums.copies_failed) == (10, 4, 2)
    assert {bucket: count for bucket, count in enumerate(sums.latency) if count} == {0: 4, 5: 10, 47: 2}


def test_a_cell_of_one_pod_is_one_observation_whoever_told_of_it() -> None:
    pool = Pool()
    pool.add("gw-a", "a", cut(1, record(cells={"digits-a": cells((3, 1))})))
    pool.add("gw-b", "b", cut(1, record(cells={"digits-a": cells((4, 0)), "digits-b": cells((1, 0))})))
    last = int(NOW * 10) - 1
    assert taken(pool).cells == {("digits-a", last): Cell(last, 7, 1), ("digits-b", last): Cell(last, 1, 0)}


def test_the_newest_cells_wait_for_the_other_gateways() -> None:
    pool = Pool()
    pool.add("gw", "a", cut(1, record(cells={"p": cells((1, 0), (2, 0), (3, 0))})))
    assert [cell.judged for cell in taken(pool, settled_s=0.2).cells.values()] == [1]
    assert [cell.judged for cell in taken(pool).cells.values()] == [2, 3]


def test_a_gateway_whose_clock_is_far_ahead_is_not_waited_for() -> None:
    pool = Pool()
    ahead = NOW + 3600
    pool.add("gw", "a", cut(1, record(cells={"p": cells((1, 0), until=ahead)}), at=ahead))
    assert len(taken(pool, settled_s=0.5).cells) == 1


def test_what_was_taken_is_not_there_any_more() -> None:
    pool = Pool()
    pool.add("gw", "a", cut(1, record()))
    taken(pool)
    assert pool.take(UID, NOW) == Evidence()


def test_what_is_in_flight_is_no_sum_over_time() -> None:
    pool = Pool()
    for seq in (1, 2, 3):
        pool.add("gw", "a", cut(seq, record(in_flight=seq, queued=0)))
    assert taken(pool).in_flight == 3


def test_a_gateway_that_is_gone_has_nothing_in_flight_but_what_it_told_counts() -> None:
    pool = Pool()
    pool.add("gw", "a", cut(1, record()))
    pool.forget("gw")
    assert (taken(pool).in_flight, pool.fence.last) == (0, {})


def test_an_idle_revision_is_known_to_be_idle_and_a_missing_one_is_unknown() -> None:
    pool = Pool()
    pool.add("gw", "a", cut(1, Record(UID, "idle", 5.0)))
    evidence = pool.take(UID, NOW)
    assert (evidence.revisions["idle"].known_s, evidence.revisions["idle"].arrivals) == (5.0, 0)
    assert "missing" not in evidence.revisions


def test_a_gap_is_told_to_the_models_of_that_gateway_alone() -> None:
    pool = Pool()
    pool.add("gw-a", "a", cut(1, record()))
    pool.add("gw-b", "b", cut(1, record(uid="other")))
    pool.add("gw-a", "a", cut(4, record(), at=NOW + 1))
    assert pool.take("other", NOW).gaps == ()
    assert pool.take(UID, NOW).gaps == (Gap("gw-a", NOW, NOW + 1, 2),)
    assert pool.take(UID, NOW).gaps == ()


def test_a_restart_is_a_gap_of_unknown_size() -> None:
    pool = Pool()
    pool.add("gw", "a", cut(1, record()))
    pool.add("gw", "b", cut(1, record(), at=NOW + 9))
    assert pool.take(UID, NOW).gaps == (Gap("gw", NOW, NOW + 9, None),)


def test_what_a_former_controller_used_is_not_used_again() -> None:
    pool = Pool(Fence({"a": 5}))
    assert not pool.add("gw", "a", cut(5, record()))
    assert pool.add("gw", "a", cut(6, record()))


def test_cells_that_nobody_takes_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MAX_CELLS", 10)
    pool = Pool()
    for seq in range(1, 31):
        pool.add("gw", "a", cut(seq, record(cells={"p": cells((1, 0), until=NOW + seq)}), at=NOW + seq))
    sums = taken(pool, NOW + 40)
    assert len(sums.cells) <= 10
    assert len(sums.cells) + sums.cells_lost == 30
    assert max(number for _, number in sums.cells) == int((NOW + 30) * 10) - 1


def test_models_and_revisions_that_are_gone_are_forgotten() -> None:
    pool = Pool()
    pool.add("gw", "a", cut(1, record(), record(uid="gone")))
    pool.keep([UID])
    assert pool.take("gone", NOW) == Evidence()
    taken(pool)
    pool.add("gw", "a", cut(2, record(revision="new"), at=NOW + 3600))
    assert pool.take(UID, NOW + 3600).revisions.keys() == {"new"}
    pool.forget("gw")


# ---- whatever happens on the way ----
GATEWAYS = ("gw-a", "gw-b", "gw-c")


def lives(seed: int) -> dict[str, list[Cut]]:
    """Cuts of some gateways, each a consistent life: what one record leaves in flight the next one begins with."""
    random = Random(seed)  # noqa: S311 - drawn one by one these numbers would take most of the time of the tests
    told: dict[str, list[Cut]] = {}
    for gateway in GATEWAYS:
        in_flight = 0
        told[gateway] = []
        for seq in range(1, random.randrange(7) + 1):
            ended = tuple(random.randrange(50) for _ in Outcome)
            left = random.randrange(20)
            arrivals = max(0, sum(ended) + left - in_flight)
            left = in_flight + arrivals - sum(ended)
            made = record(
                arrivals=arrivals,
                outcomes=ended if left >= 0 else (0,) * len(Outcome),
                in_flight=left if left >= 0 else in_flight + arrivals,
                queued=0,
                latency={random.randrange(48): random.randrange(1, 9) for _ in range(random.randrange(4))},
                cells={pod: cells(*_judged(random), until=NOW + seq) for pod in "abc"[: random.randrange(4)]},
            )
            in_flight = made.in_flight
            told[gateway].append(cut(seq, made, at=NOW + seq))
    return told


def _judged(random: Random) -> list[tuple[int, int]]:
    return [(judged := random.randrange(1, 99), random.randrange(judged + 1)) for _ in range(random.randrange(1, 5))]


def delivered(seed: int) -> tuple[dict[str, list[Cut]], list[tuple[str, Cut]]]:
    """Lives, and the cuts of them that arrive: in any order, some twice, some never."""
    told = lives(seed)
    random = Random(seed)  # noqa: S311 - as above
    sent = [(gateway, made) for gateway, cuts in told.items() for made in cuts]
    arrived = [random.choice(sent) for _ in range(random.randrange(2 * len(sent) + 1))] if sent else []
    if random.random() < 0.5:
        arrived.sort(key=lambda each: (each[1].seq, each[0]))
    return told, arrived


SEEDS = st.integers(0, 2**32)


def pooled(arrived: list[tuple[str, Cut]]) -> tuple[Pool, list[tuple[str, Cut]]]:
    pool = Pool()
    return pool, [(gateway, made) for gateway, made in arrived if pool.add(gateway, gateway, made)]


@given(SEEDS.map(delivered))
def test_the_pool_is_the_sum_of_what_was_used_and_of_that_once(world: Any) -> None:
    pool, used = pooled(world[1])
    assert len({(gateway, made.seq) for gateway, made in used}) == len(used)
    evidence = pool.take(UID, NOW + 100)
    if not used:
        assert evidence.revisions == {}
        return
    records = [made.records[0] for _, made in used]
    sums = evidence.revisions[REVISION]
    assert sums.arrivals == sum(each.arrivals for each in records)
    assert sums.outcomes == tuple(map(sum, zip(*(each.outcomes for each in records), strict=True)))
    assert sum(sums.latency) == sum(count for each in records for count in each.latency.values())
    assert sum(cell.judged for cell in sums.cells.values()) == sum(
        cell.judged for each in records for told in each.cells.values() for cell in told
    )


@given(SEEDS.map(lives), st.randoms(use_true_random=False))
def test_without_loss_outcomes_and_requests_in_flight_are_the_arrivals(told: Any, random: Any) -> None:
    """Gateways interleave as they like; each is in order, as a stream is; and it may be taken at any time."""
    waiting = {gateway: list(cuts) for gateway, cuts in told.items() if cuts}
    pool, takes = Pool(), []
    while waiting:
        gateway = random.choice(sorted(waiting))
        assert pool.add(gateway, gateway, waiting[gateway].pop(0))
        if not waiting[gateway]:
            del waiting[gateway]
        if random.random() < 0.3:
            takes.append(pool.take(UID, NOW + 100))
    takes.append(pool.take(UID, NOW + 100))
    sums = [evidence.revisions[REVISION] for evidence in takes if evidence.revisions]
    assert all(not evidence.gaps for evidence in takes)
    if sums:
        assert sum(each.arrivals for each in sums) == sum(sum(each.outcomes) for each in sums) + sums[-1].in_flight


@given(SEEDS.map(delivered))
def test_what_is_missing_is_in_the_gaps_or_after_the_last(world: Any) -> None:
    told, arrived = world
    pool, used = pooled(arrived)
    gaps = pool.take(UID, NOW + 100).gaps
    for gateway in GATEWAYS:
        seqs = [made.seq for name, made in used if name == gateway]
        if not seqs:
            continue
        # Before the first that was heard nobody knew that the gateway serves this model.
        missing = sum(gap.cuts or 0 for gap in gaps if gap.gateway == gateway)
        assert (seqs[0] - 1) + len(seqs) + missing == seqs[-1]
        assert len(told[gateway]) >= seqs[-1]


@given(SEEDS.map(lives))
def test_what_two_pools_of_half_the_gateways_know_one_of_all_does(told: Any) -> None:
    halves = [Pool(), Pool()]
    whole = Pool()
    for index, (gateway, cuts) in enumerate(told.items()):
        for made in cuts:
            halves[index % 2].add(gateway, gateway, made)
            whole.add(gateway, gateway, made)
    parts = [found for half in halves if (found := half.take(UID, NOW + 100).revisions.get(REVISION))]
    all_of_it = whole.take(UID, NOW + 100).revisions.get(REVISION)
    assert sum(part.arrivals for part in parts) == (all_of_it.arrivals if all_of_it else 0)
    assert sum(part.in_flight for part in parts) == (all_of_it.in_flight if all_of_it else 0)


def test_outcomes_of_a_newer_gateway_are_added_beside_the_known_ones() -> None:
    pool = Pool()
    pool.add("gw", "a", cut(1, record(outcomes=(*outcomes(succeeded=9), 2), latency={})))
    pool.add("gw", "a", cut(2, record(outcomes=outcomes(succeeded=9), latency={})))
    assert taken(pool).outcomes == (*outcomes(succeeded=18), 2)
