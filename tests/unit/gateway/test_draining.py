"""What a gateway says of the requests that pods which drain have yet to answer."""

from __future__ import annotations

import pytest
from tests.support.routed import TEAM, endpoint, endpoint_slice, model, routing

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.route_book import RouteBook
from plimsoll.gateway.targets import EndpointTarget, Targets


class Unrecorded:
    queued = 0
    cache_hits = 0
    cache_mismatches = 0

    def arrived(self) -> None: ...

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = False) -> None: ...

    def rescued(self) -> None: ...


class Gateway:
    """One that follows revision `r1` with the pods `a`, `b` and `c`, and whatever it hears after that."""

    def __init__(self) -> None:
        self.targets = Targets(lambda _model, _revision: Unrecorded(), lambda: b"key")
        self.book = RouteBook(TEAM, self.targets, lambda: None)
        self.version = 0
        self.hears_slice("r1", "a", "b", "c")
        self.hears(r1=1000)

    def hears(self, *draining: str, **weights: int) -> None:
        """The next epoch; `draining` are pods of the first revision."""
        self.version += 1
        first = next(iter(weights))
        routed = routing(self.version, {first: list(draining)}, **weights)
        self.book.models.put_if_newer(model(version=self.version, routing=routed))
        self.book.update()

    def hears_slice(self, revision: str, *pods: str, terminating: str = "") -> None:
        self.version += 1
        made = [endpoint(pod, terminating=pod == terminating) for pod in pods]
        self.book.slices.put_if_newer(endpoint_slice(revision, made, version=self.version))
        self.book.update()

    def pods(self) -> dict[str, EndpointTarget]:
        stable = self.targets.models["digits"].stable
        return {target.endpoint.pod: target for target in stable.endpoints} if stable else {}

    def sends(self, pod: str, requests: int = 1) -> EndpointTarget:
        target = self.pods()[pod]
        target.outstanding += requests
        return target

    def told(self) -> dict[str, int]:
        return self.targets.in_flight().get("uid-1", {})


def test_while_nothing_drains_nothing_is_told() -> None:
    gateway = Gateway()
    gateway.sends("a", 5)
    assert gateway.targets.in_flight() == {}


def test_a_pod_that_drains_gets_no_new_request_and_what_it_has_is_told_down_to_zero() -> None:
    gateway = Gateway()
    busy = gateway.sends("a", 2)
    gateway.hears("a", "b", r1=1000)
    assert set(gateway.pods()) == {"c"}
    assert gateway.told() == {"a": 2, "b": 0}
    busy.outstanding -= 2
    assert gateway.told() == {"a": 0, "b": 0}


def test_a_pod_that_is_not_known_here_has_none() -> None:
    gateway = Gateway()
    gateway.hears("x", r1=1000)
    assert gateway.told() == {"x": 0}


def test_a_pod_that_drains_no_longer_is_told_no_more_and_serves() -> None:
    gateway = Gateway()
    gateway.hears("a", r1=1000)
    gateway.hears(r1=1000)
    assert (gateway.targets.in_flight(), set(gateway.pods())) == ({}, {"a", "b", "c"})


def test_requests_of_both_times_count_where_a_pod_drains_served_again_and_drains() -> None:
    gateway = Gateway()
    slow = gateway.sends("a")
    gateway.hears("a", r1=1000)
    gateway.hears(r1=1000)
    gateway.sends("a", 3)
    gateway.hears("a", r1=1000)
    assert gateway.told() == {"a": 4}
    slow.outstanding = 0
    assert gateway.told() == {"a": 3}


def test_requests_from_before_the_revision_left_and_came_back_count_too() -> None:
    gateway = Gateway()
    gateway.sends("a", 2)
    gateway.hears(r2=1000)
    gateway.hears("a", r1=1000)
    assert gateway.told() == {"a": 2}


@pytest.mark.parametrize("terminating", ["a", ""])
def test_a_pod_that_ends_while_it_drains_is_told_of_to_the_last(terminating: str) -> None:
    gateway = Gateway()
    busy = gateway.sends("a")
    gateway.hears("a", r1=1000)
    gateway.hears_slice("r1", *("abc" if terminating else "bc"), terminating=terminating)
    assert gateway.told() == {"a": 1}
    busy.outstanding = 0
    assert gateway.told() == {"a": 0}


def test_an_evicted_pod_gets_no_new_request_from_the_moment_it_ends_and_keeps_those_it_has() -> None:
    """An eviction asks nobody: Kubernetes marks the endpoint as terminating, which a gateway hears like any change."""
    gateway = Gateway()
    busy = gateway.sends("a")
    closed: list[str] = []
    busy.on_gone.append(lambda: closed.append("idle connections"))
    gateway.hears_slice("r1", "a", "b", "c", terminating="a")
    assert set(gateway.pods()) == {"b", "c"}
    assert (busy.outstanding, busy.gone, closed) == (1, True, ["idle connections"])
    assert gateway.targets.in_flight() == {}
