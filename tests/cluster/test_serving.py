"""One ModelDeployment from apply to answer, and what a person does with it: look, wait, scale, diff, delete."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
from tests.support.team import Team

from plimsoll_dev.models.samples import infer_request, samples
from plimsoll_dev.testbed.forward import forwarded
from plimsoll_dev.testbed.model import CONDITIONS, Served, manifest


@pytest.fixture(scope="module")
def team(new_team: Callable[[str], Team]) -> Iterator[Team]:
    team = new_team("serving")
    yield team
    team.testbed.kubectl.run("delete", "namespace", team.namespace, "--wait=false")


@pytest.fixture(scope="module")
def digits(team: Team, uris: Mapping[str, str]) -> Served:
    served = team.deploy("digits", uris["digits"])
    team.until_ready(served)
    return served


def test_it_answers_real_digits(team: Team, digits: Served) -> None:
    with forwarded(team.testbed.kubectl, team.namespace, "service/digits", 8000) as port:
        base = f"http://127.0.0.1:{port}/v2/models/digits"
        answers = [
            httpx.post(f"{base}/infer", json=infer_request(sample.image), trust_env=False).json()
            for sample in samples()
        ]
    labels = [int(next(o for o in answer["outputs"] if o["name"] == "label")["data"][0]) for answer in answers]
    right = sum(label == sample.label for label, sample in zip(labels, samples(), strict=True))
    assert right >= 18


def test_all_four_conditions_are_present(digits: Served) -> None:
    assert digits.conditions() == dict(zip(CONDITIONS, ("True", "True", "False", "False"), strict=True))


def test_get_reads_well(team: Team, digits: Served) -> None:
    header, row = team.kubectl("get", "mdep").splitlines()
    assert header.split() == ["NAME", "READY", "SERVING", "PHASE", "STABLE", "CANDIDATE", "REPLICAS", "URL", "AGE"]
    assert row.split()[:4] == ["digits", "True", "True", "Stable"]
    assert digits.status()["stable"] in row
    assert digits.status()["urls"]["http"] in row


def test_the_category_and_wait_work(team: Team, digits: Served) -> None:
    assert "digits" in team.kubectl("get", "plimsoll")
    assert "condition met" in team.kubectl("wait", "--for=condition=Ready", f"mdep/{digits.name}", "--timeout=10s")


def words(text: str) -> str:
    return " ".join(text.split())


def test_explain_says_what_makes_a_revision(team: Team) -> None:
    assert "Makes a new revision: yes" in words(team.kubectl("explain", "mdep.spec.model.uri"))
    assert "Makes a new revision: no" in words(team.kubectl("explain", "mdep.spec.replicas"))


def test_diff_of_the_applied_manifest_is_empty(team: Team, digits: Served, uris: Mapping[str, str]) -> None:
    applied = manifest(digits.name, team.namespace, uris["digits"])
    assert team.kubectl("diff", "-f", "-", stdin=json.dumps(applied)) == ""


def test_pods_are_admitted_as_restricted_and_carry_no_token(team: Team, digits: Served) -> None:
    (pod,) = team.all("pods", "plimsoll.dev/model=digits")
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert not any("projected" in volume for volume in pod["spec"]["volumes"])
    triton = next(c for c in pod["spec"]["containers"] if c["name"] == "triton")
    assert not any(mount["mountPath"] in {"/credentials", "/ca"} for mount in triton["volumeMounts"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/repository/models/digits/unload"),
        ("POST", "/v2/repository/models/digits/load"),
        ("POST", "/v2/repository/index"),
        ("GET", "/v2/systemsharedmemory/status"),
    ],
)
def test_the_administrative_interface_is_closed(team: Team, digits: Served, method: str, path: str) -> None:
    with forwarded(team.testbed.kubectl, team.namespace, "service/digits", 8000) as port:
        answer = httpx.request(method, f"http://127.0.0.1:{port}{path}", trust_env=False)
    assert answer.status_code in {400, 403}
    assert digits.is_ready()


def test_scale_goes_through_the_scale_subresource(team: Team, digits: Served) -> None:
    team.kubectl("scale", "mdep", "digits", "--replicas=2")
    team.until("two are ready", lambda: digits.status().get("readyReplicas") == 2 and digits.is_ready())
    stable = digits.status()["stable"]
    team.kubectl("scale", "mdep", "digits", "--replicas=0")
    team.until("none runs", lambda: digits.status().get("phase") == "ScaledToZero")
    assert digits.conditions() == {"Serving": "False", "Ready": "True", "Reconciling": "False", "Stalled": "False"}
    team.kubectl("scale", "mdep", "digits", "--replicas=1")
    team.until_ready(digits)
    assert digits.status()["stable"] == stable


def test_deletion_leaves_nothing_behind(team: Team, digits: Served) -> None:
    team.kubectl("delete", "mdep", "digits", "--timeout=30s")
    kinds = ("deployments", "services", "controllerrevisions", "pods", "replicasets")
    team.until("everything is gone", lambda: not any(team.all(k, "plimsoll.dev/model=digits") for k in kinds), 120)
