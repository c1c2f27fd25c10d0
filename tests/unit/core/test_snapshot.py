"""What makes a new revision and what does not, field by field of the API."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from tests.support.builders import DEFAULTS, UPGRADED_DEFAULTS, digest, digits, wire_spec

from plimsoll.api.pod import PodOptions
from plimsoll.api.v1alpha1 import Accelerator, Model, ModelDeployment, ModelDeploymentSpec, Runtime
from plimsoll.core.snapshot import Snapshot, intent_digest, take_snapshot
from plimsoll.errors import Invalid

TENSORS = [{"name": "x", "dataType": "FP32", "dims": [64]}]
IMAGE = "registry.example.com/other@" + digest("7")
FULL: dict[str, Any] = {
    "model": {
        "uri": "oci://registry.example.com/models/digits@" + digest("a"),
        "format": "Onnx",
        "inputs": TENSORS,
        "outputs": TENSORS,
        "config": {"dynamicBatching": {}},
        "credentials": {"secretRef": {"name": "pull"}},
    },
    "replicas": 2,
    "runtime": {
        "image": IMAGE,
        "accelerator": "Nvidia",
        "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}},
        "pod": {"env": [{"name": "A", "value": "1"}], "nodeSelector": {"pool": "gpu"}},
        "drain": "1m",
    },
}


def intent(spec: dict[str, Any]) -> str:
    return intent_digest(ModelDeploymentSpec.model_validate(spec))


def edited(path: str, value: Any) -> dict[str, Any]:
    """FULL with one field set; the path is dotted."""
    spec: dict[str, Any] = ModelDeploymentSpec.model_validate(FULL).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    *parents, last = path.split(".")
    place = spec
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return spec


INSIDE = {
    "model.uri": "oci://registry.example.com/models/letters@" + digest("a"),
    "model.digest": digest("b"),
    "model.format": "Python",
    "model.inputs": [{"name": "y", "dataType": "FP32", "dims": [64]}],
    "model.outputs": [{"name": "x", "dataType": "FP32", "dims": [-1]}],
    "model.entry": "ensemble",
    "model.config": {"dynamicBatching": {"maxQueueDelayMicroseconds": 100}},
    "runtime.image": "registry.example.com/other@" + digest("6"),
    "runtime.accelerator": "None",
    "runtime.resources": {"requests": {"cpu": "3"}, "limits": {"memory": "4Gi"}},
    "runtime.pod.runtimeClassName": "nvidia",
    "runtime.pod.env": [{"name": "A", "value": "2"}],
    "runtime.pod.resourceClaims": [{"name": "gpu", "resourceClaimName": "shared"}],
}
OUTSIDE = {
    "model.credentials": {"secretRef": {"name": "other"}, "caConfigMapRef": {"name": "ca"}},
    "replicas": 7,
    "traffic": "StableOnly",
    "requests": {
        "maxConcurrent": 8,
        "maxBody": "1Mi",
        "keepWarm": "5m",
        "confidence": {"output": "probabilities", "threshold": "0.8", "onLow": "Abstain"},
    },
    "overload": {"maxQueue": 10, "maxWait": "1s"},
    "cache": {"ttl": "1h"},
    "rollout": {"shadow": "5%"},
    "fallback": {"name": "digits-small"},
    "killSwitch": {"window": "30s", "action": "Stopped"},
    "objective": {"latency": [{"percentile": "99", "max": "200ms"}]},
    "preflight": {"budget": "1m", "golden": {"name": "golden", "key": "golden.json"}},
    "runtime.drain": "5m",
    "runtime.pod.labels": {"team": "vision"},
    "runtime.pod.annotations": {"note": "x"},
    "runtime.pod.nodeSelector": {"pool": "cpu"},
    "runtime.pod.tolerations": [{"key": "gpu", "operator": "Exists"}],
    "runtime.pod.affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname"}]
        }
    },
    "runtime.pod.topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone"}],
    "runtime.pod.priorityClassName": "high",
    "runtime.pod.imagePullSecrets": [{"name": "pull"}],
}


@pytest.mark.parametrize("path", INSIDE)
def test_makes_a_new_revision(path: str) -> None:
    spec = edited(path, INSIDE[path])
    if path == "model.digest":
        spec["model"]["uri"] = "oci://registry.example.com/models/digits"
    assert intent(spec) != intent(FULL)
    snapshots = {
        take_snapshot(ModelDeploymentSpec.model_validate(s), DEFAULTS).name_for("digits") for s in (spec, FULL)
    }
    assert len(snapshots) == 2


@pytest.mark.parametrize("path", OUTSIDE)
def test_makes_no_new_revision(path: str) -> None:
    spec = edited(path, OUTSIDE[path])
    assert intent(spec) == intent(FULL)
    snapshots = [take_snapshot(ModelDeploymentSpec.model_validate(s), DEFAULTS) for s in (spec, FULL)]
    assert snapshots[0] == snapshots[1]


def fields_of(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for field in model.model_fields.values():
        yield f"{prefix}{field.alias}", field.description or ""


API_FIELDS = dict(
    (
        *fields_of(ModelDeploymentSpec, ""),
        *fields_of(Model, "model."),
        *fields_of(Runtime, "runtime."),
        *fields_of(PodOptions, "runtime.pod."),
    )
)
WHOLES = {"model", "runtime", "runtime.pod"}


@pytest.mark.parametrize("path", sorted(API_FIELDS.keys() - WHOLES))
def test_every_field_has_a_row_here_and_its_documentation_says_the_same(path: str) -> None:
    documented = " ".join(API_FIELDS[path].split())
    if path == "runtime.resources":
        assert path in INSIDE
    elif path in INSIDE:
        assert documented.endswith("Makes a new revision: yes.")
    else:
        assert path in OUTSIDE
        assert documented.endswith("Makes a new revision: no.")


ABSENT_AND_DEFAULT = [
    ("runtime", {}),
    ("runtime", {"drain": "30s"}),
    ("runtime", {"resources": {}}),
    ("runtime", {"resources": {"requests": {}, "limits": {}}}),
    ("runtime", {"pod": {}}),
    ("runtime", {"pod": {"env": [], "resourceClaims": []}}),
    ("replicas", 1),
    ("traffic", "Normal"),
]


@pytest.mark.parametrize(("field", "value"), ABSENT_AND_DEFAULT, ids=[str(row) for row in ABSENT_AND_DEFAULT])
def test_stating_a_default_or_nothing_is_like_leaving_the_field_out(field: str, value: Any) -> None:
    assert intent(wire_spec(**{field: value})) == intent(wire_spec())


def test_an_empty_configuration_is_like_none_but_an_empty_setting_in_it_is_a_setting() -> None:
    plain = wire_spec()
    empty = {"model": {**plain["model"], "config": {}}}
    batching = {"model": {**plain["model"], "config": {"dynamicBatching": {}}}}
    assert intent(empty) == intent(plain) != intent(batching)


def test_both_spellings_of_the_digest_are_the_same() -> None:
    inside = {"model": {"uri": "oci://registry.example.com/digits@" + digest("a")}}
    beside = {"model": {"uri": "oci://registry.example.com/digits", "digest": digest("a")}}
    both = {"model": {"uri": "oci://registry.example.com/digits@" + digest("a"), "digest": digest("a")}}
    assert intent(inside) == intent(beside) == intent(both)
    names = {take_snapshot(ModelDeploymentSpec.model_validate(s), DEFAULTS).name_for("m") for s in (inside, beside)}
    assert len(names) == 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"uri": "oci://registry.example.com/digits:v1"}, "spec.model.digest is missing"),
        ({"uri": "oci://r.example.com/d@" + digest("a"), "digest": digest("b")}, "differs from the digest in"),
    ],
)
def test_a_model_without_one_digest_is_refused(model: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        intent({"model": model})
    assert refused.value.reason == "DigestRequired"


def test_new_defaults_make_another_snapshot_but_no_new_intent() -> None:
    spec = digits().spec
    assert take_snapshot(spec, DEFAULTS) != take_snapshot(spec, UPGRADED_DEFAULTS)
    # The intent is all that decides whether a revision is made: it is computed without any defaults.
    assert intent_digest(spec) == intent_digest(digits().spec)


CLAIM = [{"name": "gpu", "resourceClaimTemplateName": "slice"}]
ONE_GPU = {"limits": {"nvidia.com/gpu": 1}}
RESOURCES = [
    ("nothing given", {}, DEFAULTS.requests, DEFAULTS.limits),
    (
        "another request",
        {"requests": {"cpu": "4"}},
        {"cpu": "4", "memory": "2Gi"},
        {"memory": "2Gi", "ephemeral-storage": "10Gi"},
    ),
    (
        "a limit below the default request: the request is not kept beside it",
        {"limits": {"memory": "1500Mi"}},
        {"cpu": "1"},
        {"memory": "1500Mi", "ephemeral-storage": "10Gi"},
    ),
    (
        "a request above the default limit: the limit is not kept beside it",
        {"requests": {"memory": "8Gi"}},
        {"cpu": "1", "memory": "8Gi"},
        {"ephemeral-storage": "10Gi"},
    ),
    (
        "both",
        {"requests": {"memory": "4Gi"}, "limits": {"memory": "8Gi"}},
        {"cpu": "1", "memory": "4Gi"},
        {"memory": "8Gi", "ephemeral-storage": "10Gi"},
    ),
]


@pytest.mark.parametrize(
    ("resources", "requests", "limits"), [row[1:] for row in RESOURCES], ids=[row[0] for row in RESOURCES]
)
def test_resources_are_resolved_over_the_defaults(
    resources: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    snapshot = take_snapshot(digits(runtime={"resources": resources}).spec, DEFAULTS)
    assert (snapshot.requests, snapshot.limits) == (requests, limits)


@pytest.mark.parametrize(
    ("runtime", "gpus"),
    [
        ({"accelerator": "Nvidia"}, "1"),
        ({"accelerator": "Nvidia", "resources": {"limits": {"nvidia.com/gpu": 2}}}, "2"),
        ({"accelerator": "Nvidia", "resources": {"requests": {"nvidia.com/gpu": "4"}}}, "4"),
        ({"accelerator": "Nvidia", "resources": {"limits": {"nvidia.com/mig-1g.10gb": 1}}}, None),
        ({"accelerator": "Nvidia", "resources": {"limits": {"nvidia.com/gpu.shared": 1}}}, None),
        ({"accelerator": "Nvidia", "pod": {"resourceClaims": CLAIM}}, None),
        ({"accelerator": "Nvidia", "pod": {"resourceClaims": CLAIM}, "resources": ONE_GPU}, "1"),
        ({"accelerator": "None"}, None),
        ({}, None),
    ],
)
def test_an_accelerator_asks_for_gpus(runtime: dict[str, Any], gpus: str | None) -> None:
    assert take_snapshot(digits(runtime=runtime).spec, DEFAULTS).limits.get("nvidia.com/gpu") == gpus


@pytest.mark.parametrize(
    ("runtime", "accelerator"),
    [
        ({}, Accelerator.NONE),
        ({"resources": ONE_GPU}, Accelerator.NVIDIA),
        ({"resources": {"requests": {"nvidia.com/gpu": 1}}}, Accelerator.NVIDIA),
        ({"resources": {"limits": {"nvidia.com/mig-1g.10gb": 1}}}, Accelerator.NVIDIA),
        ({"resources": {"limits": {"nvidia.com/gpu": 0}}}, Accelerator.NONE),
        ({"resources": {"limits": {"cpu": 4}}}, Accelerator.NONE),
        ({"pod": {"resourceClaims": CLAIM}}, Accelerator.NVIDIA),
        ({"accelerator": "None", "pod": {"resourceClaims": CLAIM}}, Accelerator.NONE),
    ],
    ids=str,
)
def test_who_names_devices_has_an_accelerator(runtime: dict[str, Any], accelerator: Accelerator) -> None:
    assert take_snapshot(digits(runtime=runtime).spec, DEFAULTS).accelerator is accelerator


def test_a_requested_device_is_limited_to_the_same() -> None:
    slices = {"nvidia.com/mig-1g.10gb": "2"}
    snapshot = take_snapshot(digits(runtime={"resources": {"requests": slices}}).spec, DEFAULTS)
    assert snapshot.requests.items() >= slices.items() <= snapshot.limits.items()


@pytest.mark.parametrize(
    ("config", "kib"),
    [
        pytest.param({"a": "x" * 101_000}, None, id="it fits"),
        pytest.param({"a": "x" * 103_000}, 101, id="too large"),
        pytest.param({"a": "$" * 18_000}, 106, id="a dollar takes 6 bytes"),
        pytest.param({"a": "é" * 60_000}, 118, id="bytes, not characters"),
    ],
)
def test_a_configuration_has_to_fit_into_a_variable(config: dict[str, Any], kib: int | None) -> None:
    model = {**wire_spec()["model"], "config": config}
    spec = ModelDeploymentSpec.model_validate({"model": model})
    if kib is None:
        take_snapshot(spec, DEFAULTS)
        return
    with pytest.raises(Invalid, match=f"{kib} KiB large; at most 100 KiB fit") as refused:
        take_snapshot(spec, DEFAULTS)
    assert refused.value.reason == "ConfigTooLarge"
    assert "spec.model.config" in refused.value.message


def test_a_snapshot_survives_storage() -> None:
    snapshot = take_snapshot(ModelDeploymentSpec.model_validate(FULL), DEFAULTS)
    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    assert snapshot.accelerator is Accelerator.NVIDIA


PINNED = [
    (wire_spec(), "d3f2494b09362692", "digits-9468241531"),
    (FULL, "5c800a8a9103a364", "digits-727aff0f73"),
    (
        {
            "model": {
                "uri": "pvc://models/repository",
                "digest": digest("c"),
                "format": "TritonRepository",
                "entry": "ensemble",
            },
            "runtime": {"pod": {"runtimeClassName": "nvidia"}},
        },
        "7ade9dc72bc676ed",
        "digits-d67899314b",
    ),
]


@pytest.mark.parametrize(("spec", "pinned_intent", "pinned_name"), PINNED, ids=["minimal", "full", "repository"])
def test_pinned_because_a_change_here_restarts_every_model_pod_at_the_next_upgrade(
    spec: dict[str, Any], pinned_intent: str, pinned_name: str
) -> None:
    owner = ModelDeployment.model_validate({"metadata": {"name": "digits"}, "spec": spec})
    assert intent_digest(owner.spec) == pinned_intent
    assert take_snapshot(owner.spec, DEFAULTS).name_for("digits") == pinned_name
