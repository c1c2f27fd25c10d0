"""From the words of a spec to the numbers that a gateway keeps."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.api.preflight import Objective
from plimsoll.api.requests import Overload, Requests
from plimsoll.core.routing.limits import RequestLimits, limits_of

MIB = 1 << 20


def made(**spec: Any) -> RequestLimits:
    requests, overload, objective = spec.get("requests"), spec.get("overload"), spec.get("objective")
    return limits_of(
        None if requests is None else Requests.model_validate(requests),
        None if overload is None else Overload.model_validate(overload),
        None if objective is None else Objective.model_validate(objective),
    )


def promising(*latencies: str) -> dict[str, Any]:
    return {"latency": [{"percentile": str(90 + n), "max": latency} for n, latency in enumerate(latencies)]}


def test_a_spec_that_states_nothing() -> None:
    assert made() == made(requests={}, overload={}, objective={}) == RequestLimits(64, None, 64 * MIB, 256, None, None)


@pytest.mark.parametrize(
    ("spec", "limits"),
    [
        ({"requests": {"maxConcurrent": 8}}, RequestLimits(max_concurrent=8)),
        ({"requests": {"maxBody": "1Mi"}}, RequestLimits(max_body=MIB)),
        ({"requests": {"maxBody": 100}}, RequestLimits(max_body=100)),
        ({"requests": {"maxBody": "1500m"}}, RequestLimits(max_body=1)),
        ({"requests": {"keepWarm": "1m30s"}}, RequestLimits(keep_warm_s=90)),
        ({"overload": {"maxQueue": 0}}, RequestLimits(max_queue=0)),
        ({"overload": {"maxWait": "1s500ms"}}, RequestLimits(max_wait_s=1.5)),
        ({"objective": promising("200ms")}, RequestLimits(promise_s=0.2)),
        ({"objective": promising("2s", "300ms", "1m")}, RequestLimits(promise_s=0.3)),
    ],
    ids=str,
)
def test_what_a_spec_states(spec: dict[str, Any], limits: RequestLimits) -> None:
    assert made(**spec) == limits


def test_what_newer_rules_admit_is_kept_as_far_as_this_program_can() -> None:
    newer = {"requests": {"maxBody": "2Ti"}, "overload": {"maxWait": "1h"}}
    assert made(**newer) == RequestLimits(max_body=1024 * MIB, max_wait_s=30)
    assert made(requests={"maxBody": "0"}) == RequestLimits(max_body=1)
    assert made(requests={"keepWarm": "1ms"}) == RequestLimits(keep_warm_s=10)
