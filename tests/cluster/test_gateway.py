"""Requests through the gateway in a real cluster: every change of the way they take costs none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from tests.cluster.conftest import PROGRESS_DEADLINE
from tests.support.team import Team, Traffic

from plimsoll_dev.models.samples import infer_request, samples
from plimsoll_dev.testbed.harness import Harness
from plimsoll_dev.testbed.model import Served

BODY = infer_request(samples()[0].image)
KINDS = ("new", "kept", "grpc")
SYSTEM = "plimsoll-system"
GATEWAY = "plimsoll-gateway"
GATEWAYS = "plimsoll.dev/component=gateway"
COMPONENT = "plimsoll.dev/component"


@pytest.fixture(scope="module", autouse=True)
def _gateways(testbed: Harness) -> Iterator[None]:
    """The chart makes gateways for this module only: the others ask what holds without one."""
    testbed.installation.install({"defaults.progressDeadline": PROGRESS_DEADLINE, "gateway.enabled": "true"})
    yield
    testbed.installation.install({"defaults.progressDeadline": PROGRESS_DEADLINE})


def through_gateway(team: Team, name: str = "digits") -> bool:
    return COMPONENT in team.get("service", name)["spec"]["selector"]


def behind_gateway(team: Team, uri: str, **spec: object) -> Served:
    served = team.deploy("digits", uri, **spec)
    team.until_ready(served)
    team.until("requests go through the gateway", lambda: through_gateway(team), 240)
    return served


@contextmanager
def load(team: Team, served: Served) -> Iterator[Callable[[], Traffic]]:
    """Requests without a pause, and so many that one lost in ten thousand shows."""
    with team.traffic(BODY, served, kinds=KINDS, at_least=10_000, pause_s=0) as stop:
        yield stop


def assert_none_lost(seen: Traffic) -> None:
    assert seen.failures == []
    assert seen.sent >= 10_000
    assert min(seen.by_kind[kind] for kind in KINDS) > 1_000


def test_the_service_is_handed_to_the_gateway_and_back_without_losing_a_request(
    team: Team, uris: Mapping[str, str]
) -> None:
    served = team.deploy("digits", uris["digits"], traffic="Direct")
    team.until_ready(served)
    team.until("the gateways are ready", lambda: ready_gateways(team) == 2, 240)
    address = team.get("service", "digits")["spec"]["clusterIP"]
    with load(team, served) as stop:
        team.patch("mdep", "digits", {"spec": {"traffic": "Normal"}})
        team.until("requests go through the gateway", lambda: through_gateway(team), 60)
        team.patch("mdep", "digits", {"spec": {"traffic": "Direct"}})
        team.until("requests go past it", lambda: not through_gateway(team), 60)
        seen = stop()
    assert_none_lost(seen)
    assert team.get("service", "digits")["spec"]["clusterIP"] == address


def ready_gateways(team: Team) -> int:
    found = [item for item in team.all("deployments", GATEWAYS) if item["metadata"]["name"] == GATEWAY]
    return sum(item.get("status", {}).get("readyReplicas", 0) for item in found)


def test_a_new_model_takes_over_behind_the_gateway(team: Team, uris: Mapping[str, str]) -> None:
    served = behind_gateway(team, uris["digits"], runtime={"drain": "5s"})
    old = served.status()["stable"]
    with load(team, served) as stop:
        team.deploy("digits", uris["digits-v2"], runtime={"drain": "5s"})
        team.until_ready(served)
        team.until("the old revision is gone", lambda: old not in team.names("deployments"))
        seen = stop()
    assert_none_lost(seen)
    assert set(seen.versions) == {"1", "2"}
    assert through_gateway(team)


def test_it_serves_on_without_a_controller_and_follows_the_next_one(team: Team, uris: Mapping[str, str]) -> None:
    served = behind_gateway(team, uris["digits"], runtime={"drain": "5s"})
    scale = ("-n", SYSTEM, "scale", "deployment", "plimsoll")
    with load(team, served) as stop:
        team.testbed.kubectl.run(*scale, "--replicas=0")
        gone = ("-n", SYSTEM, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=controller")
        team.testbed.kubectl.run(*gone, "--timeout=60s", timeout_s=70)
        team.deploy("digits", uris["digits-v2"], runtime={"drain": "5s"})
        team.testbed.kubectl.run(*scale, "--replicas=2")
        team.until("the new model is promoted", served.is_ready)
        seen = stop()
    assert_none_lost(seen)
    assert set(seen.versions) == {"1", "2"}


def test_gateways_that_restart_lose_nothing(team: Team, uris: Mapping[str, str]) -> None:
    served = behind_gateway(team, uris["digits"])
    with load(team, served) as stop:
        team.kubectl("rollout", "restart", f"deployment/{GATEWAY}")
        team.kubectl("rollout", "status", f"deployment/{GATEWAY}", "--timeout=180s", timeout_s=190)
        seen = stop()
    assert_none_lost(seen)


def test_fewer_replicas_and_more_again_lose_nothing(team: Team, uris: Mapping[str, str]) -> None:
    served = behind_gateway(team, uris["digits"], replicas=3, runtime={"drain": "20s"})
    with load(team, served) as stop:
        for replicas in (1, 2):
            team.kubectl("scale", "mdep", "digits", f"--replicas={replicas}")
            team.until(f"{replicas} pods are left", lambda count=replicas: len(model_pods(team)) == count)
            team.until_ready(served)
        seen = stop()
    assert_none_lost(seen)
    assert "DrainTimedOut" not in team.kubectl("get", "events")


@pytest.mark.parametrize("end", ["deleted", "evicted", "killed"])
def test_a_model_server_that_ends_loses_nothing(team: Team, uris: Mapping[str, str], end: str) -> None:
    served = behind_gateway(team, uris["digits"], replicas=2)
    pod = model_pods(team)[0]
    with load(team, served) as stop:
        if end == "evicted":
            team.evict(pod)
        else:
            force = ("--grace-period=0", "--force") if end == "killed" else ()
            team.kubectl("delete", "pod", pod, *force)
        team.until("another has taken its place", lambda: pod not in model_pods(team) and len(model_pods(team)) == 2)
        team.until_ready(served)
        seen = stop()
    assert_none_lost(seen)


def model_pods(team: Team) -> list[str]:
    return [pod for pod in team.names("pods") if pod.startswith("digits-")]


def test_the_last_model_leaves_the_gateways_for_the_next_one(team: Team, uris: Mapping[str, str]) -> None:
    behind_gateway(team, uris["digits"])
    team.kubectl("delete", "mdep", "digits")
    team.until("the model is gone", lambda: "digits" not in team.names("services"))
    assert ready_gateways(team) == 2
    again = team.deploy("digits", uris["digits"])
    team.until_ready(again)
    team.until("requests go through the gateway", lambda: through_gateway(team), 60)
