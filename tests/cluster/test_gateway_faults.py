"""What gateways lose, and what they do by themselves, when processes around them or they themselves end or change."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import sqrt

import pytest
from tests.cluster.conftest import PROGRESS_DEADLINE
from tests.cluster.gateways import (
    CLIENTS,
    SYSTEM,
    assert_enough,
    assert_none_lost,
    behind_gateway,
    gateway_names,
    gateway_pods,
    load,
    ready_gateways,
    routes,
)
from tests.support.load import Phase
from tests.support.on_node import KILL, SUSPEND, on_node
from tests.support.team import Team

from plimsoll_dev.testbed.installation import Installation
from plimsoll_dev.testbed.model import Served

LONG_DRAIN = {"runtime": {"drain": "1h"}}
AT_ONCE_S = 1.0
SLACK_S = 1.5
"""For a busy machine, and for a node whose clock is not the tests'."""
SPARE = {"fallback": {"name": "steady"}, "overload": {"action": "Fallback"}}
SWITCH = {"killSwitch": {"errorRate": "20%", "window": "2s", "minRequests": 20, "action": "Fallback"}}


@pytest.fixture(scope="module")
def team(new_team: Callable[[str], Team]) -> Iterator[Team]:
    team = new_team("faults")
    yield team
    team.testbed.installation.install({"defaults.progressDeadline": PROGRESS_DEADLINE})
    team.testbed.kubectl.run("delete", "namespace", team.namespace, "--wait=false")


@pytest.fixture(scope="module")
def served(team: Team, planted_uris: tuple[str, str]) -> Served:
    return behind_gateway(team, planted_uris[0], **LONG_DRAIN)


@pytest.fixture
def both(team: Team, served: Served, planted_uris: tuple[str, str]) -> tuple[str, str]:
    """The serving revision, and the one that it has just replaced, whose pod drains for an hour."""
    team.deploy("digits", planted_uris[0], **LONG_DRAIN)
    team.until_ready(served)
    old = served.status()["stable"]
    team.deploy("digits", planted_uris[1], **LONG_DRAIN)
    team.until_ready(served)
    return served.status()["stable"], old


@contextmanager
def no_controller(team: Team) -> Iterator[None]:
    """From the moment at which all is as the spec wants."""
    kubectl, controllers = team.testbed.kubectl, ("scale", "deployment", "plimsoll")
    kubectl.run("-n", SYSTEM, *controllers, "--replicas=0")
    gone = ("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=controller", "--timeout=60s")
    kubectl.run("-n", SYSTEM, *gone, timeout_s=70)
    try:
        yield
    finally:
        kubectl.run("-n", SYSTEM, *controllers, "--replicas=2")


def test_an_upgrade_replaces_one_gateway_after_the_other_and_loses_nothing(team: Team, served: Served) -> None:
    bed = team.testbed
    following = Installation(
        bed.kubectl,
        bed.installation.helm,
        bed.load_as("operator", "operator-next"),
        bed.installation.triton_image,
    )
    before, ready = {pod["metadata"]["uid"] for pod in gateway_pods(team)}, [2]

    def upgraded() -> bool:
        ready.append(ready_gateways(team))
        pods = gateway_pods(team)
        images = {pod["spec"]["containers"][0]["image"] for pod in pods}
        return len(pods) == 2 and images == {following.operator_image} and ready[-1] == 2

    with load(team, served) as running:
        values = {"defaults.progressDeadline": PROGRESS_DEADLINE, "gateway.resources.requests.memory": "120Mi"}
        following.install(values)
        team.until("the gateways are the next release's", upgraded, 240)
        seen = running()
    assert_none_lost(seen)
    assert min(ready) >= 2
    assert not before & {pod["metadata"]["uid"] for pod in gateway_pods(team)}


def test_a_killed_gateway_loses_what_it_had_in_flight_and_nothing_else(team: Team, served: Served) -> None:
    victim = gateway_pods(team)[0]["metadata"]

    def back() -> bool:
        (status,) = team.get("pod", victim["name"])["status"]["containerStatuses"]
        return bool(status["restartCount"] == 1 and status["ready"])

    with load(team, served) as running:
        running.until_ended(1_000)
        running.phase("killed")
        with on_node(team, KILL, victim["uid"], "plimsoll gateway"):
            team.until("the kubelet has started it again", back)
        running.phase("after")
        seen = running()
    assert_enough(seen)
    killed = seen.phases["killed"].answers
    lost = sum(killed.values()) - killed["digits 1"] - killed.get("unreached", 0)
    assert lost <= CLIENTS, "each client has one request in flight at most"
    assert set(seen.phases[""].answers) == {"digits 1"}
    assert set(seen.phases["after"].answers) == {"digits 1"}


def test_it_serves_on_without_the_api_server(team: Team, served: Served) -> None:
    kubectl = team.testbed.kubectl
    with load(team, served) as running:
        with on_node(team, SUSPEND, "kube-apiserver", "25") as at:
            team.until("the API server answers nobody", lambda: not kubectl.ready(), 30)
            team.until("it is back", kubectl.ready, 60)
        seen = running()
    assert at.namespace == "default"
    assert_none_lost(seen)


def test_weights_go_to_and_fro_without_a_controller(team: Team, served: Served, both: tuple[str, str]) -> None:
    """Status is written by hand, as a controller that moves weights would."""
    epoch = served.status()["routing"]["epoch"]

    def weigh(step: int, permille: int) -> None:
        weights = zip(both, (1000 - permille, permille), strict=True)
        revisions = [{"name": name, "weightPermille": weight} for name, weight in weights]
        patch = {"status": {"routing": {"epoch": epoch + step, "revisions": revisions}}}
        team.kubectl("patch", "mdep", "digits", "--subresource=status", "--type=merge", "-p", json.dumps(patch))

        def follow() -> bool:
            found = [routes(team, pod) for pod in gateway_names(team)]
            return all((one["epoch"], one["candidate"]["weightPermille"]) == (epoch + step, permille) for one in found)

        team.until("the gateways follow", follow, 10)

    with no_controller(team), load(team, served) as running:
        for step, permille in enumerate((0, 50, 500, 1000, 0, 500), 1):
            running.phase("between")
            weigh(step, permille)
            running.phase(f"{step}: {permille}")
            running.until_ended(1_500)
        running.phase("StableOnly")
        team.patch("mdep", "digits", {"spec": {"traffic": "StableOnly"}})
        applied = time.time()
        running.until_ended(1_000)
        running.phase("restart")
        team.patch("mdep", "digits", {"spec": {"traffic": "Normal"}})
        first, second = gateway_names(team)
        team.kubectl("delete", "pod", first, timeout_s=90)
        team.until("another one is ready", lambda: ready_gateways(team) == 2)
        weights = {pod: routes(team, pod)["candidate"]["weightPermille"] for pod in gateway_names(team)}
        seen = running()
    assert_none_lost(seen)
    for name, phase in seen.phases.items():
        if ": " in name:
            assert_split(phase, int(name.partition(": ")[2]) / 1000)
    assert last_of(seen.phases["StableOnly"], {"digits 1"}) - applied < AT_ONCE_S + SLACK_S
    assert weights.pop(second) == 500
    assert list(weights.values()) == [0], "one that has never heard of a controller trusts no candidate"
    team.until("it trusts the next controller", lambda: all(trusts(team, pod) for pod in gateway_names(team)))
    team.until(
        "what was written by hand is undone",
        lambda: served.status()["routing"]["revisions"] == [{"name": both[0], "weightPermille": 1000}],
    )


def trusts(team: Team, gateway: str) -> bool:
    return bool(json.loads(team.admin(gateway, "/v1/routes"))["trusted"])


def assert_split(phase: Phase, share: float) -> None:
    """Whole blocks of 1,000 are exact. Four are not whole: at both ends of a phase, in each of two gateways."""
    got, wanted = phase.answers.get("digits 1", 0), share * phase.sent
    if share in {0.0, 1.0}:
        assert got == wanted
    # Of a block that is half used the variance is 1000 w (1 - w) / 4; five standard deviations of four of them.
    assert abs(got - wanted) < 5 * sqrt(1000 * share * (1 - share)) + 1


@pytest.fixture
def shaky(team: Team, planted_uris: tuple[str, str]) -> Served:
    """A model with another one to stand in for it."""
    behind_gateway(team, planted_uris[0], "steady")
    return behind_gateway(team, planted_uris[0], "shaky", runtime={"drain": "2s"}, **SPARE, **SWITCH)


def test_users_are_led_away_from_a_model_without_a_controller(team: Team, shaky: Served) -> None:
    revision = shaky.status()["stable"]

    def pods() -> list[str]:
        return [pod["metadata"]["name"] for pod in team.all("pods", "plimsoll.dev/model=shaky")]

    def fault(what: str) -> None:
        team.kubectl("exec", pods()[0], "-c", "triton", "--", "sh", "-c", f"echo {what} > /tmp/fault")

    applied: dict[str, float] = {}
    with no_controller(team), load(team, shaky) as running:
        for traffic in ("Fallback", "Stopped", "Normal"):
            running.phase(traffic)
            team.patch("mdep", "shaky", {"spec": {"traffic": traffic}})
            applied[traffic] = time.time()
            running.until_ended(1_000)
        running.phase("fails")
        fault("raise")
        running.until_ended(6_000)
        running.phase("tripped")
        running.until_ended(500)
        fault("nothing")
        running.phase("released")
        team.kubectl("annotate", "mdep", "shaky", "plimsoll.dev/reset-kill-switch=well")
        applied["released"] = time.time()
        running.until_ended(1_000)
        running.phase("dead")
        team.kubectl("scale", "deployment", revision, "--replicas=0")
        running.until_ended(5_000)
        running.phase("alive")
        team.kubectl("scale", "deployment", revision, "--replicas=1")
        team.kubectl("rollout", "status", f"deployment/{revision}", "--timeout=60s", timeout_s=70)
        running.until_ended(1_000)
        seen = running()
    assert_enough(seen)
    assert_led_away(seen.phases, applied)


def assert_led_away(phases: Mapping[str, Phase], applied: Mapping[str, float]) -> None:
    it, spare = "shaky 1", "steady 1"
    stopped, failed = {"503", "StatusCode.UNAVAILABLE"}, {"500", "StatusCode.INTERNAL"}
    assert {name: set(phase.answers) - failed for name, phase in phases.items()} == {
        "": {it},
        "Fallback": {it, spare},
        "Stopped": {spare, *stopped},
        "Normal": {it, *stopped},
        "fails": {it, spare},
        "tripped": {spare},
        "released": {it, spare},
        "dead": {it, spare},
        "alive": {it, spare},
    }
    assert {name for name, phase in phases.items() if failed & set(phase.answers)} == {"fails"}
    before = {"Fallback": {it}, "Stopped": {spare}, "Normal": stopped, "released": {spare}}
    late = {name: last_of(phases[name], whom) - applied[name] for name, whom in before.items()}
    assert max(late.values()) < AT_ONCE_S + SLACK_S, late
    fails = phases["fails"]
    first, last = min(fails.first_s[who] for who in failed), max(fails.last_s[who] for who in failed)
    assert last - first < 0.4 + AT_ONCE_S + SLACK_S, "a fifth of the window, and what is promised after it"


def last_of(phase: Phase, whom: set[str]) -> float:
    """When one of these answered last, in seconds since 1970."""
    return phase.began_at + max(phase.last_s.get(who, 0.0) for who in whom)
