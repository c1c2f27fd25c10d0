"""A model that fails is taken from its users by the gateway alone, over a real gRPC client and real gRPC servers."""

from __future__ import annotations

import grpc
import pytest
from tests.support.grpc_gateway import revision
from tests.support.grpc_stage import infer, refused, stage

from plimsoll.api.degradation import KillAction, KillSwitch
from plimsoll.core.kill_switch.policy import kill_policy_of
from plimsoll.core.routing.ladder import Ladder
from plimsoll.core.routing.table import ModelRoute, RevisionRoute, RouteTable

BOOM = (grpc.StatusCode.INTERNAL, "boom")


def switched(action: KillAction, candidate: RevisionRoute | None = None) -> RouteTable:
    """The model `digits`, whose switch trips at 20 % of at least 10 requests, and `small` on pod b."""
    kill = kill_policy_of(KillSwitch(error_rate="20%", window="10s", min_requests=10, action=action))
    first = revision("r1", "a", weight=500 if candidate else 1000)
    digits = ModelRoute("digits", "d", 1, stable=first, candidate=candidate, ladder=Ladder("small", kill=kill))
    return RouteTable({"digits": digits, "small": ModelRoute("small", "s", 1, stable=revision("s1", "b"))})


@pytest.mark.parametrize("action", [KillAction.STOPPED, KillAction.FALLBACK])
async def test_the_call_after_the_one_that_is_too_much(action: KillAction) -> None:
    async with stage("a", "b", routes=switched(action)) as on:
        on.pods["a"].fails = [BOOM] * 100
        for _ in range(10):
            assert (await refused(on.stub.ModelInfer(infer()))).code() is grpc.StatusCode.INTERNAL
        call = on.stub.ModelInfer(infer())
        if action is KillAction.STOPPED:
            error = await refused(call)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert "10 of 10 requests failed" in (error.details() or "")
        else:
            assert (await call).model_name == "small"
            said = dict(await call.initial_metadata() or ())["x-plimsoll-degraded"]
            assert said == "fallback; model=small; reason=kill-switch"
        assert len(on.pods["a"].requests) == 10


async def test_a_candidate_whose_failures_stable_makes_good_is_the_roll_outs_business() -> None:
    async with stage("a", "b", "c", routes=switched(KillAction.STOPPED, revision("r2", "c", weight=500))) as on:
        on.pods["c"].fails = [BOOM] * 100
        for _ in range(60):
            assert (await on.stub.ModelInfer(infer())).model_name == "digits"
        assert on.pods["c"].requests
        assert on.gateway.switches.trips() == {}


async def test_what_clients_do_wrong_never_trips_it() -> None:
    async with stage("a", "b", routes=switched(KillAction.STOPPED)) as on:
        on.pods["a"].fails = [(grpc.StatusCode.INVALID_ARGUMENT, "no")] * 20
        for _ in range(20):
            assert (await refused(on.stub.ModelInfer(infer()))).code() is grpc.StatusCode.INVALID_ARGUMENT
        assert on.gateway.switches.trips() == {}
