"""No revision serves before it has shown what it can carry: real Jobs examine real model servers.

Most budgets are small, to be quick; what the phases say with more time is tested without a cluster.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.team import Team

from plimsoll.api.preflight_report import InputSource, Outcome, PhaseName, PhaseStatus, PreflightReport
from plimsoll.core.names import NO_REVISION, PREFLIGHT_LABEL, REPORT_DATA, REVISION_LABEL, preflight_name
from plimsoll_dev.models.catalogue import DIGITS, GOLDEN_FILE
from plimsoll_dev.models.dataset import test_rows as rows_to_test
from plimsoll_dev.models.samples import infer_request, samples
from plimsoll_dev.testbed.model import Served

BODY = infer_request(samples()[0].image)
QUICK: dict[str, Any] = {"budget": "10s"}
SYSTEM = "plimsoll-system"
CONTROLLERS = "app.kubernetes.io/component=controller"
DRAIN = {"drain": "2s"}


def report_of(team: Team, revision: str) -> PreflightReport:
    found = team.get("configmap", preflight_name(revision))
    return PreflightReport.model_validate_json(found["data"][REPORT_DATA])


def shown(team: Team, name: str) -> Any:
    """What `plimsoll preflight NAME --json` prints."""
    at = ("--kubeconfig", str(team.testbed.kubectl.kubeconfig), "--context", team.testbed.kubectl.context)
    words = [sys.executable, "-m", "plimsoll", "preflight", name, "-n", team.namespace, "--json", *at]
    return json.loads(subprocess.run(words, capture_output=True, check=True).stdout)


def preflight_pods(team: Team, revision: str) -> list[str]:
    """Names of the pods that run."""
    pods = team.all("pods", f"{PREFLIGHT_LABEL}={revision}")
    return [pod["metadata"]["name"] for pod in pods if pod["status"].get("phase") == "Running"]


def no_preflight_is_left(team: Team) -> None:
    team.until("the Jobs are gone", lambda: team.names("jobs") == set() and not team.all("pods", PREFLIGHT_LABEL))


def examined(team: Team, served: Served) -> str:
    """Waits until a preflight runs, and returns the revision."""

    def runs() -> bool:
        candidate = served.status().get("candidate")
        return candidate is not None and bool(preflight_pods(team, candidate))

    team.until("a preflight runs", runs)
    return str(served.status()["candidate"])


def test_models_pass_with_nothing_said_about_them(team: Team, uris: Mapping[str, str], text_model_uri: str) -> None:
    """Manifests with `spec.model.uri` alone, but the registry's certificate: digits, its retrained version, text."""
    text = team.deploy("minilm", text_model_uri, preflight=None)
    served = team.deploy("digits", uris["digits"], preflight=None)
    first = examined(team, served)
    assert served.status()["phase"] == "Verifying"
    selector = team.get("service", "digits")["spec"]["selector"]
    assert selector.get(REVISION_LABEL, NO_REVISION) == NO_REVISION, "no revision, or the gateways, which know none"
    team.until_ready(served, 240)
    with team.traffic(BODY, served) as stop:
        team.deploy("digits", uris["digits-v2"], preflight=None)
        team.until_ready(served, 240)
        seen = stop()
    assert seen.failures == []
    assert set(seen.versions) == {"1", "2"}
    second = served.status()["stable"]
    for revision in (first, second):
        report = report_of(team, revision)
        assert (report.outcome, report.revision) == (Outcome.PASSED, revision), report.message
        assert report.figures.golden is not None
        assert report.figures.golden.source is InputSource.ARTEFACT
        assert report.figures.memory is not None, "the examiner answers"
    assert shown(team, "digits") == json.loads(team.get("configmap", preflight_name(second))["data"][REPORT_DATA])
    told = served.status()["preflight"]
    assert (told["outcome"], told["revision"]) == ("Passed", second)
    assert {tensor["name"] for tensor in told["inputs"]} == {"image"}
    team.until_ready(text, 300)
    report = report_of(team, text.status()["stable"])
    assert report.outcome is Outcome.PASSED, report.message
    no_preflight_is_left(team)
    team.kubectl("delete", "mdep", "digits", "minilm")
    team.until(
        "nothing of them is left",
        lambda: (
            not any(name.endswith("-preflight") for name in team.names("configmaps"))
            and not any(map(team.names, ("pods", "jobs", "deployments", "controllerrevisions", "services")))
        ),
    )


def test_a_version_with_wrong_answers_is_rejected_and_no_user_meets_it(team: Team, uris: Mapping[str, str]) -> None:
    expected = {"name": "expected", "key": GOLDEN_FILE}
    team.kubectl("create", "configmap", expected["name"], f"--from-file={DIGITS.path / GOLDEN_FILE}")
    served = team.deploy("digits", uris["digits"], runtime=DRAIN)
    team.until_ready(served)
    old = served.status()["stable"]
    with team.traffic(BODY, served) as stop:
        team.deploy("digits", uris["digits-bad"], preflight={**QUICK, "golden": expected}, runtime=DRAIN)
        message = team.until_reason(served, "PreflightRejected")
        new = served.status()["candidate"]
        team.until("its pod is gone", lambda: not team.all("pods", f"{REVISION_LABEL}={new}"))
        seen = stop()
    assert seen.failures == []
    assert set(seen.versions) == {"1"}
    assert "answers are not the expected ones" in message
    assert served.conditions() == {"Serving": "True", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    assert served.status()["stable"] == old
    assert report_of(team, new).outcome is Outcome.REJECTED
    assert "PreflightRejected" in team.events("digits")
    no_preflight_is_left(team)
    team.deploy("digits", uris["digits"], preflight=QUICK, runtime=DRAIN)
    team.until_ready(served)
    assert served.status()["stable"] == old


def test_a_quantised_version_passes_or_fails_by_the_loss_that_is_allowed(
    team: Team, uris: Mapping[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "rows.json"
    file.write_text(json.dumps({"cases": labelled_rows()}), encoding="utf-8")
    team.kubectl("create", "configmap", "rows", f"--from-file={file}")
    served = team.deploy("digits", uris["digits"], runtime=DRAIN)
    team.until_ready(served)

    def with_loss(allowed: str) -> dict[str, Any]:
        dataset = {"name": "rows", "key": file.name}
        return {**QUICK, "batchSizes": [1], "accuracy": {"dataset": dataset, "maxLoss": allowed}}

    team.deploy("digits", uris["digits-int8"], preflight=with_loss("0.001%"), runtime=DRAIN)
    team.until_reason(served, "PreflightRejected")
    rejected = report_of(team, served.status()["candidate"])
    assert [phase.name for phase in rejected.phases if phase.status is PhaseStatus.FAILED] == [PhaseName.ACCURACY]
    team.deploy("digits", uris["digits-int8"], preflight=with_loss("5%"), runtime=DRAIN)
    team.until_ready(served)
    passed = report_of(team, served.status()["stable"])
    assert passed.revision == rejected.revision
    for report in (rejected, passed):
        assert report.figures.accuracy is not None
        assert report.figures.accuracy.loss is not None
    no_preflight_is_left(team)


def test_a_preflight_that_is_disturbed_is_repeated_and_judges_all_the_same(team: Team, uris: Mapping[str, str]) -> None:
    """One loses its pod to a person, one to an eviction, and both their controllers."""
    deleted = team.deploy("deleted", uris["digits"], preflight=QUICK)
    evicted = team.deploy("evicted", uris["digits"], preflight=QUICK)
    (pod,) = preflight_pods(team, examined(team, deleted))
    team.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
    (pod,) = preflight_pods(team, examined(team, evicted))
    team.evict(pod)
    message = team.until_reason(deleted, "PreflightError")
    assert "which says nothing about the revision" in message
    kill = ("-n", SYSTEM, "delete", "pods", "-l", CONTROLLERS, "--grace-period=0", "--force")
    team.testbed.kubectl.run(*kill)
    for served in (deleted, evicted):
        team.until_ready(served)
        revision = served.status()["stable"]
        assert report_of(team, revision).outcome is Outcome.PASSED
    assert "PreflightError" not in team.events("evicted"), "the Job went on in another pod"
    no_preflight_is_left(team)


def labelled_rows() -> list[dict[str, Any]]:
    """Images that no model was trained on, with the digits that they show."""
    rows = rows_to_test()
    return [
        {**infer_request([int(value) for value in image]), "label": int(label)}
        for image, label in zip(rows.images, rows.labels, strict=True)
    ]
