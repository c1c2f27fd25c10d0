"""Requests through the gateway in a real cluster: every change of the way they take costs none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.cluster.gateways import (
    DIGITS,
    GATEWAY,
    PLANTED,
    SYSTEM,
    assert_none_lost,
    behind_gateway,
    load,
    model_pods,
    ready_gateways,
    through_gateway,
)
from tests.support.load import Traffic
from tests.support.team import Team


def test_the_service_is_handed_to_the_gateway_and_back_without_losing_a_request(
    team: Team, uris: Mapping[str, str]
) -> None:
    served = team.deploy("digits", uris["digits"], traffic="Direct")
    team.until_ready(served)
    team.until("the gateways are ready", lambda: ready_gateways(team) == 2, 240)
    address = team.get("service", "digits")["spec"]["clusterIP"]
    with load(team, served, DIGITS) as stop:
        team.patch("mdep", "digits", {"spec": {"traffic": "Normal"}})
        team.until("requests go through the gateway", lambda: through_gateway(team), 60)
        team.patch("mdep", "digits", {"spec": {"traffic": "Direct"}})
        team.until("requests go past it", lambda: not through_gateway(team), 60)
        seen = stop()
    assert_none_lost(seen)
    assert team.get("service", "digits")["spec"]["clusterIP"] == address


def test_a_new_model_takes_over_behind_the_gateway(team: Team, uris: Mapping[str, str]) -> None:
    served = behind_gateway(team, uris["digits"], runtime={"drain": "5s"})
    old = served.status()["stable"]
    with load(team, served, DIGITS) as stop:
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
    with load(team, served, DIGITS) as stop:
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
    with load(team, served, DIGITS) as stop:
        team.kubectl("rollout", "restart", f"deployment/{GATEWAY}")
        team.kubectl("rollout", "status", f"deployment/{GATEWAY}", "--timeout=180s", timeout_s=190)
        seen = stop()
    assert_none_lost(seen)


def test_fewer_replicas_and_more_again_lose_nothing(team: Team, uris: Mapping[str, str]) -> None:
    served = behind_gateway(team, uris["digits"], replicas=3, runtime={"drain": "20s"})
    with load(team, served, DIGITS) as stop:
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
    with load(team, served, DIGITS) as stop:
        if end == "evicted":
            team.evict(pod)
        else:
            force = ("--grace-period=0", "--force") if end == "killed" else ()
            team.kubectl("delete", "pod", pod, *force)
        team.until("another has taken its place", lambda: pod not in model_pods(team) and len(model_pods(team)) == 2)
        team.until_ready(served)
        seen = stop()
    assert_none_lost(seen)


def test_a_kept_answer_is_never_that_of_another_revision(team: Team, uris: Mapping[str, str]) -> None:
    spec: dict[str, Any] = {"cache": {"recheck": "0%"}, "preflight": {"budget": "10s"}, "runtime": {"drain": "2s"}}
    served = behind_gateway(team, uris["digits"], **spec)

    def asked() -> Traffic:
        with team.traffic(DIGITS, served, at_least=1_000, pause_s=0) as stop:
            return stop()

    def goes_to(model: str) -> None:
        team.deploy("digits", uris[model], **spec)
        team.until_ready(served, 240)

    hot = asked()
    assert (hot.failures, set(hot.versions)) == ([], {"1"})
    assert hot.cache["hit"] > 900
    goes_to("digits-v2")
    new = asked()
    assert (new.failures, set(new.versions)) == ([], {"2"}), "not one answer of the old one"
    assert new.cache["miss"] >= 1
    goes_to("digits")
    back = asked()
    assert (back.failures, set(back.versions), back.cache) == ([], {"1"}, {"hit": back.sent}), "the old answers at once"


def test_kept_answers_that_the_model_contradicts_are_told_in_an_event(
    team: Team, planted_uris: tuple[str, str]
) -> None:
    """It was deterministic when it was examined, and is not any more."""
    served = behind_gateway(team, planted_uris[0], cache={"recheck": "10%"}, preflight={"budget": "10s"})
    with team.traffic(dict(PLANTED), served, pause_s=0) as running:
        running.until_ended(1_000)
        assert "CacheMismatch" not in team.kubectl("get", "events")
        (pod,) = model_pods(team)
        team.kubectl("exec", pod, "-c", "triton", "--", "sh", "-c", "echo drift > /tmp/fault")
        team.until("somebody is told", lambda: "CacheMismatch" in team.kubectl("get", "events"), 60)
        seen = running()
    assert seen.failures == []
    assert seen.cache["recheck"] > 50
    assert served.status()["stable"] in team.events("digits")["CacheMismatch"]


def test_the_last_model_leaves_the_gateways_for_the_next_one(team: Team, uris: Mapping[str, str]) -> None:
    behind_gateway(team, uris["digits"])
    team.kubectl("delete", "mdep", "digits")
    team.until("the model is gone", lambda: "digits" not in team.names("services"))
    assert ready_gateways(team) == 2
    again = team.deploy("digits", uris["digits"])
    team.until_ready(again)
    team.until("requests go through the gateway", lambda: through_gateway(team), 60)
