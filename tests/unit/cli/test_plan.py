"""`plimsoll plan`: a world file in, actions and reasons out. A failing world file becomes a row here."""

import json
from copy import deepcopy
from typing import Any

import pytest
import yaml
from tests.unit.cli.running import NOW, Shell, model_deployment

Object = dict[str, Any]
UID = "11111111-1111-1111-1111-111111111111"


def planned(shell: Shell, manifest: Object, cluster: list[Object] | None = None, *words: str) -> Any:
    """The one report of `plan --output json`."""
    world = ["--observed", shell.file("world.yaml", [{"apiVersion": "v1", "kind": "List", "items": cluster or []}])]
    file = shell.file("wanted.yaml", [manifest])
    ended = shell.run("plan", file, *world, "--now", NOW, "--output", "json", *words)
    assert ended.code == 0, ended.err
    (report,) = json.loads(ended.out)
    return report


def verbs(report: Any) -> list[str]:
    return [" ".join(filter(None, (a["action"], a.get("kind"), a.get("name")))) for a in report["actions"]]


def cluster_after(shell: Shell, *, ready: bool) -> list[Object]:
    """The cluster once the plan for an empty one has been carried out, as `kubectl get -o yaml` would print it."""
    stored = {**model_deployment(namespace="vision", uid=UID, generation=1)}
    report = planned(shell, stored)
    children = [action["manifest"] for action in report["actions"] if "manifest" in action]
    for number, child in enumerate(children):
        child["metadata"] |= {"uid": f"child-{number}", "creationTimestamp": NOW, "resourceVersion": str(number + 1)}
        if child["kind"] == "Deployment":
            count = int(ready)
            child["metadata"]["generation"] = 1
            child["spec"]["replicas"] = 1
            child["status"] = {
                "observedGeneration": 1,
                "replicas": 1,
                "updatedReplicas": 1,
                "readyReplicas": count,
            }
    return [{**stored, "status": report["status"]}, *children]


def test_an_empty_cluster_in_words(shell: Shell) -> None:
    ended = shell.run("plan", shell.file("digits.yaml", [model_deployment()]), "--now", NOW)
    name = yaml.safe_load(ended.out.split("ControllerRevision ")[1].split(":")[0])
    assert ended.code == 0
    assert ended.out.startswith(
        f"""\
ModelDeployment default/digits, generation 1

1. Create Service digits: Service digits does not exist.
2. Create ControllerRevision {name}: the spec asks for revision {name}.
3. Create Service {name}: Service {name} does not exist.
4. Create Deployment {name}: revision {name} has no Deployment.
"""
    )
    assert "Serving is False (NoModelServerReady)\nReady is False (" in ended.out
    assert f"Event Normal RevisionCreated: Created revision {name} for the new spec\n" in ended.out


def test_what_is_carried_out_is_not_planned_again(shell: Shell) -> None:
    cluster = cluster_after(shell, ready=False)
    assert [verb for verb in verbs(planned(shell, model_deployment(), cluster)) if verb != "WriteStatus"] == []


def test_a_ready_candidate_is_promoted_and_then_there_is_nothing_to_do(shell: Shell) -> None:
    cluster = cluster_after(shell, ready=True)
    report = planned(shell, model_deployment(), cluster)
    assert verbs(report) == ["WriteStatus"]
    assert {c["type"]: c["status"] for c in report["status"]["conditions"]} == {
        "Serving": "True",
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
    }
    cluster[0]["status"] = report["status"]
    world = shell.file("world.yaml", cluster)
    ended = shell.run("plan", shell.file("digits.yaml", [model_deployment()]), "--observed", world, "--now", NOW)
    assert "Nothing to do: all is as wanted." in ended.out


def test_an_edited_manifest_is_planned_over_the_stored_identity(shell: Shell) -> None:
    cluster = cluster_after(shell, ready=True)
    edited = model_deployment()
    edited["spec"]["replicas"] = 3
    report = planned(shell, edited, cluster)
    assert report["namespace"] == "vision"
    assert report["generation"] == 2
    assert [verb.partition(" digits")[0] for verb in verbs(report)] == ["Scale Deployment", "WriteStatus"]


def test_a_first_revision_waits_for_its_preflight_and_for_the_data_that_it_names(shell: Shell) -> None:
    """A ConfigMap of a user's own is not watched, but it is in the file."""
    cluster = cluster_after(shell, ready=True)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "vision", "labels": _template_labels(cluster)},
        "status": {"podIP": "10.1.0.9", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    gated = model_deployment()
    gated["spec"]["preflight"] = {"golden": {"name": "golden", "key": "golden.json"}}
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "golden", "namespace": "vision"}}
    del cluster[0]["status"]
    service = next(o for o in cluster if o["kind"] == "Service" and o["metadata"]["name"] == "digits")
    service["spec"]["selector"]["plimsoll.dev/revision"] = "none"
    without, given = planned(shell, gated, [*cluster, pod]), planned(shell, gated, [*cluster, pod, data])
    reasons = [
        next(c["reason"] for c in report["status"]["conditions"] if c["type"] == "Ready") for report in (without, given)
    ]
    assert reasons == ["PreflightDataMissing", "PreflightRunning"]
    assert [verb.split()[1] for verb in verbs(given) if verb.startswith("Create")] == ["Job"]
    assert [verb for verb in verbs(without) if verb.startswith("Create")] == []


def _template_labels(cluster: list[Object]) -> dict[str, str]:
    deployment = next(o for o in cluster if o["kind"] == "Deployment")
    labels: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
    return labels


def test_a_world_file_is_manifest_and_cluster_in_one(shell: Shell) -> None:
    cluster = cluster_after(shell, ready=True)
    file = shell.file("world.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": cluster}))
    ended = shell.run("plan", file, "--now", NOW)
    assert ended.code == 0
    assert "Create" not in ended.out


def test_drift_is_planned_away(shell: Shell) -> None:
    cluster = cluster_after(shell, ready=True)
    service = next(o for o in cluster if o["kind"] == "Service" and o["metadata"]["name"] == "digits")
    service["spec"]["ports"][0]["port"] = 9999
    assert "Apply Service digits" in verbs(planned(shell, model_deployment(), cluster))


def test_objects_without_our_labels_are_not_seen_and_those_of_others_are_left_alone(shell: Shell) -> None:
    cluster = cluster_after(shell, ready=True)
    foreign = deepcopy(next(o for o in cluster if o["kind"] == "Service" and o["metadata"]["name"] == "digits"))
    cluster.remove(next(o for o in cluster if o["metadata"]["name"] == "digits" and o["kind"] == "Service"))
    foreign["metadata"]["ownerReferences"] = []
    report = planned(shell, model_deployment(), [*cluster, foreign])
    assert verbs(report) == ["WriteStatus"]
    assert report["events"][0]["reason"] == "NameConflict"
    foreign["metadata"]["labels"] = {}
    assert "Create Service digits" in verbs(planned(shell, model_deployment(), [*cluster, foreign]))


def test_what_keeps_a_pod_from_starting_is_said(shell: Shell) -> None:
    cluster = cluster_after(shell, ready=False)
    deployment = next(o for o in cluster if o["kind"] == "Deployment")
    waiting = {"reason": "ImagePullBackOff", "message": "not found"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **deployment["spec"]["template"]["metadata"],
            "name": "digits-pod",
            "namespace": "vision",
            "uid": "pod",
            "creationTimestamp": NOW,
        },
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": NOW}],
            "containerStatuses": [{"name": "triton", "state": {"waiting": waiting}}],
        },
    }
    report = planned(shell, model_deployment(), [*cluster, pod])
    ready = next(c for c in report["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ImagePullFailed")
    assert "not found" in ready["message"]
    assert report["requeueAt"] == "2026-01-31T12:10:00Z"


def test_the_configuration_gives_images_and_accelerator(shell: Shell) -> None:
    config = shell.file(
        "config.yaml",
        "defaults: {accelerator: None, tritonImage: triton@sha256:1}\nfetchImage: plimsoll@sha256:2\n",
    )
    report = planned(shell, model_deployment(), None, "--config", config)
    spec = next(a["manifest"] for a in report["actions"] if a["action"] == "Create" and a["kind"] == "Deployment")[
        "spec"
    ]["template"]["spec"]
    assert spec["containers"][0]["image"] == "triton@sha256:1"
    assert spec["initContainers"][0]["image"] == "plimsoll@sha256:2"
    assert "nvidia.com/gpu" not in spec["containers"][0]["resources"]["limits"]


def test_several_model_deployments_are_planned_one_after_the_other(shell: Shell) -> None:
    file = shell.file("two.yaml", [model_deployment(), {**model_deployment(), "metadata": {"name": "letters"}}])
    out = shell.run("plan", file).out
    assert out.index("default/digits") < out.index("default/letters")


def test_an_invalid_manifest_is_refused_before_it_is_planned(shell: Shell) -> None:
    wrong = model_deployment()
    wrong["spec"]["replicas"] = -1
    ended = shell.run("plan", shell.file("digits.yaml", [wrong]))
    assert (ended.code, ended.out) == (1, "")
    assert "spec.replicas: is -1; at least 0 is allowed" in ended.err


@pytest.mark.parametrize(
    ("files", "words", "code", "said"),
    [
        ({}, ["missing.yaml"], 2, "Cannot be read"),
        ({"a.yaml": "a: [1"}, ["a.yaml"], 2, "not YAML"),
        ({"a.yaml": "kind: Service\nmetadata: {name: x}"}, ["a.yaml"], 1, "holds no ModelDeployment"),
        ({"a.yaml": "kind: Pod", "c.yaml": "nonsense: 1"}, ["a.yaml", "--config", "c.yaml"], 2, "configuration"),
        ({"a.yaml": "kind: Pod"}, ["a.yaml", "--now", "tomorrow"], 2, "--now tomorrow is not a time"),
    ],
)
def test_what_cannot_be_planned(shell: Shell, files: dict[str, str], words: list[str], code: int, said: str) -> None:
    for name, text in files.items():
        shell.file(name, text)
    ended = shell.run("plan", *(word if word.startswith("-") else _path(shell, word) for word in words))
    assert ended.code == code
    assert said in ended.err


def test_an_object_of_the_cluster_that_cannot_be_read_is_named(shell: Shell) -> None:
    labels = {"app.kubernetes.io/managed-by": "plimsoll", "plimsoll.dev/model": "digits"}
    broken = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "digits-1", "labels": labels}}
    ended = shell.run("plan", shell.file("w.yaml", [model_deployment(), broken]))
    assert ended.code == 2
    assert ended.err.startswith("Deployment digits-1 cannot be read")


def _path(shell: Shell, word: str) -> str:
    return str(shell.folder / word) if word.endswith(".yaml") else word
