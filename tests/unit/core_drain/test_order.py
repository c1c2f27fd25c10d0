"""Which pods go when there are too many, and whether Kubernetes takes the same ones."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import ago, digits, pod_of, revision_of

from plimsoll.core.drain.order import CHEAPEST, active, chosen, sure_to_go
from plimsoll.core.world import Pod

REVISION = revision_of(digits())


def pod(name: str, *, minutes: int = 60, **more: object) -> Pod:
    """A pod that serves and was made so long ago."""
    return pod_of(REVISION, name, created_at=ago(minutes=minutes), **{"running": True, "ready": True, **more})


OLD, YOUNG, TWIN = pod("old"), pod("young", minutes=5), pod("twin", minutes=5)
SICK = pod("sick", minutes=90, ready=False)
STARTING = pod("starting", minutes=90, ready=False, running=False)
HOMELESS = pod("homeless", minutes=90, ready=False, running=False, scheduled_at=None)
CHEAP = pod("cheap", minutes=90, deletion_cost=-5)


@pytest.mark.parametrize(
    ("pods", "draining", "order"),
    [
        pytest.param([OLD, YOUNG], [], ["young", "old"], id="the youngest first"),
        pytest.param([YOUNG, TWIN], [], ["twin", "young"], id="equal ones by name"),
        pytest.param([YOUNG, SICK], [], ["sick", "young"], id="one that is not ready before one that is"),
        pytest.param(
            [SICK, STARTING, YOUNG, HOMELESS], [], ["homeless", "starting", "sick", "young"], id="as Kubernetes does"
        ),
        pytest.param([OLD, YOUNG], ["old"], ["old", "young"], id="one that drains stays chosen"),
        pytest.param([OLD, SICK], ["old"], ["sick", "old"], id="but Kubernetes takes a sick one before it"),
        pytest.param([YOUNG, CHEAP], [], ["cheap", "young"], id="one that somebody made cheaper"),
    ],
)
def test_the_order_in_which_pods_are_chosen(pods: list[Pod], draining: list[str], order: list[str]) -> None:
    assert [each.name for each in chosen(pods, len(pods), frozenset(draining))] == order


@pytest.mark.parametrize(("count", "found"), [(-1, []), (0, []), (1, ["young"]), (9, ["young", "old"])])
def test_no_more_are_chosen_than_are_too_many(count: int, found: list[str]) -> None:
    assert [each.name for each in chosen([OLD, YOUNG], count, frozenset())] == found


def test_pods_that_end_or_have_failed_or_are_of_another_revision_do_not_count() -> None:
    other = pod_of(revision_of(digits("b"), 2), "other")
    gone, failed = replace(OLD, deleting=True), replace(OLD, failure="Evicted")
    assert active([gone, failed, other, YOUNG], REVISION.name) == [YOUNG]


def drained(one: Pod) -> Pod:
    return replace(one, deletion_cost=CHEAPEST)


@pytest.mark.parametrize(
    ("pods", "number"),
    [
        pytest.param([OLD, YOUNG], 0, id="none has drained"),
        pytest.param([OLD, drained(YOUNG)], 1, id="one has"),
        pytest.param([drained(OLD), drained(YOUNG)], 2, id="all have"),
        pytest.param([SICK, drained(YOUNG)], 0, id="Kubernetes would take the sick one first"),
        pytest.param([drained(SICK), drained(YOUNG), OLD], 2, id="which has drained too"),
        pytest.param([CHEAP, drained(YOUNG)], 1, id="cheaper than whatever somebody wrote"),
        pytest.param([replace(OLD, deletion_cost=CHEAPEST, name="theirs"), drained(YOUNG)], 0, id="but not than that"),
    ],
)
def test_how_many_kubernetes_is_sure_to_take_of_those_that_may_go(pods: list[Pod], number: int) -> None:
    assert sure_to_go(pods, lambda each: each.deletion_cost == CHEAPEST and each.name != "theirs") == number


PODS = st.lists(
    st.builds(
        pod,
        st.sampled_from("abcdefgh"),
        minutes=st.integers(1, 5),
        ready=st.booleans(),
        running=st.booleans(),
        deletion_cost=st.sampled_from([0, 0, -5, 7]),
    ),
    max_size=8,
    unique_by=lambda each: each.name,
)


@given(PODS, st.integers(0, 8), st.frozensets(st.sampled_from("abcdefgh")), st.randoms(use_true_random=False))
def test_a_choice_stays_the_choice(pods: list[Pod], count: int, before: frozenset[str], chance: random.Random) -> None:
    names = [each.name for each in chosen(pods, count, before)]
    shuffled = chance.sample(pods, len(pods))
    assert {each.name for each in chosen(shuffled, count, frozenset(names))} == set(names)
    assert [each.name for each in chosen(shuffled, count, before)] == names


@given(PODS, st.integers(0, 8), st.frozensets(st.sampled_from("abcdefgh")))
def test_once_all_that_were_chosen_have_drained_kubernetes_takes_exactly_these(
    pods: list[Pod], count: int, before: frozenset[str]
) -> None:
    names = {each.name for each in chosen(pods, count, before)}
    marked = [drained(each) if each.name in names else each for each in pods]
    assert sure_to_go(marked, lambda each: each.name in names) == len(names)
