"""What a gateway holds, and what it makes of it: the fence, trust, and the exception for a dead stable revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.inference import taking

from plimsoll.api.confidence import Confidence
from plimsoll.api.requests_validation import InputChecks, OnInvalid
from plimsoll.api.routing import WHOLE, RoutedRevision, Routing, Traffic
from plimsoll.api.vocabulary import DataType
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.confidence.policy import confidence_policy_of
from plimsoll.core.routing.build import Declared, Held, follow, problem_of, route, why_ignored
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.table import Endpoint, ModelRoute
from plimsoll.core.validation.rules import Rules
from plimsoll.core.validation.schema import Checks

UID = "uid-1"


def routing(epoch: int = 1, *revisions: tuple[str, int], draining: Mapping[str, list[str]] | None = None) -> Routing:
    gone = draining or {}
    return Routing(
        epoch=epoch,
        revisions=[
            RoutedRevision(name=name, weight_permille=weight, draining=gone.get(name)) for name, weight in revisions
        ],
    )


def declared(
    *revisions: tuple[str, int],
    epoch: int = 1,
    uid: str = UID,
    traffic: Traffic | None = Traffic.NORMAL,
    draining: Mapping[str, list[str]] | None = None,
) -> Declared:
    return Declared(uid, traffic, routing(epoch, *revisions, draining=draining))


def pods(*names: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(name, f"10.0.0.{number}") for number, name in enumerate(names))


def made(held: Held, endpoints: Mapping[str, tuple[Endpoint, ...]], *, trusted: bool = True) -> ModelRoute:
    return route("digits", held, lambda revision: endpoints.get(revision, ()), trusted=trusted)


def weights(subject: ModelRoute) -> tuple[int | None, int | None]:
    return tuple(part.weight_permille if part else None for part in (subject.stable, subject.candidate))  # type: ignore[return-value]


BOTH = {"r1": pods("a"), "r2": pods("b")}
SPLIT = follow(None, declared(("r1", 950), ("r2", 50)))


# ---- what is held ----
def test_the_first_revision_is_stable_and_the_second_the_candidate() -> None:
    held = follow(None, declared(("r1", 950), ("r2", 50), epoch=3))
    assert (held.uid, held.epoch, held.revisions) == (UID, 3, ("r1", "r2"))


def test_a_third_revision_without_weight_is_of_no_concern() -> None:
    assert follow(None, declared(("r2", 1000), ("r3", 0), ("r1", 0))).revisions == ("r2", "r3")


@pytest.mark.parametrize(
    ("epoch", "followed"),
    [(4, ("r1",)), (5, ("r2",)), (6, ("r2",))],
    ids=["an older epoch is ignored", "of one epoch the latest counts", "a newer epoch is followed"],
)
def test_the_fence(epoch: int, followed: tuple[str, ...]) -> None:
    held = follow(None, declared(("r1", 1000), epoch=5))
    assert follow(held, declared(("r2", 1000), epoch=epoch)).revisions == followed


def test_limits_are_those_that_the_spec_states_last_whatever_the_epoch() -> None:
    few, many = RequestLimits(max_queue=1), RequestLimits(max_queue=100)
    held = follow(None, replace(declared(("r1", 1000), epoch=5), limits=few))
    assert made(held, BOTH).limits == few
    held = follow(held, replace(declared(("r2", 1000), epoch=4), limits=many))
    assert (made(held, BOTH).limits, held.revisions) == (many, ("r1",))


def test_another_object_of_the_same_name_replaces_at_once_whatever_its_epoch() -> None:
    held = follow(None, declared(("r1", 1000), epoch=5))
    again = follow(held, declared(("r2", 1000), epoch=1, uid="uid-2"))
    assert (again.uid, again.epoch, again.revisions) == ("uid-2", 1, ("r2",))
    assert follow(held, Declared("uid-2")) == Held("uid-2")


def test_a_lost_status_changes_nothing() -> None:
    assert follow(SPLIT, Declared(UID)) == SPLIT
    assert why_ignored(SPLIT, Declared(UID)) == "The status has no routing; epoch 1 is followed on."


def test_a_status_that_cannot_be_read_changes_nothing_and_says_why() -> None:
    unreadable = Declared(UID, Traffic.NORMAL, None, "status.routing.epoch: not a number.")
    assert follow(SPLIT, unreadable) == SPLIT
    assert why_ignored(SPLIT, unreadable) == "status.routing.epoch: not a number."


def test_an_older_status_says_that_it_is_older() -> None:
    held = follow(None, declared(("r1", 1000), epoch=5))
    older = declared(("r1", 1000), epoch=4)
    assert why_ignored(held, older) == "The status has epoch 4, which is older than epoch 5 followed here."
    assert why_ignored(held, declared(("r1", 1000), epoch=6)) == ""


def test_before_the_first_status_nothing_is_routed_and_nothing_is_wrong() -> None:
    held = follow(None, Declared(UID))
    assert (held.epoch, held.revisions, why_ignored(held, Declared(UID))) == (0, (), "")
    assert weights(made(held, BOTH)) == (None, None)


def test_the_spec_is_followed_even_where_the_status_is_older() -> None:
    held = follow(None, declared(("r1", 1000), epoch=5))
    stopped = follow(held, declared(("r2", 1000), epoch=4, traffic=Traffic.STOPPED))
    assert (stopped.traffic, stopped.revisions) == (Traffic.STOPPED, ("r1",))


def test_a_value_of_traffic_that_is_not_known_here_leaves_the_last_one() -> None:
    held = follow(None, declared(("r1", 1000), traffic=Traffic.STABLE_ONLY))
    assert follow(held, declared(("r1", 1000), epoch=2, traffic=None)).traffic is Traffic.STABLE_ONLY
    assert follow(None, declared(("r1", 1000), traffic=None)).traffic is Traffic.NORMAL


@pytest.mark.parametrize(
    ("revisions", "problem"),
    [
        ([], ""),
        ([("r1", 1000)], ""),
        ([("r1", 0), ("r2", 0)], ""),
        ([("r1", 500), ("r2", 500), ("r3", 0)], ""),
        ([("r1", 951), ("r2", 50)], "The weights in status.routing add up to 1001 parts per thousand."),
        ([("r1", 900), ("r2", 50), ("r3", 50)], "status.routing gives requests to a third revision, r3."),
        ([("r1", 500), ("r1", 500)], "status.routing names a revision twice."),
    ],
)
def test_what_cannot_be_followed(revisions: list[tuple[str, int]], problem: str) -> None:
    assert problem_of(routing(1, *revisions)) == problem


# ---- what it means now ----
@pytest.mark.parametrize(
    ("trusted", "traffic", "candidate"),
    [
        (True, Traffic.NORMAL, 50),
        (False, Traffic.NORMAL, 0),
        (True, Traffic.STABLE_ONLY, 0),
        (True, Traffic.DIRECT, 0),
        (True, Traffic.STOPPED, 0),
    ],
)
def test_the_candidate_gets_its_weight_from_a_live_controller_and_by_leave_of_the_spec(
    trusted: bool,  # noqa: FBT001 - a table
    traffic: Traffic,
    candidate: int,
) -> None:
    held = follow(SPLIT, declared(("r1", 950), ("r2", 50), traffic=traffic))
    assert weights(made(held, BOTH, trusted=trusted)) == (WHOLE - candidate, candidate)


@pytest.mark.parametrize(
    ("stable", "candidate", "expected"),
    [
        ("a", "b", (950, 50)),
        ("", "b", (0, 1000)),
        ("a", "", (1000, 0)),
        ("", "", (1000, 0)),
    ],
    ids=["both", "stable has no pod", "the candidate has no pod", "neither has a pod"],
)
def test_a_revision_without_a_pod_gets_nothing_while_the_other_has_one(
    stable: str, candidate: str, expected: tuple[int, int]
) -> None:
    assert weights(made(SPLIT, {"r1": pods(*stable), "r2": pods(*candidate)})) == expected


@pytest.mark.parametrize(
    ("held", "trusted"),
    [
        (follow(None, declared(("r1", 1000), ("r2", 0))), True),
        (SPLIT, False),
        (follow(None, declared(("r1", 950), ("r2", 50), traffic=Traffic.STABLE_ONLY)), True),
    ],
    ids=["it never had any weight", "nobody watches over it", "the spec wants stable only"],
)
def test_a_candidate_that_gets_nothing_does_not_stand_in_for_a_dead_stable_revision(held: Held, trusted: bool) -> None:  # noqa: FBT001 - a table
    assert weights(made(held, {"r2": pods("b")}, trusted=trusted)) == (1000, 0)


def test_the_candidate_is_back_at_its_weight_when_stable_has_a_pod_again() -> None:
    assert weights(made(SPLIT, {"r2": pods("b")})) == (0, 1000)
    assert weights(made(SPLIT, BOTH)) == (950, 50)


def test_a_pod_that_drains_is_left_out_of_its_revision() -> None:
    held = follow(None, declared(("r1", 950), ("r2", 50), draining={"r1": ["a", "x"]}))
    subject = made(held, {"r1": pods("a", "b"), "r2": pods("a")})
    assert subject.stable is not None
    assert subject.candidate is not None
    assert [endpoint.pod for endpoint in subject.stable.endpoints] == ["b"]
    assert [endpoint.pod for endpoint in subject.candidate.endpoints] == ["a"]


def test_a_stable_revision_all_of_whose_pods_drain_has_none() -> None:
    held = follow(None, declared(("r1", 950), ("r2", 50), draining={"r1": ["a"]}))
    assert weights(made(held, BOTH)) == (0, 1000)


# ---- in general ----
NAMES = ("r1", "r2", "r3")
DECLARED = st.builds(
    lambda uid, epoch, names, first, traffic, draining: declared(
        *zip(names, (1000 - first, first), strict=False),
        epoch=epoch,
        uid=uid,
        traffic=traffic,
        draining=dict.fromkeys(names, draining),
    ),
    uid=st.sampled_from(["uid-1", "uid-1", "uid-1", "uid-2"]),
    epoch=st.integers(1, 6),
    names=st.permutations(NAMES).flatmap(lambda names: st.integers(0, 2).map(lambda count: names[:count])),
    first=st.integers(0, 1000),
    traffic=st.sampled_from([*Traffic, None]),
    draining=st.lists(st.sampled_from("abc"), unique=True, max_size=2),
)
SAID = st.one_of(DECLARED, st.just(Declared(UID)), st.just(Declared(UID, None, None, "It cannot be read.")))
ENDPOINTS = st.fixed_dictionaries({name: st.sampled_from([(), pods("a"), pods("a", "b", "c")]) for name in NAMES})


@given(st.lists(SAID, min_size=1, max_size=12))
def test_of_one_object_the_epoch_never_falls(said: list[Declared]) -> None:
    held: Held | None = None
    history = [held := follow(held, one) for one in said]
    for before, after in pairwise(history):
        assert before.uid != after.uid or before.epoch <= after.epoch
    for one, after in zip(said, history, strict=True):
        assert after.uid == one.uid
        if one.routing:
            assert after.epoch >= one.routing.epoch


@given(st.lists(SAID, min_size=1, max_size=8))
def test_the_newest_routing_is_held_in_whatever_order_it_was_heard(said: list[Declared]) -> None:
    one_object = [one for one in said if one.uid == UID and one.routing]
    unique = list({one.routing.epoch: one for one in one_object if one.routing}.values())
    held: Held | None = None
    for one in unique:
        held = follow(held, one)
    backwards: Held | None = None
    for one in reversed(unique):
        backwards = follow(backwards, one)
    assert (held is None) == (backwards is None)
    if held and backwards:
        assert (held.epoch, held.stable, held.candidate) == (backwards.epoch, backwards.stable, backwards.candidate)


@given(st.lists(SAID, min_size=1, max_size=4), ENDPOINTS, st.booleans())
def test_whatever_was_said_the_route_is_sound(
    said: list[Declared],
    endpoints: dict[str, tuple[Endpoint, ...]],
    trusted: bool,  # noqa: FBT001 - generated
) -> None:
    held: Held | None = None
    for one in said:
        held = follow(held, one)
    assert held
    subject = made(held, endpoints, trusted=trusted)
    parts = [part for part in (subject.stable, subject.candidate) if part]
    assert all(0 <= part.weight_permille <= WHOLE for part in parts)
    assert sum(part.weight_permille for part in parts) == (WHOLE if parts else 0)
    assert (subject.uid, subject.epoch, subject.traffic) == (held.uid, held.epoch, held.traffic)
    for part, share in zip(parts, [share for share in (held.stable, held.candidate) if share], strict=True):
        listed = {endpoint.pod for endpoint in part.endpoints}
        assert listed == {endpoint.pod for endpoint in endpoints[part.name]} - share.draining
        assert part.endpoints == tuple(sorted(part.endpoints, key=lambda endpoint: endpoint.pod))
    if subject.candidate and subject.candidate.weight_permille:
        assert trusted
        assert subject.traffic is Traffic.NORMAL
        assert subject.candidate.endpoints
        assert held.candidate
        assert held.candidate.weight_permille


@given(SAID, ENDPOINTS)
def test_losing_trust_only_moves_traffic_towards_stable(
    said: Declared, endpoints: dict[str, tuple[Endpoint, ...]]
) -> None:
    held = follow(None, said)
    watched, alone = made(held, endpoints), made(held, endpoints, trusted=False)
    if watched.candidate and alone.candidate:
        assert alone.candidate.weight_permille <= watched.candidate.weight_permille


# ---- the cache -------------------------------------------------------------------------------------------------------
def test_the_route_says_what_may_be_kept_and_how() -> None:
    policy = CachePolicy(60.0, 1 << 20)
    revisions = [
        RoutedRevision(name="r1", weight_permille=950, cacheable=True),
        RoutedRevision(name="r2", weight_permille=50, cacheable=False),
    ]
    subject = made(follow(None, Declared(UID, routing=Routing(epoch=1, revisions=revisions), cache=policy)), BOTH)
    assert subject.cache == policy
    assert [part.cacheable for part in (subject.stable, subject.candidate) if part] == [True, False]


def test_a_cache_that_is_taken_out_of_the_spec_is_gone_at_once() -> None:
    held = follow(None, Declared(UID, cache=CachePolicy(60.0, 1 << 20)))
    assert follow(held, Declared(UID)).cache is None


# ---- what values have to be ----
SCHEMA = taking({"x": (DataType.FP32, (1,))})


def examined(revision: str, checks: InputChecks | None = None) -> Rules:
    return Rules(revision, SCHEMA, Checks(), None, fails_invalid_outputs=True).under(checks)


def known(held: Held) -> list[str]:
    return [rules.revision for rules in held.rules]


def test_the_rules_of_a_revision_are_those_of_the_interface_that_its_preflight_found() -> None:
    held = follow(None, replace(declared(("r1", 1000)), rules=examined("r1")))
    stable = made(held, BOTH).stable
    assert stable
    assert stable.rules == examined("r1")


def test_the_stable_revision_keeps_its_rules_while_status_speaks_of_the_next_one() -> None:
    held = follow(None, replace(declared(("r1", 1000)), rules=examined("r1")))
    held = follow(held, replace(declared(("r1", 1000)), rules=examined("r2")))
    assert known(held) == ["r1", "r2"]
    held = follow(held, replace(declared(("r1", 950), ("r2", 50), epoch=2), rules=examined("r2")))
    made_of_both = made(held, BOTH)
    assert [part.rules and part.rules.revision for part in (made_of_both.stable, made_of_both.candidate) if part] == [
        "r1",
        "r2",
    ]


def test_a_gateway_that_starts_in_a_roll_out_has_the_rules_of_both() -> None:
    both = replace(declared(("r1", 950), ("r2", 50)), rules=examined("r2"), stable_rules=examined("r1"))
    assert sorted(known(follow(None, both))) == ["r1", "r2"]


def test_rules_of_a_revision_that_was_never_routed_go_when_another_one_is_examined() -> None:
    held = follow(None, replace(declared(("r1", 1000)), rules=examined("r2")))
    assert known(follow(held, replace(declared(("r1", 1000)), rules=examined("r3")))) == ["r3"]


def test_what_the_owner_says_of_values_holds_at_once_for_every_revision() -> None:
    held = follow(None, replace(declared(("r1", 1000)), rules=examined("r1")))
    checks = InputChecks(on_invalid=OnInvalid.REJECT)
    held = follow(held, replace(declared(("r1", 1000)), checks=checks, rules=examined("r2", checks)))
    assert [rules.on_invalid for rules in held.rules] == [OnInvalid.REJECT] * 2


# ---- confidence ------------------------------------------------------------------------------------------------------
def test_a_threshold_for_the_confidence_is_followed_and_gone_at_once() -> None:
    policy = confidence_policy_of(Confidence(output="p", threshold="0.8"))
    held = follow(None, Declared(UID, confidence=policy))
    assert made(held, BOTH).confidence == policy
    assert follow(held, Declared(UID)).confidence is None
