"""What is known of a gateway after each line."""

from __future__ import annotations

import pytest
from tests.support.records import cut

from plimsoll.api.degradation import KillAction
from plimsoll.controller.gateway_state import Gateway, GatewayPod
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.records.record import Hello

HELLO = Hello("b1", "gw", "0.1.0")


def gateway() -> Gateway:
    return Gateway(GatewayPod("vision", "gw", "uid-gw", "127.0.0.1", ready=True), since=100.0)


def told(subject: Gateway, seq: int, /, cpu_s: float = 0.0, now: float = 100.0, **acks: int | None) -> set[str]:
    return set(subject.told(cut(seq, acks=acks, cpu_s=cpu_s), now))


def test_the_first_line_after_the_greeting_is_the_whole_truth() -> None:
    subject = gateway()
    subject.opened(HELLO, 100.0)
    assert told(subject, 1, digits=3, words=1) == {"digits", "words"}
    assert subject.acks == {"digits": 3, "words": 1}


def test_after_it_only_what_changed_is_told() -> None:
    subject = gateway()
    subject.opened(HELLO, 100.0)
    told(subject, 1, digits=3, words=1)
    assert told(subject, 2) == set()
    assert told(subject, 3, digits=4, words=None) == {"digits", "words"}
    assert subject.acks == {"digits": 4}


def test_a_stream_that_comes_back_forgets_what_is_not_followed_any_more_and_nothing_else() -> None:
    subject = gateway()
    subject.opened(HELLO, 100.0)
    told(subject, 1, digits=3, words=1)
    assert subject.opened(HELLO, 110.0) == set()
    assert subject.acks == {"digits": 3, "words": 1}
    assert told(subject, 9, digits=3) == {"words"}


def test_one_that_comes_back_and_follows_nothing() -> None:
    subject = gateway()
    subject.opened(HELLO, 100.0)
    told(subject, 1, digits=3)
    subject.opened(HELLO, 110.0)
    assert told(subject, 9) == {"digits"}


def test_a_gateway_that_started_anew_follows_nothing_until_it_says_so() -> None:
    subject = gateway()
    subject.opened(HELLO, 100.0)
    told(subject, 7, digits=3)
    assert subject.opened(Hello("b2", "gw", "0.2.0"), 110.0) == {"digits"}
    assert (subject.acks, subject.boot, subject.version, subject.seq) == ({}, "b2", "0.2.0", 0)


def drained(subject: Gateway, seq: int, **in_flight: dict[str, int] | None) -> set[str]:
    return set(subject.told(cut(seq, in_flight=in_flight), 100.0))


def test_requests_of_draining_pods_are_told_as_they_change_and_looked_at_when_another_pod_has_none() -> None:
    subject = gateway()
    subject.opened(HELLO, 100.0)
    assert drained(subject, 1, digits={"a": 2, "b": 0}) == {"digits"}
    assert drained(subject, 2, digits={"a": 1, "b": 0}) == set()
    assert drained(subject, 3) == set()
    assert subject.in_flight == {"digits": {"a": 1, "b": 0}}
    assert drained(subject, 4, digits={"a": 0, "b": 0}, words={"w": 3}) == {"digits"}
    drained(subject, 5, digits=None)
    assert subject.in_flight == {"words": {"w": 3}}


def test_requests_of_draining_pods_are_those_of_this_life_and_of_the_whole_truth_when_it_comes_back() -> None:
    subject = gateway()
    subject.opened(HELLO, 100.0)
    drained(subject, 1, digits={"a": 0}, words={"w": 0})
    subject.opened(HELLO, 110.0)
    assert subject.in_flight == {"digits": {"a": 0}, "words": {"w": 0}}
    drained(subject, 2, words={"w": 0})
    assert subject.in_flight == {"words": {"w": 0}}
    subject.opened(Hello("b2", "gw", "0.1.0"), 120.0)
    assert subject.in_flight == {}


def test_silence() -> None:
    subject = gateway()
    assert subject.silent_s(104.0) == 4.0
    subject.opened(HELLO, 105.0)
    told(subject, 1, now=106.0)
    assert subject.silent_s(106.5) == 0.5


def test_processors_used() -> None:
    subject = gateway()
    subject.opened(HELLO, 100.0)
    for second in range(10):
        told(subject, second + 1, cpu_s=50 + 0.4 * second, now=100.0 + second)
    assert subject.cpu_rate is None
    told(subject, 11, cpu_s=54.0, now=110.0)
    assert subject.cpu_rate == pytest.approx(0.4)
    subject.opened(Hello("b2", "gw", "0.1.0"), 111.0)
    assert subject.cpu_rate is None


def test_kill_switches_are_followed_and_lost_with_the_process_that_told_of_them() -> None:
    subject, trip = gateway(), Trip(KillAction.STOPPED, 20, 100)
    subject.opened(HELLO, 100.0)
    subject.told(cut(1), 100.0)
    assert subject.told(cut(2, trips={"digits": trip}), 100.0) == {"digits"}
    assert subject.told(cut(3), 101.0) == set()
    assert subject.trips == {"digits": trip}
    assert subject.told(cut(4, trips={"digits": None}), 102.0) == {"digits"}
    subject.told(cut(5, trips={"digits": trip}), 103.0)
    assert "digits" in subject.opened(Hello("another", "gw", "1"), 104.0)
    assert subject.trips == {}
