"""What the tests of gateways in a cluster share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.support.load import Load, Traffic
from tests.support.team import Object, Team

from plimsoll_dev.models.samples import infer_request, samples
from plimsoll_dev.testbed.model import Served

DIGITS = infer_request(samples()[0].image)
PLANTED: Mapping[str, Any] = {
    "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1.0, 2.0, 3.0, 4.0]}]
}
KINDS = ("new", "kept", "grpc")
CLIENTS = 2 * len(KINDS)
SYSTEM = "plimsoll-system"
GATEWAY = "plimsoll-gateway"
GATEWAYS = "plimsoll.dev/component=gateway"
COMPONENT = "plimsoll.dev/component"


def through_gateway(team: Team, name: str = "digits") -> bool:
    return COMPONENT in team.get("service", name)["spec"]["selector"]


def behind_gateway(team: Team, uri: str, name: str = "digits", **spec: object) -> Served:
    served = team.deploy(name, uri, **spec)
    team.until_ready(served)
    team.until("requests go through the gateway", lambda: through_gateway(team, name), 240)
    return served


@contextmanager
def load(team: Team, served: Served, body: Mapping[str, Any] = PLANTED, **how: Any) -> Iterator[Load]:
    """Requests without a pause, and so many that one lost in ten thousand shows."""
    with team.traffic(dict(body), served, kinds=KINDS, at_least=10_000, pause_s=0, **how) as running:
        yield running


def assert_none_lost(seen: Traffic) -> None:
    assert seen.failures == []
    assert_enough(seen)


def assert_enough(seen: Traffic) -> None:
    assert seen.sent >= 10_000
    assert min(seen.by_kind[kind] for kind in KINDS) > 500


def gateway_deployments(team: Team) -> list[Object]:
    return [item for item in team.all("deployments", GATEWAYS) if item["metadata"]["name"] == GATEWAY]


def ready_gateways(team: Team) -> int:
    return sum(item.get("status", {}).get("readyReplicas", 0) for item in gateway_deployments(team))


def gateway_pods(team: Team) -> list[Object]:
    """Those that do not end."""
    return [pod for pod in team.all("pods", GATEWAYS) if "deletionTimestamp" not in pod["metadata"]]


def gateway_names(team: Team) -> list[str]:
    return [pod["metadata"]["name"] for pod in gateway_pods(team)]


def model_pods(team: Team, name: str = "digits") -> list[str]:
    return [pod for pod in team.names("pods") if pod.startswith(f"{name}-")]


def routes(team: Team, pod: str, model: str = "digits") -> Object:
    """What a gateway follows."""
    found: Object = json.loads(team.admin(pod, f"/v1/routes?model={model}"))
    return found
