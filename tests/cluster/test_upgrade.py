"""`helm upgrade` with another operator image and another default Triton image over many ModelDeployments: none of them
notices. And uninstalling loses none of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
from tests.cluster.conftest import PROGRESS_DEADLINE
from tests.support.team import Team

from plimsoll.errors import NotYet
from plimsoll_dev.models.samples import infer_request, samples
from plimsoll_dev.testbed.forward import forwarded
from plimsoll_dev.testbed.harness import Harness
from plimsoll_dev.testbed.installation import NAMESPACE as SYSTEM
from plimsoll_dev.testbed.installation import Installation
from plimsoll_dev.testbed.model import Served, manifest

COUNT = 50
BODY = infer_request(samples()[0].image)


@pytest.fixture(scope="module")
def team(new_team: Callable[[str], Team]) -> Iterator[Team]:
    team = new_team("upgrade")
    yield team
    team.testbed.kubectl.run("delete", "namespace", team.namespace, "--wait=false")


@pytest.fixture(scope="module")
def fleet(team: Team, uris: Mapping[str, str]) -> list[Served]:
    names = [f"digits-{number:02}" for number in range(COUNT)]
    for name in names:
        team.apply(manifest(name, team.namespace, uris["digits"]))
    fleet = [Served(team.testbed.kubectl, team.namespace, name) for name in names]
    team.until("all are ready", lambda: ready(team) == COUNT, 900)
    return fleet


def ready(team: Team) -> int:
    rows = [row.split() for row in team.kubectl("get", "mdep", "--no-headers").splitlines()]
    return sum(row[1] == "True" for row in rows)


def identities(team: Team) -> dict[str, tuple[str, int]]:
    """Every model pod with its uid and restarts."""
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            sum(status["restartCount"] for status in pod["status"]["containerStatuses"]),
        )
        for pod in team.all("pods", "plimsoll.dev/model")
    }


def leader(team: Team) -> str:
    """Name of the controller pod that leads, empty while none does."""
    lease = team.testbed.kubectl.run("-n", SYSTEM, "get", "lease", "plimsoll-controller", "-o", "json")
    return str(json.loads(lease)["spec"].get("holderIdentity") or "").partition("_")[0]


def controllers(team: Team) -> set[str]:
    """Names of the controller pods."""
    component = "app.kubernetes.io/component=controller"
    found = team.testbed.kubectl.run("-n", SYSTEM, "get", "pods", "-l", component, "-o", "json")
    return {item["metadata"]["name"] for item in json.loads(found)["items"]}


def new_leader_looked(team: Team, old: set[str]) -> bool:
    """An old standby may lead for a moment, and nobody while the Lease changes hands."""
    leads = leader(team)
    try:
        return leads != "" and leads not in old and turns_of(team, leads) >= COUNT
    except NotYet:
        return False


def turns_of(team: Team, pod: str) -> float:
    """How many turns of the reconcile loop a controller has taken."""
    with forwarded(team.testbed.kubectl, SYSTEM, f"pod/{pod}", 8080) as port:
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    return sum(float(value) for value in re.findall(r"^plimsoll_reconciles_total\{.*\} (\S+)$", metrics, re.MULTILINE))


def upgraded(testbed: Harness) -> Installation:
    """The next release: the same bytes under other names, so that every default differs."""
    operator = testbed.load_as("operator", "operator-next")
    triton = testbed.load_as("triton-cpu", "triton-cpu-next")
    return Installation(testbed.kubectl, testbed.installation.helm, operator, triton)


def test_an_upgrade_restarts_no_model_pod(team: Team, fleet: list[Served]) -> None:
    before, revisions = identities(team), team.names("controllerrevisions")
    old = controllers(team)
    with team.traffic(BODY, *fleet) as stop:
        upgraded(team.testbed).install({"defaults.progressDeadline": PROGRESS_DEADLINE})
        team.until("a new controller leads and has looked at every one of them", lambda: new_leader_looked(team, old))
        assert ready(team) == COUNT
        seen = stop()
    assert seen.failures == []
    assert seen.sent > COUNT
    assert team.names("controllerrevisions") == revisions
    assert identities(team) == before


def test_a_refresh_takes_the_new_defaults_when_asked(team: Team, fleet: list[Served]) -> None:
    old = fleet[0].status()["stable"]
    team.kubectl("annotate", "mdep", fleet[0].name, "plimsoll.dev/refresh=1")
    team.until("a new revision serves", lambda: fleet[0].is_ready() and fleet[0].status()["stable"] != old)
    (triton,) = team.get("deployment", fleet[0].status()["stable"])["spec"]["template"]["spec"]["containers"]
    assert "triton-cpu-next@" in triton["image"]


def test_uninstalling_loses_no_model_deployment(team: Team, fleet: list[Served]) -> None:
    before = identities(team)
    team.testbed.installation.uninstall()
    assert len(team.names("mdep")) == COUNT
    assert identities(team) == before
    team.testbed.installation.install({"defaults.progressDeadline": PROGRESS_DEADLINE})
    team.until("all are ready again", lambda: ready(team) == COUNT)
    assert identities(team) == before
    assert "Succeeded" in team.testbed.installation.test()
