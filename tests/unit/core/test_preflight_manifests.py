"""Golden manifests of a preflight's Job and of its verdict, and what must hold for every such Job."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml
from tests.support.builders import DEFAULTS, EXAMINED, NOW, digest, revision_of, verdict_of

from plimsoll.api.preflight_report import Outcome
from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.core.names import MODEL_LABEL, PREFLIGHT_LABEL, REVISION_LABEL
from plimsoll.core.preflight.record import verdict_text
from plimsoll.core.render.preflight_job import Examinee, job_seconds, preflight_request, render_preflight_job
from plimsoll.core.render.verdict import render_verdict
from plimsoll.preflight.request import ENVIRONMENT_VARIABLE, request_from

Golden = Callable[[str, str], None]
METADATA = {"name": "digits", "namespace": "vision", "uid": "11111111-2222-3333-4444-555555555555"}
KEY = "f" * 64
REPORT_KEYED = replace(DEFAULTS, report_key="cHVibGljIGtleSBvZiB0aGUgY29udHJvbGxlcg")
MINIMAL: dict[str, Any] = {"model": {"uri": "oci://registry.example.com/models/digits@" + digest("a")}}
FULL: dict[str, Any] = {
    "model": {
        "uri": "oci://registry.example.com/models/digits@" + digest("b"),
        "inputs": [{"name": "x", "dataType": "FP32", "dims": [64]}],
        "outputs": [{"name": "label", "dataType": "INT64", "dims": [1]}],
    },
    "objective": {"latency": [{"percentile": "99", "max": "200ms"}], "headroom": "30%"},
    "preflight": {
        "golden": {"name": "cases", "key": "golden.json"},
        "accuracy": {
            "dataset": {"name": "rows", "key": "dataset.json"},
            "reference": {"name": "digits-fp32"},
            "maxLoss": "1%",
        },
        "budget": "5m",
    },
    "runtime": {
        "accelerator": "Nvidia",
        "resources": {"limits": {"cpu": "4", "memory": "8Gi"}},
        "pod": {
            "labels": {"team": "vision", "plimsoll.dev/revision": "forged"},
            "nodeSelector": {"pool": "gpu"},
            "imagePullSecrets": [{"name": "registry"}],
        },
    },
}
SPECS = {"minimal": MINIMAL, "full": FULL}


def owner_of(spec: str) -> ModelDeployment:
    return ModelDeployment.model_validate({"metadata": METADATA, "spec": SPECS[spec]})


def examinee(spec: str, **more: Any) -> Examinee:
    owner = owner_of(spec)
    stable = revision_of(ModelDeployment.model_validate({"metadata": METADATA, "spec": MINIMAL}))
    fields = {"attempt": 1, "ip": "10.0.0.7", "stable": stable if spec == "full" else None, **more}
    return Examinee(revision=revision_of(owner, 2), key=KEY, examined=EXAMINED, **fields)


def job(spec: str, **more: Any) -> dict[str, Any]:
    return render_preflight_job(owner_of(spec), examinee(spec, **more), REPORT_KEYED)


def text_of(manifest: dict[str, Any]) -> str:
    return yaml.safe_dump(json.loads(json.dumps(manifest)), sort_keys=True, width=120)


@pytest.mark.parametrize("spec", SPECS)
def test_job(spec: str, golden: Golden) -> None:
    golden(f"manifests/{spec}-preflight-job.yaml", text_of(job(spec)))


def test_verdict(golden: Golden) -> None:
    owner, revision = owner_of("minimal"), revision_of(owner_of("minimal"))
    text = verdict_text(verdict_of(revision, KEY, Outcome.REJECTED, message="37 of 100 answers differ.", at=NOW))
    golden("manifests/minimal-verdict.yaml", text_of(render_verdict(owner.metadata, revision, text, "{}")))


@pytest.mark.parametrize("spec", SPECS)
def test_a_job_meets_the_restricted_standard_and_has_no_rights(spec: str) -> None:
    pod = job(spec)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= {"emptyDir", "configMap"}


@pytest.mark.parametrize("spec", SPECS)
def test_a_job_ends_without_anybody_and_keeps_its_last_words(spec: str) -> None:
    """A deadline of the Job, or a retry, would delete the pod in which they stand."""
    found = job(spec)["spec"]
    assert "activeDeadlineSeconds" not in found
    assert (found["backoffLimit"], found["template"]["spec"]["restartPolicy"]) == (0, "Never")
    preflight = owner_of(spec).spec.preflight
    assert preflight is None or found["template"]["spec"]["activeDeadlineSeconds"] == job_seconds(preflight)
    assert found["ttlSecondsAfterFinished"] > 0


@pytest.mark.parametrize("spec", SPECS)
def test_no_service_selects_the_pod_of_a_job(spec: str) -> None:
    labels = job(spec)["spec"]["template"]["metadata"]["labels"]
    assert labels[MODEL_LABEL] == "digits"
    assert labels[PREFLIGHT_LABEL] == examinee(spec).revision.name
    assert REVISION_LABEL not in labels


@pytest.mark.parametrize("ip", ["10.0.0.7", "fd00::7"])
@pytest.mark.parametrize("spec", SPECS)
def test_the_request_is_one_that_the_preflight_reads(spec: str, ip: str) -> None:
    asked = preflight_request(owner_of(spec), examinee(spec, ip=ip))
    read = request_from({ENVIRONMENT_VARIABLE: json.dumps(asked)})
    assert (read.revision, read.key) == (examinee(spec).revision.name, KEY)
    assert read.target == ("[fd00::7]:8001" if ":" in ip else "10.0.0.7:8001")


def test_an_old_pod_without_an_examiner_is_examined_as_far_as_that_goes() -> None:
    new = examinee("minimal")
    old = replace(new, revision=replace(new.revision, snapshot=replace(new.revision.snapshot, render_version=1)))
    asked = preflight_request(owner_of("minimal"), old)
    assert "examiner" not in asked
    assert (asked["golden"], asked["dataset"]) == ([], [])
    image = render_preflight_job(owner_of("minimal"), old, REPORT_KEYED)["spec"]["template"]["spec"]["containers"][0]
    assert image["image"] == REPORT_KEYED.fetch_image


def test_the_same_model_in_another_runtime_is_said_to_be_the_same() -> None:
    same = examinee("full", stable=examinee("full").revision)
    assert preflight_request(owner_of("full"), same)["sameModel"] is True
    assert preflight_request(owner_of("full"), examinee("full"))["sameModel"] is False
