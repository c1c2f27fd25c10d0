"""What stays and what goes when routes change, and which endpoint is next."""

import pytest
from tests.support.looked import Looked

from plimsoll.api.routing import Traffic
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.ladder import Ladder
from plimsoll.core.routing.table import Endpoint, ModelRoute, RevisionRoute, RouteTable
from plimsoll.gateway.inspection import Inspections
from plimsoll.gateway.targets import COMPARED, RevisionTarget, Targets


class Counter:
    """Counts arrivals."""

    def __init__(self) -> None:
        self.arrivals = 0
        self.queued = 0

    def arrived(self) -> None:
        self.arrivals += 1

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = False) -> None: ...

    def rescued(self) -> None: ...


def targets(inspections: Inspections | None = None) -> Targets:
    counters: dict[tuple[str, str], Counter] = {}
    return Targets(
        lambda model, revision: counters.setdefault((model, revision), Counter()),
        lambda: b"key",
        inspections=inspections,
    )


def pods(*names: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(name, f"10.0.0.{ord(name)}") for name in names)


def revision(name: str, weight: int, *endpoints: str) -> RevisionRoute:
    return RevisionRoute(name, weight, pods(*endpoints))


def table(stable: RevisionRoute | None, candidate: RevisionRoute | None = None, epoch: int = 1) -> RouteTable:
    return RouteTable({"digits": ModelRoute("digits", "uid", epoch, stable=stable, candidate=candidate)})


def names(target: RevisionTarget | None) -> list[str]:
    assert target is not None
    return [endpoint.endpoint.pod for endpoint in target.endpoints]


def test_a_promoted_candidate_keeps_its_connections_and_counters() -> None:
    subject = targets()
    subject.apply(table(revision("r1", 1000, "a"), revision("r2", 0, "b")))
    candidate = subject.models["digits"].candidate
    assert candidate is not None
    candidate.endpoints[0].outstanding = 7
    endpoint = candidate.endpoints[0]
    subject.apply(table(revision("r2", 1000, "b", "c"), epoch=2))
    stable = subject.models["digits"].stable
    assert stable is candidate
    assert stable.endpoints[0] is endpoint
    assert (names(stable), endpoint.outstanding, subject.models["digits"].candidate) == (["b", "c"], 7, None)


def test_an_endpoint_that_leaves_is_told_once() -> None:
    subject = targets()
    subject.apply(table(revision("r1", 1000, "a", "b")))
    stable = subject.models["digits"].stable
    assert stable is not None
    left, stays = stable.endpoints
    told: list[str] = []
    left.on_gone.append(lambda: told.append("left"))
    stays.on_gone.append(lambda: told.append("stays"))
    subject.apply(table(revision("r1", 1000, "b"), epoch=2))
    subject.apply(table(revision("r1", 1000, "b"), epoch=3))
    assert (told, left.gone, stays.gone) == (["left"], True, False)


def test_a_model_that_is_deleted_leaves_with_all_its_endpoints() -> None:
    subject = targets()
    subject.apply(table(revision("r1", 1000, "a"), revision("r2", 100, "b")))
    model = subject.models["digits"]
    endpoints = [
        *(model.stable.endpoints if model.stable else []),
        *(model.candidate.endpoints if model.candidate else []),
    ]
    subject.apply(RouteTable())
    assert subject.models == {}
    assert [endpoint.gone for endpoint in endpoints] == [True, True]


def test_an_equal_table_changes_nothing() -> None:
    subject = targets()
    same = table(revision("r1", 1000, "a"))
    subject.apply(same)
    before = subject.models["digits"].stable
    subject.apply(RouteTable(dict(same.models)))
    assert subject.models["digits"].stable is before


def test_the_fewest_outstanding_is_next_and_equals_take_turns() -> None:
    subject = targets()
    subject.apply(table(revision("r1", 1000, "a", "b", "c")))
    stable = subject.models["digits"].stable
    assert stable is not None
    a, b, c = stable.endpoints
    assert {stable.least_outstanding() for _ in range(3)} == {a, b, c}
    a.outstanding, b.outstanding, c.outstanding = 2, 1, 2
    assert stable.least_outstanding() is b
    assert stable.least_outstanding(but=b) in {a, c}


def test_the_only_endpoint_is_not_tried_twice() -> None:
    subject = targets()
    subject.apply(table(revision("r1", 1000, "a")))
    stable = subject.models["digits"].stable
    assert stable is not None
    assert stable.least_outstanding(but=stable.endpoints[0]) is None


def test_no_endpoint() -> None:
    subject = targets()
    subject.apply(table(revision("r1", 1000)))
    stable = subject.models["digits"].stable
    assert stable is not None
    assert stable.least_outstanding() is None


def test_the_candidate_gets_its_weight_and_whoever_asks_for_it() -> None:
    subject = targets()
    subject.apply(table(revision("r1", 950, "a"), revision("r2", 50, "b")))
    model = subject.models["digits"]
    assert sum(model.pick() is model.candidate for _ in range(1000)) == 50
    assert model.pick(wants_candidate=True) is model.candidate


def test_before_the_first_promotion_there_is_no_revision() -> None:
    subject = targets()
    subject.apply(table(None))
    assert subject.models["digits"].pick() is None


@pytest.mark.parametrize(
    ("traffic", "pods_of_candidate", "served_by"),
    [
        (Traffic.NORMAL, "b", "r2"),
        (Traffic.STABLE_ONLY, "b", "r1"),
        (Traffic.DIRECT, "b", "r1"),
        (Traffic.NORMAL, "", "r1"),
    ],
)
def test_whoever_asks_for_the_candidate_gets_it_where_the_spec_lets_it_and_a_pod_is_there(
    traffic: Traffic, pods_of_candidate: str, served_by: str
) -> None:
    subject = targets()
    stable, candidate = revision("r1", 1000, "a"), revision("r2", 0, *pods_of_candidate)
    subject.apply(RouteTable({"digits": ModelRoute("digits", "uid", 1, traffic, stable, candidate)}))
    picked = subject.models["digits"].pick(wants_candidate=True)
    assert picked is not None
    assert picked.route.name == served_by


def test_a_model_made_again_under_its_name_starts_anew() -> None:
    subject = targets()
    subject.apply(table(revision("r1", 1000, "a")))
    before = subject.models["digits"]
    subject.apply(RouteTable({"digits": ModelRoute("digits", "other", 1, stable=revision("r1", 1000, "a"))}))
    after = subject.models["digits"]
    assert after is not before
    assert before.stable is None
    assert after.stable is not None
    assert after.route.uid == "other"


def test_a_flip_of_weights_leaves_endpoints_as_they_are() -> None:
    subject = targets()
    subject.apply(table(revision("r1", 1000, "a", "b")))
    stable = subject.models["digits"].stable
    assert stable is not None
    endpoints = stable.endpoints
    subject.apply(table(revision("r1", 900, "a", "b"), revision("r2", 100, "c"), epoch=2))
    assert subject.models["digits"].stable is stable
    assert stable.endpoints is endpoints
    assert stable.route.weight_permille == 900


def test_among_very_many_endpoints_every_one_has_its_turn() -> None:
    subject = targets()
    names = [f"pod-{number:04}" for number in range(10 * COMPARED)]
    many = RevisionRoute("r1", 1000, tuple(Endpoint(name, "10.0.0.1") for name in names))
    subject.apply(table(many))
    stable = subject.models["digits"].stable
    assert stable is not None
    for _ in range(3 * len(names)):
        target = stable.least_outstanding()
        assert target is not None
        target.outstanding += 1
    assert {target.outstanding for target in stable.endpoints} == {3}


@pytest.mark.parametrize(
    ("stable", "weight", "wants_candidate", "answers"),
    [
        ("a", 1000, False, "r1"),
        ("a", 0, True, "r2"),
        ("", 10, False, "r2"),
        ("", 0, False, "r1"),
    ],
)
def test_a_call_that_is_no_evidence_goes_to_stable_and_tosses_nothing(
    stable: str, weight: int, answers: str, *, wants_candidate: bool
) -> None:
    subject = targets()
    subject.apply(table(revision("r1", 1000 - weight, *stable), revision("r2", weight, "b")))
    found = {subject.models["digits"].pick_without_toss(wants_candidate=wants_candidate) for _ in range(10)}
    assert [one.route.name for one in found if one] == [answers]


def ladders(**models: ModelRoute) -> Targets:
    subject = targets()
    subject.apply(RouteTable(models))
    return subject


def model(
    name: str, fallback: str | None = None, traffic: Traffic = Traffic.NORMAL, *, pods: str = "a", overload: bool = True
) -> ModelRoute:
    stable = revision(f"{name}-1", 1000, *pods)
    return ModelRoute(name, name, 1, traffic, stable, ladder=Ladder(fallback, on_overload=overload))


@pytest.mark.parametrize(
    ("why", "first", "second", "because"),
    [
        ("overload", model("first", "second"), model("second"), "overload"),
        ("traffic", model("first", "second", Traffic.FALLBACK, overload=False), model("second"), "traffic"),
        ("overload that is to be rejected", model("first", "second", overload=False), model("second"), None),
        ("no fallback", model("first"), model("second"), None),
        ("a fallback that does not exist", model("first", "fourth"), model("second"), None),
        ("itself", model("first", "first"), model("second"), None),
        ("stopped traffic", model("first", "second", Traffic.STOPPED), model("second"), None),
        ("a fallback without pods", model("first", "second"), model("second", pods=""), None),
        ("a fallback that is stopped", model("first", "second"), model("second", traffic=Traffic.STOPPED), None),
        ("a circle", model("first", "second", Traffic.FALLBACK), model("second", "first", Traffic.FALLBACK), None),
        ("two hops", model("first", "second", Traffic.FALLBACK), model("second", "third", Traffic.FALLBACK), None),
        ("one hop of a circle", model("first", "second", Traffic.FALLBACK), model("second", "first"), "traffic"),
    ],
)
def test_who_stands_in(why: str, first: ModelRoute, second: ModelRoute, because: str | None) -> None:
    subject = ladders(first=first, second=second, third=model("third"))
    found = subject.stand_in(subject.models["first"])
    assert (found and (found.model.route.model, found.because)) == (because and ("second", because)), why


@pytest.mark.parametrize(
    ("why", "first", "second", "because"),
    [
        ("it need not stand in under overload", Ladder("second"), Traffic.NORMAL, "confidence"),
        ("it would in any case", Ladder("second", on_overload=True), Traffic.NORMAL, "confidence"),
        ("there is none", Ladder(), Traffic.NORMAL, None),
        ("it is itself", Ladder("first"), Traffic.NORMAL, None),
        ("one hop", Ladder("second"), Traffic.FALLBACK, None),
    ],
)
def test_who_stands_in_for_a_model_that_is_not_sure(
    why: str, first: Ladder, second: Traffic, because: str | None
) -> None:
    asked = ModelRoute("first", "first", 1, stable=revision("r", 1000, "a"), ladder=first)
    subject = ladders(first=asked, second=model("second", "first", second))
    found = subject.stand_in(subject.models["first"], unsure=True)
    assert (found and (found.model.route.model, found.because)) == (because and ("second", because)), why


def test_nobody_stands_in_for_a_model_that_was_stopped_while_it_answered() -> None:
    subject = ladders(first=model("first", "second", Traffic.STOPPED), second=model("second"))
    assert subject.stand_in(subject.models["first"], unsure=True) is None


def test_a_fallback_that_has_as_many_as_it_may_stands_in_for_nobody() -> None:
    subject = ladders(first=model("first", "second"), second=model("second"))
    found = subject.stand_in(subject.models["first"])
    assert found is not None
    found.endpoint.outstanding = 64
    assert subject.stand_in(subject.models["first"]) is None


def test_a_fallback_that_keeps_a_state_stands_in_for_nobody() -> None:
    looked = Looked()
    looked.inspections.stateful |= {"second-1": True, "third-1": False}
    subject = targets(looked.inspections)
    asking = {"a": model("a", "second"), "b": model("b", "third")}
    subject.apply(RouteTable({**asking, "second": model("second"), "third": model("third")}))
    assert [subject.stand_in(subject.models[name]) is None for name in asking] == [True, False]


def test_what_stands_in_takes_no_slot_of_the_split() -> None:
    second = ModelRoute("second", "second", 1, stable=revision("s1", 1, "a"), candidate=revision("s2", 999, "b"))
    subject = ladders(first=model("first", "second", Traffic.FALLBACK), second=second)
    found = [subject.stand_in(subject.models["first"]) for _ in range(50)]
    assert {one.revision.route.name for one in found if one} == {"s1"}
