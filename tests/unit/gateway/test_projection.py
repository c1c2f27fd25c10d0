"""What is kept of the objects that a gateway watches, and what is wrong with some of them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.routed import endpoint, endpoint_slice, model, routing

from plimsoll.api.confidence import OnLow
from plimsoll.api.requests_validation import OnInvalid
from plimsoll.api.routing import Traffic
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.routing.endpoints import Slice
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.table import Endpoint
from plimsoll.gateway.projection import project_model, project_slice


def test_a_model_as_the_controller_writes_it() -> None:
    kept = project_model(model(traffic="StableOnly", routing=routing(7, r1=950, r2=50, draining={"r1": ["a"]})))
    assert (kept.uid, kept.traffic, kept.problem) == ("uid-1", Traffic.STABLE_ONLY, "")
    assert kept.routing is not None
    assert kept.routing.epoch == 7
    assert [(part.name, part.weight_permille, part.draining) for part in kept.routing.revisions] == [
        ("r1", 950, ["a"]),
        ("r2", 50, None),
    ]


def test_a_new_model() -> None:
    kept = project_model({"metadata": {"uid": "uid-1"}})
    assert (kept.traffic, kept.routing, kept.problem) == (Traffic.NORMAL, None, "")


def test_what_a_newer_controller_adds_is_no_obstacle() -> None:
    newer = routing(1, r1=1000) | {"shadow": {"share": 5}}
    newer["revisions"][0]["tier"] = "gold"
    kept = project_model(model(routing=newer))
    assert kept.problem == ""
    assert kept.routing is not None


def test_two_versions_that_mean_the_same_are_equal() -> None:
    assert project_model(model(version=1, routing=routing(1, r1=1000))) == project_model(
        model(version=2, routing=routing(1, r1=1000))
    )


@pytest.mark.parametrize(
    ("status", "names"),
    [
        ({"epoch": 0, "revisions": []}, "status.routing.epoch"),
        ({"revisions": []}, "status.routing.epoch"),
        ({"epoch": "soon", "revisions": []}, "status.routing.epoch"),
        ({"epoch": 1}, "status.routing.revisions"),
        ({"epoch": 1, "revisions": [{"name": "r1", "weightPermille": 1001}]}, "status.routing.revisions.0.weightPermi"),
        (
            {"epoch": 1, "revisions": [{"name": "r1", "weightPermille": -1}]},
            "status.routing.revisions.0.weightPermille",
        ),
        ({"epoch": 1, "revisions": [{"name": "", "weightPermille": 0}]}, "status.routing.revisions.0.name"),
        (["r1"], "status.routing"),
        ("r1", "status.routing"),
        (routing(1, r1=951, r2=50), "add up to 1001"),
    ],
)
def test_a_status_that_cannot_be_followed_says_why(status: Any, names: str) -> None:
    kept = project_model(model(routing=status))
    assert kept.routing is None
    assert names in kept.problem
    assert kept.problem.endswith(".")


def test_a_value_of_traffic_that_is_not_known_here() -> None:
    kept = project_model(model(traffic="Mirror", routing=routing(1, r1=1000)))
    assert (kept.traffic, kept.problem) == (None, "This gateway does not know spec.traffic Mirror.")
    assert kept.routing is not None, "the rest is followed"


def test_the_limits_of_a_spec() -> None:
    kept = project_model(
        model(
            requests={"maxConcurrent": 8, "maxBody": "1Mi"},
            overload={"maxQueue": 10, "maxWait": "2s", "action": "Reject"},
            objective={"latency": [{"percentile": "99", "max": "200ms"}, {"percentile": "50", "max": "50ms"}]},
        )
    )
    assert kept.limits == RequestLimits(64, 8, 1 << 20, 10, 2.0, 0.05)
    assert (project_model(model()).limits, kept.problem) == (RequestLimits(), "")


@pytest.mark.parametrize(
    ("spec", "limits", "names"),
    [
        (
            {"requests": {"maxConcurrent": 0, "maxBody": "1Mi"}},
            RequestLimits(max_body=1 << 20),
            "requests.maxConcurrent",
        ),
        ({"requests": {"maxBody": "much"}}, RequestLimits(), "spec.requests.maxBody"),
        ({"requests": ["a"]}, RequestLimits(), "spec.requests"),
        ({"overload": {"action": "Ignore", "maxQueue": 3}}, RequestLimits(max_queue=3), "spec.overload.action"),
        ({"overload": {"maxWait": "soon"}}, RequestLimits(), "spec.overload.maxWait"),
        ({"objective": {"latency": [{"percentile": "99"}]}}, RequestLimits(), "spec.objective.latency.0.max"),
        ({"objective": "fast"}, RequestLimits(), "spec.objective"),
    ],
    ids=str,
)
def test_limits_that_cannot_be_read_say_why_and_the_rest_holds(
    spec: dict[str, Any], limits: RequestLimits, names: str
) -> None:
    kept = project_model(model(routing=routing(1, r1=1000), **spec))
    assert kept.limits == limits
    assert names in kept.problem
    assert kept.problem.endswith(".")
    assert kept.routing is not None


def test_a_cache() -> None:
    kept = project_model(model(cache={"ttl": "1m", "maxBytes": "1Mi", "parameters": ["seed"], "recheck": "5%"}))
    assert (kept.cache, kept.problem) == (CachePolicy(60.0, 1 << 20, ("seed",), 0.05), "")


@pytest.mark.parametrize("cache", ["5m", {"ttl": "soon"}, {"maxBytes": "much"}, {"parameters": "seed"}])
def test_a_cache_that_cannot_be_read_is_none(cache: Any) -> None:
    kept = project_model(model(cache=cache, routing=routing(1, r1=1000)))
    assert (kept.cache, kept.problem) == (None, "This gateway cannot read spec.cache, so it keeps no answers.")
    assert kept.routing is not None, "the rest is followed"


def test_a_threshold_for_the_confidence_of_answers() -> None:
    confidence = {"output": "p", "threshold": "0.8", "onLow": "Abstain"}
    kept = project_model(model(requests={"confidence": confidence}))
    assert kept.confidence is not None
    assert (kept.confidence.output, kept.confidence.on_low, kept.problem) == ("p", OnLow.ABSTAIN, "")


@pytest.mark.parametrize(
    "confidence",
    [{}, "0.8", {"output": "p", "threshold": "80%"}, {"output": "p", "threshold": "0.8", "onLow": "Ask"}],
    ids=str,
)
def test_a_confidence_that_cannot_be_read_is_none_and_the_rest_holds(confidence: Any) -> None:
    kept = project_model(model(requests={"confidence": confidence, "maxBody": "1Mi"}))
    assert (kept.confidence, kept.limits.max_body) == (None, 1 << 20)
    assert "spec.requests.confidence" in kept.problem


EXAMINED = {
    "revision": "r1",
    "outcome": "Passed",
    "reason": "Passed",
    "key": "k",
    "at": "2026-01-01T00:00:00Z",
    "inputs": [{"name": "x", "dataType": "FP32", "dims": [4]}],
    "outputs": [{"name": "y", "dataType": "INT64", "dims": [-1]}],
    "maxBatchSize": 8,
}


def with_preflight(preflight: Any, **spec: Any) -> Any:
    examined = model(routing=routing(1, r1=1000), **spec)
    examined["status"]["preflight"] = preflight
    return project_model(examined)


def test_the_rules_for_values() -> None:
    kept = with_preflight(EXAMINED, requests={"onInvalid": "Reject"})
    assert kept.rules
    assert (kept.rules.revision, kept.rules.on_invalid, kept.problem) == ("r1", OnInvalid.REJECT, "")
    assert kept.rules.schema.inputs["x"].shape == (-1, 4)


def test_the_rules_of_the_stable_revision_while_another_one_is_examined() -> None:
    """A gateway that starts now has nothing but this status to know them from."""
    examined = model(routing=routing(1, r1=950, r2=50), requests={"onInvalid": "Reject"})
    interface = {key: EXAMINED[key] for key in ("revision", "inputs", "outputs", "maxBatchSize")}
    examined["status"] |= {"preflight": {**EXAMINED, "revision": "r2"}, "stableInterface": interface}
    kept = project_model(examined)
    assert kept.rules
    assert kept.stable_rules
    assert (kept.rules.revision, kept.stable_rules.revision, kept.problem) == ("r2", "r1", "")
    assert (kept.stable_rules.schema, kept.stable_rules.on_invalid) == (kept.rules.schema, OnInvalid.REJECT)


def test_without_a_known_interface_there_are_no_rules() -> None:
    assert project_model(model()).rules is None
    assert with_preflight({**EXAMINED, "inputs": None}).rules is None


def test_an_interface_that_cannot_be_read_says_so_and_the_rest_holds() -> None:
    kept = with_preflight({**EXAMINED, "inputs": "x"})
    assert (kept.rules, kept.problem) == (
        None,
        "This gateway cannot read status.preflight, so it checks no values of the revision in it.",
    )
    assert kept.routing is not None


def test_a_slice_as_the_controller_of_kubernetes_writes_it_for_a_headless_service() -> None:
    """`ready` is true for each of them, because the Service publishes addresses of pods that are not ready."""
    kept = project_slice(
        endpoint_slice(
            "r1",
            [
                endpoint("serves", "10.0.0.1"),
                endpoint("starts", "10.0.0.2", serving=False),
                endpoint("ends", "10.0.0.3", terminating=True),
                endpoint("ends-unready", "10.0.0.4", serving=False, terminating=True),
            ],
        )
    )
    assert kept == Slice(usable=(Endpoint("serves", "10.0.0.1"),), ending=("ends", "ends-unready"))


def test_an_endpoint_without_conditions_is_usable() -> None:
    bare = endpoint("a")
    del bare["conditions"]
    assert project_slice(endpoint_slice("r1", [bare])).usable == (Endpoint("a", "10.0.0.1"),)


@pytest.mark.parametrize(
    "useless",
    [
        {"targetRef": None},
        {"targetRef": {"kind": "Node", "name": "n"}},
        {"targetRef": {"kind": "Pod"}},
        {"addresses": []},
        {"addresses": None},
    ],
)
def test_an_endpoint_that_is_no_pod_with_an_address_is_left_out(useless: dict[str, Any]) -> None:
    kept = project_slice(endpoint_slice("r1", [endpoint("a") | useless, endpoint("b")]))
    assert [one.pod for one in kept.usable] == ["b"]


def test_no_endpoints() -> None:
    empty = endpoint_slice("r1", []) | {"endpoints": None}
    assert project_slice(empty) == Slice()


@pytest.mark.parametrize(
    ("family", "kept"),
    [
        ("IPv4", Slice(usable=(Endpoint("a", "x"),))),
        ("IPv6", Slice(ipv6=True, usable=(Endpoint("a", "x"),))),
        ("FQDN", Slice()),
    ],
)
def test_families(family: str, kept: Slice) -> None:
    assert project_slice(endpoint_slice("r1", [endpoint("a", "x")], family=family)) == kept
