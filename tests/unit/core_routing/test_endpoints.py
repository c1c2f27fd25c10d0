"""Which pods of a revision take requests, by its EndpointSlices."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.routing.endpoints import Slice, is_ready, merge
from plimsoll.core.routing.table import Endpoint


@pytest.mark.parametrize(
    ("ready", "serving", "expected"),
    [
        (True, True, True),
        (False, False, False),
        # A Service that publishes pods which are not ready makes `ready` true for all of them.
        (True, False, False),
        (True, None, True),
        (False, None, False),
        (None, True, True),
        (None, False, False),
        (None, None, True),
    ],
)
def test_the_pod_is_ready(ready: bool | None, serving: bool | None, expected: bool) -> None:  # noqa: FBT001 - a table
    assert is_ready(ready=ready, serving=serving) is expected


def pod(name: str, ip: str = "10.0.0.1") -> Endpoint:
    return Endpoint(name, ip)


def names(*slices: Slice) -> list[str]:
    return [endpoint.pod for endpoint in merge(slices)]


def test_no_slice_is_no_endpoint() -> None:
    assert merge([]) == ()


def test_the_slices_of_a_service_are_one_list_in_the_order_of_names() -> None:
    assert names(Slice(usable=(pod("c"), pod("a"))), Slice(usable=(pod("b"),))) == ["a", "b", "c"]


def test_a_pod_in_two_slices_counts_once() -> None:
    assert names(Slice(usable=(pod("a"),)), Slice(usable=(pod("a"), pod("b")))) == ["a", "b"]


def test_a_pod_that_ends_in_one_slice_ends() -> None:
    assert names(Slice(usable=(pod("a"), pod("b"))), Slice(ending=("a",))) == ["b"]
    assert names(Slice(ending=("a",)), Slice(usable=(pod("a"), pod("b")))) == ["b"]


def test_of_two_families_the_older_one_is_taken_in_either_order() -> None:
    six = Slice(ipv6=True, usable=(pod("a", "fd00::1"), pod("b", "fd00::2")))
    four = Slice(usable=(pod("a", "10.0.0.1"),))
    both = (pod("a", "10.0.0.1"), pod("b", "fd00::2"))
    assert merge([six, four]) == both
    assert merge([four, six]) == both


PODS = st.sampled_from([f"pod-{number}" for number in range(8)])
SLICES = st.lists(
    st.builds(
        Slice,
        ipv6=st.booleans(),
        usable=st.lists(st.builds(pod, PODS), max_size=6).map(tuple),
        ending=st.lists(PODS, max_size=3).map(tuple),
    ),
    max_size=6,
)


@given(SLICES)
def test_every_pod_that_is_usable_and_nowhere_ends_is_listed_once_and_no_other(slices: list[Slice]) -> None:
    usable = {endpoint.pod for part in slices for endpoint in part.usable}
    ending = {name for part in slices for name in part.ending}
    assert names(*slices) == sorted(usable - ending)


@given(SLICES, st.randoms())
def test_the_order_of_slices_does_not_matter(slices: list[Slice], chance: random.Random) -> None:
    shuffled = list(slices)
    chance.shuffle(shuffled)
    assert merge(shuffled) == merge(slices)
