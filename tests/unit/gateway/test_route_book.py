"""What a gateway follows, change by change, as its targets show it."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.routed import TEAM, endpoint, endpoint_slice, model, routing

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.route_book import RouteBook
from plimsoll.gateway.targets import ModelTarget, RevisionTarget, Targets


class Unrecorded:
    queued = 0
    cache_hits = 0
    cache_mismatches = 0

    def arrived(self) -> None: ...

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = False) -> None: ...

    def rescued(self) -> None: ...


class Gateway:
    """A book, the targets that follow it, and an API server that tells it things."""

    def __init__(self, *, trusted: bool = True) -> None:
        self.targets = Targets(lambda _model, _revision: Unrecorded(), lambda: b"key")
        self.woken = 0
        self.book = RouteBook(TEAM, self.targets, self._wake)
        self.versions = itertools.count(1)
        if trusted:
            self.book.trust()

    def _wake(self) -> None:
        self.woken += 1

    def hears(self, name: str = "digits", **parts: Any) -> None:
        self.book.models.put_if_newer(model(name, version=next(self.versions), **{"uid": f"uid-of-{name}", **parts}))

    def hears_slice(self, revision: str, *pods: str | dict[str, Any], number: int = 1) -> None:
        made = [endpoint(pod) if isinstance(pod, str) else pod for pod in pods]
        version = next(self.versions)
        self.book.slices.put_if_newer(endpoint_slice(revision, made, number=number, version=version))

    def loses(self, name: str = "digits") -> None:
        self.book.models.delete((TEAM, name), str(next(self.versions)))

    def model(self, name: str = "digits") -> ModelTarget:
        return self.targets.models[name]

    def routed(self, name: str = "digits") -> dict[str, tuple[int, list[str]]]:
        """Weight and pods by revision."""
        target = self.model(name)
        return {part.route.name: _told(part) for part in (target.stable, target.candidate) if part}


def _told(part: RevisionTarget) -> tuple[int, list[str]]:
    return part.route.weight_permille, [target.endpoint.pod for target in part.endpoints]


def following(**parts: Any) -> Gateway:
    """One that follows `digits` with a pod for each of two revisions."""
    gateway = Gateway(**parts)
    gateway.hears(routing=routing(3, digits_1=950, digits_2=50))
    gateway.hears_slice("digits-1", "a")
    gateway.hears_slice("digits-2", "b")
    gateway.book.update()
    return gateway


def test_what_is_declared_is_followed_and_acknowledged() -> None:
    gateway = following()
    assert gateway.routed() == {"digits-1": (950, ["a"]), "digits-2": (50, ["b"])}
    assert gateway.book.acknowledged == {"uid-of-digits": 3}
    assert gateway.book.ignored == {}


def test_nothing_is_followed_or_acknowledged_before_the_update() -> None:
    gateway = following()
    gateway.hears(routing=routing(4, digits_2=1000))
    assert gateway.book.acknowledged == {"uid-of-digits": 3}
    assert "digits-1" in gateway.routed()
    gateway.book.update()
    assert gateway.book.acknowledged == {"uid-of-digits": 4}
    assert gateway.routed() == {"digits-2": (1000, ["b"])}


def test_a_promotion_keeps_the_target_that_was_the_candidate() -> None:
    gateway = following()
    candidate = gateway.model().candidate
    gateway.hears(routing=routing(4, digits_2=1000, digits_1=0))
    gateway.book.update()
    assert gateway.model().stable is candidate


def test_a_restored_status_is_neither_followed_nor_acknowledged() -> None:
    gateway = following()
    gateway.hears(routing=routing(2, digits_1=0, digits_2=1000))
    gateway.book.update()
    assert gateway.routed() == {"digits-1": (950, ["a"]), "digits-2": (50, ["b"])}
    assert gateway.book.acknowledged == {"uid-of-digits": 3}
    assert gateway.book.ignored == {"digits": "The status has epoch 2, which is older than epoch 3 followed here."}
    gateway.hears(routing=routing(4, digits_1=1000))
    gateway.book.update()
    assert gateway.routed() == {"digits-1": (1000, ["a"])}
    assert gateway.book.ignored == {}


def test_a_malformed_status_leaves_what_is_held_and_says_why() -> None:
    gateway = following()
    gateway.hears(routing={"epoch": 4, "revisions": [{"name": "digits-2", "weightPermille": 2000}]})
    gateway.book.update()
    assert gateway.routed() == {"digits-1": (950, ["a"]), "digits-2": (50, ["b"])}
    assert "weightPermille" in gateway.book.ignored["digits"]


def test_a_lost_status_leaves_what_is_held() -> None:
    gateway = following()
    gateway.hears()
    gateway.book.update()
    assert gateway.routed() == {"digits-1": (950, ["a"]), "digits-2": (50, ["b"])}
    assert gateway.book.acknowledged == {"uid-of-digits": 3}


def test_a_model_that_is_deleted_is_forgotten_and_may_come_back_with_any_epoch() -> None:
    gateway = following()
    gateway.loses()
    gateway.book.update()
    assert gateway.targets.models == {}
    assert (gateway.book.acknowledged, gateway.book.held, gateway.book.ignored) == ({}, {}, {})
    gateway.hears(routing=routing(1, digits_1=1000))
    gateway.book.update()
    assert gateway.book.acknowledged == {"uid-of-digits": 1}


def test_a_model_deleted_and_made_again_between_two_updates_is_the_new_one() -> None:
    gateway = following()
    gateway.loses()
    gateway.hears(uid="uid-2", routing=routing(1, digits_1=1000))
    gateway.book.update()
    assert gateway.book.acknowledged == {"uid-2": 1}
    assert gateway.routed() == {"digits-1": (1000, ["a"])}


def test_candidates_get_their_weight_with_the_handshake() -> None:
    gateway = following(trusted=False)
    assert gateway.routed() == {"digits-1": (1000, ["a"]), "digits-2": (0, ["b"])}
    gateway.book.trust()
    gateway.book.update()
    assert gateway.routed() == {"digits-1": (950, ["a"]), "digits-2": (50, ["b"])}


def test_the_candidate_stands_in_while_stable_has_no_pod() -> None:
    gateway = following()
    gateway.hears_slice("digits-1", endpoint("a", serving=False))
    gateway.book.update()
    assert gateway.routed() == {"digits-1": (0, []), "digits-2": (1000, ["b"])}
    gateway.hears_slice("digits-1", "a2")
    gateway.book.update()
    assert gateway.routed() == {"digits-1": (950, ["a2"]), "digits-2": (50, ["b"])}


def test_slices_that_come_before_the_route_that_names_them() -> None:
    gateway = Gateway()
    gateway.hears_slice("digits-1", "b", number=2)
    gateway.hears_slice("digits-1", "a", number=1)
    gateway.book.update()
    gateway.hears(routing=routing(1, digits_1=1000))
    gateway.book.update()
    assert gateway.routed() == {"digits-1": (1000, ["a", "b"])}


def test_an_epoch_is_acknowledged_when_something_is_known_of_the_pods_of_all_its_revisions() -> None:
    """The controller leads users here when it hears that; what has no pod has a slice without any."""
    gateway = Gateway()
    gateway.hears(routing=routing(3, digits_1=1000, digits_2=0))
    gateway.hears_slice("digits-1", "a")
    gateway.book.update()
    assert gateway.routed() == {"digits-1": (1000, ["a"]), "digits-2": (0, [])}
    assert gateway.book.acknowledged == {}
    gateway.hears_slice("digits-2")
    gateway.book.update()
    assert gateway.book.acknowledged == {"uid-of-digits": 3}


def test_the_former_epoch_stays_acknowledged_until_then() -> None:
    gateway = following()
    gateway.hears(routing=routing(4, digits_2=1000, digits_3=0))
    gateway.book.update()
    assert gateway.routed() == {"digits-2": (1000, ["b"]), "digits-3": (0, [])}
    assert gateway.book.acknowledged == {"uid-of-digits": 3}
    gateway.hears_slice("digits-3")
    gateway.book.update()
    assert gateway.book.acknowledged == {"uid-of-digits": 4}


def test_slices_that_go_take_no_acknowledgement_back() -> None:
    """It is still what is followed, and a revision whose Service goes is about to leave."""
    gateway = following()
    gateway.book.slices.delete((TEAM, "digits-1-1"), "1000")
    gateway.book.update()
    assert gateway.book.acknowledged == {"uid-of-digits": 3}


def test_a_slice_that_is_deleted_takes_its_pods_with_it() -> None:
    gateway = following()
    gateway.hears_slice("digits-1", "c", number=2)
    gateway.book.update()
    assert gateway.routed()["digits-1"] == (950, ["a", "c"])
    gateway.book.slices.delete((TEAM, "digits-1-1"), "1000")
    gateway.book.update()
    assert gateway.routed()["digits-1"] == (950, ["c"])


def test_others_are_left_alone() -> None:
    gateway = following()
    gateway.hears("faces", uid="uid-f", routing=routing(1, faces_1=1000))
    gateway.hears_slice("faces-1", "f")
    gateway.book.update()
    digits, endpoints = gateway.model().route, gateway.model().stable
    gateway.hears_slice("faces-1", "f", "g")
    gateway.hears("faces", uid="uid-f", routing=routing(2, faces_1=1000, faces_2=0))
    gateway.book.update()
    assert gateway.routed("faces") == {"faces-1": (1000, ["f", "g"]), "faces-2": (0, [])}
    assert gateway.model().route is digits
    assert gateway.model().stable is endpoints


def test_a_revision_that_two_models_name_changes_for_both() -> None:
    gateway = following()
    gateway.hears("faces", uid="uid-f", routing=routing(1, digits_1=1000))
    gateway.book.update()
    gateway.hears("faces", uid="uid-f", routing=routing(2, faces_1=1000))
    gateway.hears("masks", uid="uid-m", routing=routing(1, digits_1=1000))
    gateway.book.update()
    gateway.hears_slice("digits-1", "z")
    gateway.book.update()
    assert gateway.routed("digits")["digits-1"] == (950, ["z"])
    assert gateway.routed("masks") == {"digits-1": (1000, ["z"])}
    assert gateway.routed("faces") == {"faces-1": (1000, [])}


def test_a_revision_that_leaves_and_comes_back_has_the_pods_of_today() -> None:
    gateway = following()
    gateway.hears(routing=routing(4, digits_1=1000))
    gateway.book.update()
    gateway.hears_slice("digits-2", "new")
    gateway.book.update()
    gateway.hears(routing=routing(5, digits_1=950, digits_2=50))
    gateway.book.update()
    assert gateway.routed()["digits-2"] == (50, ["new"])


def test_what_changes_nothing_wakes_nobody() -> None:
    gateway = following()
    woken = gateway.woken
    gateway.hears(routing=routing(3, digits_1=950, digits_2=50))
    gateway.hears_slice("digits-1", "a", endpoint("starts", serving=False))
    assert gateway.woken == woken
    gateway.book.trust()
    assert gateway.woken == woken
    gateway.hears_slice("digits-1", "a", "b")
    assert gateway.woken == woken + 1


def test_a_change_of_traffic_reaches_the_targets() -> None:
    gateway = following()
    gateway.hears(traffic="Stopped", routing=routing(3, digits_1=950, digits_2=50))
    gateway.book.update()
    assert gateway.model().route.traffic.value == "Stopped"
    assert gateway.routed()["digits-2"] == (0, ["b"])


def test_fifty_thousand_endpoints() -> None:
    gateway = Gateway()
    gateway.hears(routing=routing(1, digits_1=1000))
    for number in range(500):
        pods = [endpoint(f"pod-{number * 100 + i:05}", f"10.{number // 256}.{number % 256}.{i}") for i in range(100)]
        gateway.hears_slice("digits-1", *pods, number=number)
    gateway.book.update()
    stable = gateway.model().stable
    assert stable is not None
    assert len(stable.endpoints) == 50_000
    first = stable.endpoints[0]
    gateway.hears_slice("digits-1", *[endpoint(f"pod-{i:05}", f"10.0.0.{i}") for i in range(99)], number=0)
    gateway.book.update()
    assert len(stable.endpoints) == 49_999
    assert stable.endpoints[0] is first


MODELS = ("digits", "faces")
REVISIONS = tuple(f"{model}-{number}" for model in MODELS for number in (1, 2))
EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("status"),
            st.sampled_from(MODELS),
            st.lists(st.sampled_from(REVISIONS), unique=True, max_size=2),
            st.integers(0, 1000),
        ),
        st.tuples(
            st.just("slice"),
            st.sampled_from(REVISIONS),
            st.integers(1, 2),
            st.lists(st.sampled_from("abc"), unique=True, max_size=3),
        ),
        st.tuples(st.just("delete"), st.sampled_from(MODELS)),
        st.tuples(st.just("no slice"), st.sampled_from(REVISIONS), st.integers(1, 2)),
        st.tuples(st.just("trust")),
        st.tuples(st.just("update")),
    ),
    max_size=25,
)


@given(EVENTS)
def test_change_by_change_it_arrives_where_a_restart_would(events: list[tuple[Any, ...]]) -> None:
    """Epochs grow here, so the fence keeps nothing that a restarted gateway would not see."""
    gateway, statuses, slices = Gateway(trusted=False), {}, {}
    for number, event in enumerate(events, start=1):
        match event:
            case "status", model, revisions, weight:
                parts = zip(revisions, (1000 - weight, weight), strict=False)
                statuses[model] = routing(number, **{name.replace("-", "_"): share for name, share in parts})
                gateway.hears(model, routing=statuses[model])
            case "slice", revision, which, pods:
                slices[revision, which] = pods
                gateway.hears_slice(revision, *pods, number=which)
            case "delete", model:
                statuses.pop(model, None)
                gateway.loses(model)
            case "no slice", revision, which:
                slices.pop((revision, which), None)
                gateway.book.slices.delete((TEAM, f"{revision}-{which}"), str(next(gateway.versions)))
            case ("trust",):
                gateway.book.trust()
            case _:
                gateway.book.update()
    gateway.book.update()
    restarted = Gateway(trusted=gateway.book.trusted)
    for (revision, which), pods in slices.items():
        restarted.hears_slice(revision, *pods, number=which)
    for model, status in statuses.items():
        restarted.hears(model, routing=status)
    restarted.book.update()
    assert {name: gateway.routed(name) for name in gateway.targets.models} == {
        name: restarted.routed(name) for name in restarted.targets.models
    }
    # What was acknowledged stays so when slices go, which a restart cannot know.
    assert restarted.book.acknowledged.items() <= gateway.book.acknowledged.items()
