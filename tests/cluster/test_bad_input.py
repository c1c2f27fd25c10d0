"""What users get wrong, on a real cluster: a clear reason and sentence, an Event, and nothing served by accident."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.registry import PASSWORD, PASSWORD_HASH, USER
from tests.support.team import Team

from plimsoll_dev.models.catalogue import DIGITS
from plimsoll_dev.testbed.logins import password_login
from plimsoll_dev.testbed.model import Served, manifest
from plimsoll_dev.testbed.registry import InClusterRegistry

NOWHERE = "registry.example.invalid/nothing@sha256:" + "0" * 64
INPUTS_OF_ANOTHER_MODEL = {
    "inputs": [{"name": "image", "dataType": "FP32", "dims": [65]}],
    "outputs": [{"name": "label", "dataType": "INT64", "dims": [1]}],
}
FIRST_CANNOT_START = {"Serving": "False", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
STILL_TRYING = {"Serving": "False", "Ready": "False", "Reconciling": "True", "Stalled": "False"}


def tells(team: Team, served: Served, reason: str, *words: str) -> None:
    """The condition and an Event say why, with these words."""
    said = team.until_reason(served, reason)
    team.until("an Event tells it", lambda: reason in team.events(served.name), 30)
    for message in (said, team.events(served.name)[reason]):
        assert [word for word in words if word not in message] == []


def stalls(team: Team, served: Served, reason: str, *words: str) -> None:
    """It is told, and that waiting will not help."""
    tells(team, served, reason, *words)
    team.until("it is called stalled", lambda: served.conditions() == FIRST_CANNOT_START)


def other_digest(uri: str) -> str:
    return uri.partition("@")[0] + "@sha256:" + "0" * 64


def test_a_digest_the_registry_does_not_have(team: Team, uris: Mapping[str, str]) -> None:
    stalls(team, team.deploy("digits", other_digest(uris["digits"])), "NotFound", "spec.model.uri")


def test_a_registry_whose_authority_is_not_trusted(team: Team, uris: Mapping[str, str]) -> None:
    untrusting = manifest("digits", team.namespace, uris["digits"])
    del untrusting["spec"]["model"]["credentials"]
    team.apply(untrusting)
    served = Served(team.testbed.kubectl, team.namespace, "digits")
    stalls(team, served, "CertificateNotTrusted", "caConfigMapRef")


def test_a_registry_that_wants_a_login(team: Team, uris: Mapping[str, str]) -> None:
    """And the way out: the Secret named in the message makes it Ready."""
    private = team.testbed.registry(team.namespace, "private", password_login(f"{USER}:{PASSWORD_HASH}\n"))
    team.kubectl("delete", "configmap", "registry-ca")
    private.install()
    uri = private.push([DIGITS], login=(USER, PASSWORD))["digits"]
    served = team.deploy("digits", uri)
    stalls(team, served, "Unauthorized", "spec.model.credentials.secretRef")
    pairs = {"host": private.host, "username": USER, "password": PASSWORD}
    literals = [f"--from-literal={key}={value}" for key, value in pairs.items()]
    team.kubectl("create", "secret", "generic", "login", "--type=kubernetes.io/basic-auth", *literals)
    credentials = {"caConfigMapRef": {"name": "registry-ca"}, "secretRef": {"name": "login"}}
    team.deploy("digits", uri, model={"credentials": credentials})
    team.until_ready(served)


def test_a_registry_that_is_down_is_waited_for(team: Team, uris: Mapping[str, str]) -> None:
    uri = "oci://registry.nowhere.svc:5000/models/digits@" + uris["digits"].partition("@")[2]
    served = team.deploy("digits", uri)
    tells(team, served, "RegistryUnavailable")
    team.until("then called stalled, and still tried", lambda: served.conditions() == FIRST_CANNOT_START)


def test_an_image_that_does_not_exist(team: Team, uris: Mapping[str, str]) -> None:
    served = team.deploy("digits", uris["digits"], runtime={"image": NOWHERE})
    tells(team, served, "ImagePullFailed", "runtime.image")
    assert served.conditions()["Reconciling"] == "True"


def test_no_gpu(team: Team, uris: Mapping[str, str]) -> None:
    served = team.deploy("digits", uris["digits"], runtime={"accelerator": "Nvidia"})
    tells(team, served, "InsufficientCapacity", "nvidia.com/gpu", "runtime.accelerator")


def test_a_quota_that_is_used_up(team: Team, uris: Mapping[str, str]) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    team.apply(quota)
    served = team.deploy("digits", uris["digits"])
    tells(team, served, "QuotaExceeded", "ResourceQuota")
    team.kubectl("delete", "resourcequota", "none")
    team.until_ready(served)


def test_a_gpu_quota_that_is_used_up(team: Team, uris: Mapping[str, str]) -> None:
    hard = {"requests.nvidia.com/gpu": "0"}
    team.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus"}, "spec": {"hard": hard}})
    served = team.deploy("digits", uris["digits"], runtime={"accelerator": "Nvidia"})
    tells(team, served, "QuotaExceeded", "nvidia.com/gpu")


def test_a_name_that_is_taken_is_never_adopted(team: Team, uris: Mapping[str, str]) -> None:
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "digits"},
        "spec": {"selector": {"app": "something-else"}, "ports": [{"port": 80}]},
    }
    team.apply(foreign)
    before = team.get("service", "digits")
    served = team.deploy("digits", uris["digits"])
    stalls(team, served, "NameConflict", "Service digits")
    assert team.get("service", "digits") == before
    assert team.names("deployments") == set()
    team.kubectl("delete", "service", "digits")
    team.until_ready(served, 180)


def test_a_model_too_large_for_its_storage(team: Team, uris: Mapping[str, str]) -> None:
    small = {"resources": {"limits": {"ephemeral-storage": "100k"}, "requests": {"ephemeral-storage": "10k"}}}
    served = team.deploy("digits", uris["digits"], runtime=small)
    stalls(team, served, "StorageTooSmall", "ephemeral-storage")


def test_inputs_that_contradict_the_file(team: Team, uris: Mapping[str, str]) -> None:
    served = team.deploy("digits", uris["digits"], model=INPUTS_OF_ANOTHER_MODEL)
    stalls(team, served, "InputsMismatch", "image")


def test_an_affinity_that_the_api_server_refuses(team: Team, uris: Mapping[str, str]) -> None:
    """Shapes are checked at admission of the ModelDeployment; some values only when the Deployment is written."""
    selector = {"not a label!": "x"}
    served = team.deploy("digits", uris["digits"], runtime={"pod": {"nodeSelector": selector}})
    stalls(team, served, "ManifestRefused", "nodeSelector")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"model": {"uri": "ftp://x/y@sha256:" + "0" * 64}}, "model.uri"),
        ({"model": {"uri": "oci://x/y:tag"}}, "digest"),
        ({"model": {"uri": "oci://me:secret@x/y@sha256:" + "0" * 64}}, "secretRef"),
        ({"model": {"uri": "oci://x/y@sha256:" + "0" * 64, "colour": "red"}}, "colour"),
        ({"model": {"uri": "oci://x/y@sha256:" + "0" * 64}, "replicas": -1}, "replicas"),
    ],
)
def test_malformed_manifests_die_at_admission(team: Team, spec: dict[str, object], field: str) -> None:
    obj = {"apiVersion": "plimsoll.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "bad"}, "spec": spec}
    assert field in team.refused("apply", "--validate=strict", "-f", "-", stdin=json.dumps(obj))


def test_a_namespace_that_is_being_deleted(team: Team, uris: Mapping[str, str]) -> None:
    served = team.deploy("digits", uris["digits"])
    team.until_ready(served)
    team.testbed.kubectl.run("delete", "namespace", team.namespace, "--timeout=120s", timeout_s=130)
    assert served.read() == {}


def test_a_corrupt_model(team: Team, registry: InClusterRegistry, tmp_path: Path) -> None:
    corrupt = tmp_path / "model.onnx"
    corrupt.write_bytes(b"\x0a\xff" + (DIGITS.path / "model.onnx").read_bytes()[:5000])
    uri = registry.push_files("models/corrupt", {"model.onnx": corrupt})
    stalls(team, team.deploy("digits", uri), "CorruptModel")


def test_a_pickle_is_refused_with_the_way_to_onnx(team: Team, registry: InClusterRegistry, tmp_path: Path) -> None:
    pickled = tmp_path / "model.pkl"
    pickled.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    uri = registry.push_files("models/pickle", {"model.pkl": pickled})
    stalls(team, team.deploy("digits", uri), "PickleRefused", "ONNX")


def test_an_old_revision_is_untouched_by_whatever_the_new_one_gets_wrong(team: Team, uris: Mapping[str, str]) -> None:
    served = team.deploy("digits", uris["digits"])
    team.until_ready(served)
    old, pods = served.status()["stable"], team.names("pods")
    wrong: dict[str, Any] = {
        "NotFound": {"uri": other_digest(uris["digits"])},
        "InputsMismatch": {"uri": uris["digits-v2"], "model": INPUTS_OF_ANOTHER_MODEL},
        "ImagePullFailed": {"uri": uris["digits"], "runtime": {"image": NOWHERE}},
        "InsufficientCapacity": {"uri": uris["digits"], "runtime": {"accelerator": "Nvidia"}},
    }
    for reason, spec in wrong.items():
        team.deploy("digits", **spec)
        assert "The old revision keeps serving" in team.until_reason(served, reason)
        assert served.conditions()["Serving"] == "True"
        assert served.status()["stable"] == old
    team.deploy("digits", uris["digits"])
    team.until_ready(served)
    team.until("only the old revision is left", lambda: team.names("deployments") == {old})
    team.until("its pods were never touched", lambda: team.names("pods") == pods)
