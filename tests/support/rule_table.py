"""What is admitted and what is refused: one table for the offline check and for real API servers.

Each row is a complete manifest. `refusal` is part of what both say when they refuse it (None: admitted); `rule` names
the CEL rule that the row is about, by the start of its message, so that a test can tell that every rule has rows of
both outcomes.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

DIGEST = "sha256:" + "a1" * 32
OTHER_DIGEST = "sha256:" + "b2" * 32
URI = f"oci://registry.example.com/models/digits@{DIGEST}"
NO_DIGEST = "oci://registry.example.com/models/digits"
TENSOR = {"name": "x", "dataType": "FP32", "dims": [64]}

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Row:
    name: str
    manifest: Manifest
    refusal: str | None
    rule: str = ""


def manifest(spec: dict[str, Any] | None = None, name: str = "digits", **top: Any) -> Manifest:
    """A ModelDeployment with the smallest valid spec, or with this one."""
    return {
        "apiVersion": "plimsoll.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {"model": {"uri": URI}} if spec is None else spec,
        **top,
    }


def model(**fields: Any) -> Manifest:
    """One with these fields of spec.model over the smallest valid ones."""
    return manifest({"model": {"uri": URI, **fields}})


def runtime(**fields: Any) -> Manifest:
    """One with this spec.runtime."""
    return manifest({"model": {"uri": URI}, "runtime": fields})


def sized(request: str | int, limit: str | int) -> Manifest:
    """One with this much memory."""
    return runtime(resources={"requests": {"memory": request}, "limits": {"memory": limit}})


def pod(**fields: Any) -> Manifest:
    """One with this spec.runtime.pod."""
    return runtime(pod=fields)


def spec(**fields: Any) -> Manifest:
    """One with these further fields of spec."""
    return manifest({"model": {"uri": URI}, **fields})


def preflight(**fields: Any) -> Manifest:
    """One with this spec.preflight."""
    return spec(preflight=fields)


def by_rule(rule: str, rows: dict[str, tuple[Manifest, bool]]) -> Iterator[Row]:
    """Rows about one CEL rule, whose message begins with `rule`: name -> (manifest, admitted)."""
    for name, (body, admitted) in rows.items():
        yield Row(f"{rule}: {name}", body, None if admitted else rule, rule)


def cel_rows() -> Iterator[Row]:
    yield from by_rule(
        "metadata.name: at most 40",
        {
            "40 characters": (manifest(name="a" * 40), True),
            "41 characters": (manifest(name="a" * 41), False),
        },
    )
    yield from by_rule(
        "metadata.name: must start with a letter",
        {
            "letters, digits and dashes": (manifest(name="r2-d2"), True),
            "one letter": (manifest(name="x"), True),
            "a digit first": (manifest(name="2fast"), False),
            "a dot, which other kinds may have": (manifest(name="digits.v1"), False),
        },
    )
    yield from by_rule(
        "model.uri: must start with",
        {
            "oci": (model(), True),
            "https": (model(uri="https://example.com/digits.onnx", digest=DIGEST), True),
            "pvc": (model(uri="pvc://claim/digits", digest=DIGEST), True),
            "a registry with a port": (model(uri=f"oci://registry:5000/digits@{DIGEST}"), True),
            "s3": (model(uri="s3://bucket/digits", digest=DIGEST), False),
            "unprotected http": (model(uri="http://example.com/digits", digest=DIGEST), False),
            "upper case": (model(uri="OCI://registry/digits", digest=DIGEST), False),
            "no scheme": (model(uri="registry/digits", digest=DIGEST), False),
            "no host": (model(uri="https:///digits", digest=DIGEST), False),
            "no path": (model(uri="https://example.com", digest=DIGEST), False),
            "an empty path": (model(uri="pvc://claim/", digest=DIGEST), False),
        },
    )
    yield from by_rule(
        "model.uri: must not hold a user name",
        {
            "an @ in the path": (model(uri="https://example.com/a@b", digest=DIGEST), True),
            "user and password": (model(uri="https://me:secret@example.com/a", digest=DIGEST), False),
            "user alone": (model(uri=f"oci://me@registry/digits@{DIGEST}"), False),
        },
    )
    yield from by_rule(
        "model.digest: a digest is required",
        {
            "in uri": (model(), True),
            "beside uri": (model(uri=NO_DIGEST, digest=DIGEST), True),
            "nowhere": (model(uri=NO_DIGEST), False),
            "a tag instead": (model(uri=f"{NO_DIGEST}:latest"), False),
            "a short one in uri": (model(uri=f"{NO_DIGEST}@sha256:abc"), False),
            "upper case in uri": (model(uri=f"{NO_DIGEST}@sha256:{'A1' * 32}"), False),
            "followed by something": (model(uri=f"{URI}/more"), False),
        },
    )
    yield from by_rule(
        "model.digest: differs",
        {
            "the same twice": (model(digest=DIGEST), True),
            "another one": (model(digest=OTHER_DIGEST), False),
            "a short one in uri": (model(uri=f"{NO_DIGEST}@sha256:abc", digest=DIGEST), False),
        },
    )
    yield from by_rule(
        "model.inputs: state inputs and outputs together",
        {
            "both": (model(inputs=[TENSOR], outputs=[TENSOR]), True),
            "neither": (model(), True),
            "inputs alone": (model(inputs=[TENSOR]), False),
            "outputs alone": (model(outputs=[TENSOR]), False),
        },
    )
    yield from by_rule(
        "model.entry: names the public model",
        {
            "of a Triton repository": (model(entry="ensemble", format="TritonRepository"), True),
            "of another format": (model(entry="ensemble", format="Onnx"), False),
            "without a format": (model(entry="ensemble"), False),
        },
    )
    gpu = {"nvidia.com/gpu": 1}
    slices = {"nvidia.com/mig-1g.5gb": 1}
    yield from by_rule(
        "runtime.resources: a resource of nvidia.com/ contradicts",
        {
            "a GPU for Nvidia": (runtime(accelerator="Nvidia", resources={"limits": gpu}), True),
            "a GPU for the chart's default": (runtime(resources={"limits": gpu}), True),
            "None with other resources": (runtime(accelerator="None", resources={"limits": {"memory": "1Gi"}}), True),
            "None with a GPU limit": (runtime(accelerator="None", resources={"limits": gpu}), False),
            "None with a GPU request": (runtime(accelerator="None", resources={"requests": gpu}), False),
            "a slice for Nvidia": (runtime(accelerator="Nvidia", resources={"limits": slices}), True),
            "None with a limit of slices": (runtime(accelerator="None", resources={"limits": slices}), False),
            "None with a request of slices": (runtime(accelerator="None", resources={"requests": slices}), False),
            "None with shared GPUs": (
                runtime(accelerator="None", resources={"limits": {"memory": "1Gi", "nvidia.com/gpu.shared": "1"}}),
                False,
            ),
            "None with devices of another maker": (
                runtime(accelerator="None", resources={"limits": {"example.com/nvidia.com": 1}}),
                True,
            ),
        },
    )
    yield from by_rule(
        "runtime.resources.requests: more is requested",
        {
            "less": (sized("1Gi", "2Gi"), True),
            "the same": (sized("1Gi", "1Gi"), True),
            "the same in other words": (sized("1024Mi", "1Gi"), True),
            "the same as numbers": (sized(2, 2), True),
            "the same, a number and text": (sized(1, "1000m"), True),
            "the same, text and a number": (sized("1024Mi", 2**30), True),
            "more of a resource that has no limit": (
                runtime(resources={"requests": {"cpu": "4", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}),
                True,
            ),
            "requests alone": (runtime(resources={"requests": {"memory": "2Gi"}}), True),
            "more": (sized("2Gi", "1Gi"), False),
            "more, though the number before the unit is smaller": (sized("1Gi", "1000Mi"), False),
            "more by the least step": (sized("1001m", 1), False),
            "more as numbers": (sized(2, 1), False),
            "more, a number and text": (sized(2, "1500m"), False),
            "anything over nothing": (sized("1m", 0), False),
            "one of several": (
                runtime(resources={"requests": {"cpu": 1, "memory": "2Gi"}, "limits": {"cpu": 2, "memory": "1Gi"}}),
                False,
            ),
            "more devices": (
                runtime(resources={"requests": {"nvidia.com/gpu": 2}, "limits": {"nvidia.com/gpu": 1}}),
                False,
            ),
        },
    )
    yield from by_rule(
        "runtime.drain: at most 1h",
        {
            "nothing": (runtime(drain="0s"), True),
            "compound": (runtime(drain="1m30s"), True),
            "exactly an hour, in other words": (runtime(drain="59m60s"), True),
            "61 minutes": (runtime(drain="61m"), False),
            "an hour and a millisecond": (runtime(drain="1h1ms"), False),
        },
    )
    for field in ("labels", "annotations"):
        yield from by_rule(
            f"runtime.pod.{field}: keys under plimsoll.dev/",
            {
                "others": (pod(**{field: {"example.com/team": "vision"}}), True),
                "ours": (pod(**{field: {"plimsoll.dev/model": "other"}}), False),
                "a subdomain of ours": (pod(**{field: {"x.plimsoll.dev/y": "z"}}), False),
            },
        )
    yield from by_rule(
        "env: POD_UID and names that start with PLIMSOLL_",
        {
            "another name": (pod(env=[{"name": "OMP_NUM_THREADS", "value": "2"}]), True),
            "ours": (pod(env=[{"name": "PLIMSOLL_FETCH_REQUEST", "value": "{}"}]), False),
            "the word that locks administration": (pod(env=[{"name": "POD_UID", "value": "x"}]), False),
        },
    )
    claim, template = {"resourceClaimName": "gpus"}, {"resourceClaimTemplateName": "gpu"}
    yield from by_rule(
        "resourceClaims: give exactly one",
        {
            "a claim": (pod(resourceClaims=[{"name": "gpu", **claim}]), True),
            "a template": (pod(resourceClaims=[{"name": "gpu", **template}]), True),
            "neither": (pod(resourceClaims=[{"name": "gpu"}]), False),
            "both": (pod(resourceClaims=[{"name": "gpu", **claim, **template}]), False),
        },
    )
    yield from request_rows()
    yield from degradation_rows()
    yield from by_rule(
        "cache.ttl: more than 0s",
        {
            "the default": (spec(cache={}), True),
            "a millisecond": (spec(cache={"ttl": "1ms"}), True),
            "the most": (spec(cache={"ttl": "24h"}), True),
            "nothing": (spec(cache={"ttl": "0s"}), False),
            "too long": (spec(cache={"ttl": "24h1ms"}), False),
        },
    )
    yield from preflight_rows()


def request_rows() -> Iterator[Row]:
    """Rows about spec.requests, spec.overload and spec.rollout."""
    yield from by_rule(
        "requests.maxBody: from 1 byte",
        {
            "the default": (spec(requests={}), True),
            "one byte, as a number": (spec(requests={"maxBody": 1}), True),
            "the most": (spec(requests={"maxBody": "1Gi"}), True),
            "the most, in other words": (spec(requests={"maxBody": 1024**3}), True),
            "nothing": (spec(requests={"maxBody": "0"}), False),
            "half a byte": (spec(requests={"maxBody": "500m"}), False),
            "a byte too much": (spec(requests={"maxBody": 1024**3 + 1}), False),
        },
    )
    yield from by_rule(
        "requests.keepWarm: from 10s to 24h",
        {
            "the least": (spec(requests={"keepWarm": "10s"}), True),
            "the most, in other words": (spec(requests={"keepWarm": "23h60m"}), True),
            "too little": (spec(requests={"keepWarm": "9s999ms"}), False),
            "a millisecond too much": (spec(requests={"keepWarm": "24h1ms"}), False),
        },
    )
    yield from by_rule(
        "requests.inputs: min is at most max",
        {
            "one bound": (spec(requests={"inputs": [{"name": "age", "min": "-1"}]}), True),
            "two": (spec(requests={"inputs": [{"name": "age", "min": "-1.5", "max": 120}]}), True),
            "the same, in other words": (spec(requests={"inputs": [{"name": "age", "min": "1.0", "max": 1}]}), True),
            "the least above the most": (spec(requests={"inputs": [{"name": "age", "min": 1, "max": "0.5"}]}), False),
            "the same below zero": (spec(requests={"inputs": [{"name": "age", "min": -1, "max": "-2"}]}), False),
        },
    )
    yield from by_rule(
        "rollout.shadow: at least 0.1%",
        {
            "no copies": (spec(rollout={}), True),
            "a thousandth": (spec(rollout={"shadow": "0.1%"}), True),
            "a thousandth, in more digits": (spec(rollout={"shadow": "00.100%"}), True),
            "all": (spec(rollout={"shadow": "100%"}), True),
            "nothing": (spec(rollout={"shadow": "0%"}), False),
            "nothing, in more digits": (spec(rollout={"shadow": "00.000%"}), False),
            "less than one of a block": (spec(rollout={"shadow": "0.099%"}), False),
        },
    )
    yield from by_rule(
        "overload.maxWait: more than 0s",
        {
            "left to the objective": (spec(overload={"maxQueue": 0}), True),
            "a millisecond": (spec(overload={"maxWait": "1ms"}), True),
            "the most, in other words": (spec(overload={"maxWait": "29s1000ms"}), True),
            "nothing": (spec(overload={"maxWait": "0s"}), False),
            "a millisecond too much": (spec(overload={"maxWait": "30s1ms"}), False),
        },
    )


def unsure(**confidence: Any) -> Manifest:
    """`spec.requests` with a threshold for the confidence of answers."""
    return {"confidence": {"output": "probabilities", "threshold": "0.8", **confidence}}


def degradation_rows() -> Iterator[Row]:
    """Rows about spec.fallback and spec.killSwitch."""
    small = {"name": "digits-small"}
    yield from by_rule(
        "killSwitch.window: from 1s",
        {
            "the default": (spec(killSwitch={}), True),
            "the least": (spec(killSwitch={"window": "1s"}), True),
            "the most, in other words": (spec(killSwitch={"window": "9m60s"}), True),
            "too short": (spec(killSwitch={"window": "999ms"}), False),
            "too long": (spec(killSwitch={"window": "10m1ms"}), False),
        },
    )
    yield from by_rule(
        "killSwitch.errorRate: more than 0%",
        {
            "the least": (spec(killSwitch={"errorRate": "0.001%"}), True),
            "every request": (spec(killSwitch={"errorRate": "100%"}), True),
            "nothing": (spec(killSwitch={"errorRate": "0%"}), False),
            "nothing, in other words": (spec(killSwitch={"errorRate": "0.00%"}), False),
        },
    )
    yield from by_rule(
        "spec.fallback: is needed",
        {
            "a fallback that nothing uses": (spec(fallback=small), True),
            "for traffic": (spec(fallback=small, traffic="Fallback"), True),
            "for overload": (spec(fallback=small, overload={"action": "Fallback"}), True),
            "for the switch": (spec(fallback=small, killSwitch={"action": "Fallback"}), True),
            "for what is not sure": (spec(fallback=small, requests=unsure(onLow="Fallback")), True),
            "not where the switch only stops": (spec(killSwitch={"action": "Stopped"}), True),
            "not where a low answer is only flagged": (spec(requests=unsure()), True),
            "traffic without one": (spec(traffic="Fallback"), False),
            "overload without one": (spec(overload={"action": "Fallback"}), False),
            "a switch without one": (spec(killSwitch={"action": "Fallback"}), False),
            "what is not sure without one": (spec(requests=unsure(onLow="Fallback")), False),
        },
    )
    yield from by_rule(
        "requests.confidence.threshold: more than 0",
        {
            "the usual": (spec(requests=unsure()), True),
            "the least": (spec(requests=unsure(threshold="0.000001")), True),
            "certainty": (spec(requests=unsure(threshold="1")), True),
            "nothing": (spec(requests=unsure(threshold="0")), False),
            "nothing, in other words": (spec(requests=unsure(threshold="0.000")), False),
        },
    )
    yield from by_rule(
        "spec.fallback: is this ModelDeployment itself",
        {
            "another one": (spec(fallback=small), True),
            "itself": (spec(fallback={"name": manifest()["metadata"]["name"]}), False),
        },
    )


def preflight_rows() -> Iterator[Row]:
    """Rows about spec.objective and spec.preflight."""
    yield from by_rule(
        "objective.latency.percentile: more than 0",
        {
            "99": (promise(percentile="99"), True),
            "a hundredth": (promise(percentile="0.01"), True),
            "nothing": (promise(percentile="0"), False),
            "nothing, in more digits": (promise(percentile="00.00"), False),
        },
    )
    yield from by_rule(
        "objective.latency.max: more than 0s",
        {
            "a millisecond": (promise(max="1ms"), True),
            "nothing": (promise(max="0s"), False),
            "nothing, in other words": (promise(max="0h0ms"), False),
        },
    )
    yield from by_rule(
        "objective.headroom: less than 100%",
        {
            "none": (spec(objective={"headroom": "0%"}), True),
            "a tenth": (spec(objective={"headroom": "10%"}), True),
            "nearly all": (spec(objective={"headroom": "99.999%"}), True),
            "all": (spec(objective={"headroom": "100%"}), False),
            "all, in more digits": (spec(objective={"headroom": "100.000%"}), False),
        },
    )
    yield from by_rule(
        "preflight.budget: from 1s to 30m",
        {
            "the default": (preflight(), True),
            "the least": (preflight(budget="1000ms"), True),
            "the most": (preflight(budget="29m60s"), True),
            "too little": (preflight(budget="999ms"), False),
            "too much": (preflight(budget="30m1ms"), False),
            "nothing": (preflight(budget="0s"), False),
        },
    )
    yield from by_rule(
        "preflight.requestsPerSecond: more than 0",
        {
            "found": (preflight(), True),
            "one in ten seconds": (preflight(requestsPerSecond="0.1"), True),
            "a tenth, as a power": (preflight(requestsPerSecond="1e-1"), True),
            "nothing": (preflight(requestsPerSecond="0"), False),
            "nothing, as a power": (preflight(requestsPerSecond="0.00e9"), False),
        },
    )
    bounded = {"maxLoss": "1%"}
    yield from by_rule(
        "preflight.enforce: accuracy.maxLoss rejects nothing",
        {
            "enforced by default": (preflight(accuracy=bounded), True),
            "enforced by name": (preflight(accuracy=bounded, enforce=["Accuracy"]), True),
            "only a warning": (preflight(accuracy=bounded, enforce=["Golden"], mode="Warn"), True),
            "without a bound": (preflight(accuracy={}, enforce=["Golden"]), True),
            "another phase is enforced": (preflight(accuracy=bounded, enforce=["Golden"]), False),
            "nothing is enforced": (preflight(accuracy=bounded, enforce=[]), False),
        },
    )
    yield from by_rule(
        "preflight.accuracy.maxLoss: less than 100%",
        {
            "a point": (preflight(accuracy={"maxLoss": "1%"}), True),
            "none": (preflight(accuracy={"maxLoss": "0%"}), True),
            "everything": (preflight(accuracy={"maxLoss": "100.0%"}), False),
        },
    )
    yield from by_rule(
        "spec.preflight.accuracy.reference: is this",
        {
            "the FP32 twin": (preflight(accuracy={"reference": {"name": "digits-fp32"}}), True),
            "stable": (preflight(accuracy={}), True),
            "itself": (preflight(accuracy={"reference": {"name": "digits"}}), False),
        },
    )
    yield from by_rule(
        "preflight.tolerance: give absolute, relative or both",
        {
            "absolute": (preflight(tolerance=[{"output": "y", "absolute": "1e-4"}]), True),
            "both": (preflight(tolerance=[{"output": "y", "absolute": "0.1", "relative": "0"}]), True),
            "neither": (preflight(tolerance=[{"output": "y"}]), False),
        },
    )
    yield from by_rule(
        "preflight.calibration.errorRate: more than 0%",
        {
            "the default": (preflight(calibration={"output": "p"}), True),
            "one in a thousand": (preflight(calibration={"output": "p", "errorRate": "0.1%"}), True),
            "never wrong": (preflight(calibration={"output": "p", "errorRate": "0.0%"}), False),
            "always wrong": (preflight(calibration={"output": "p", "errorRate": "100%"}), False),
        },
    )


def promise(**line: Any) -> Manifest:
    """One with one line of spec.objective.latency."""
    return spec(objective={"latency": [{"percentile": "99", "max": "200ms", **line}]})


def structural_rows() -> Iterator[Row]:
    """Refusals by type, bound, enum, pattern and unknown field: both sides name the field."""
    refused = {
        "no spec": ({**manifest(), "spec": None}, "spec"),
        "no model": (manifest({}), "spec.model"),
        "no uri": (manifest({"model": {"digest": DIGEST}}), "spec.model.uri"),
        "an empty uri": (model(uri=""), "spec.model.uri"),
        "too long a uri": (model(uri=f"oci://registry/{'a' * 1024}@{DIGEST}"), "spec.model.uri"),
        "a number as uri": (model(uri=5), "spec.model.uri"),
        "a short digest": (model(uri=NO_DIGEST, digest="sha256:abc"), "spec.model.digest"),
        "another digest algorithm": (model(uri=NO_DIGEST, digest="md5:" + "a" * 32), "spec.model.digest"),
        "a format in the wrong case": (model(format="onnx"), "spec.model.format"),
        "a format that runs code when loaded": (model(format="Pickle"), "spec.model.format"),
        "an unknown field": (model(url=URI), 'unknown field "spec.model.url"'),
        "an unknown field of spec": (spec(replica=2), 'unknown field "spec.replica"'),
        "an unknown field in a list": (
            model(inputs=[{**TENSOR, "type": "FP32"}], outputs=[TENSOR]),
            'unknown field "spec.model.inputs[0].type"',
        ),
        "a host path": (pod(volumes=[{"hostPath": {"path": "/"}}]), 'unknown field "spec.runtime.pod.volumes"'),
        "another account": (pod(serviceAccountName="admin"), 'unknown field "spec.runtime.pod.serviceAccountName"'),
        "no inputs in the list": (model(inputs=[], outputs=[]), "spec.model.inputs"),
        "65 inputs": (
            model(inputs=[{**TENSOR, "name": f"x{n}"} for n in range(65)], outputs=[TENSOR]),
            "spec.model.inputs",
        ),
        "two inputs of one name": (model(inputs=[TENSOR, TENSOR], outputs=[TENSOR]), "spec.model.inputs[1]"),
        "a data type that Triton does not know": (
            model(inputs=[{**TENSOR, "dataType": "float32"}], outputs=[TENSOR]),
            "spec.model.inputs[0].dataType",
        ),
        "a tensor without dims": (
            model(inputs=[{"name": "x", "dataType": "FP32"}], outputs=[TENSOR]),
            "spec.model.inputs[0].dims",
        ),
        "a dimension below -1": (
            model(inputs=[{**TENSOR, "dims": [-2]}], outputs=[TENSOR]),
            "spec.model.inputs[0].dims[0]",
        ),
        "an entry that leaves its folder": (
            model(entry="../etc", format="TritonRepository"),
            "spec.model.entry",
        ),
        "config that is no object": (model(config="max_batch_size: 8"), "spec.model.config"),
        "a Secret reference without a name": (
            model(credentials={"secretRef": {}}),
            "spec.model.credentials.secretRef.name",
        ),
        "a Secret of another namespace": (
            model(credentials={"secretRef": {"name": "pull", "namespace": "other"}}),
            'unknown field "spec.model.credentials.secretRef.namespace"',
        ),
        "replicas as text": (spec(replicas="2"), "spec.replicas"),
        "replicas with a fraction": (spec(replicas=1.5), "spec.replicas"),
        "negative replicas": (spec(replicas=-1), "spec.replicas"),
        "1001 replicas": (spec(replicas=1001), "spec.replicas"),
        "an image by tag": (runtime(image="nvcr.example/tritonserver:25.01"), "spec.runtime.image"),
        "an unknown accelerator": (runtime(accelerator="Amd"), "spec.runtime.accelerator"),
        "what YAML 1.1 makes of no": (runtime(accelerator=False), "spec.runtime.accelerator"),
        "a drain without a unit": (runtime(drain="30"), "spec.runtime.drain"),
        "a drain as a number": (runtime(drain=30), "spec.runtime.drain"),
        "a drain with a fraction": (runtime(drain="1.5h"), "spec.runtime.drain"),
        "a negative drain": (runtime(drain="-30s"), "spec.runtime.drain"),
        "a quantity with a fraction as a number": (
            runtime(resources={"limits": {"cpu": 0.5}}),
            "spec.runtime.resources.limits.cpu",
        ),
        "a quantity with a wrong unit": (
            runtime(resources={"limits": {"memory": "2GB"}}),
            "spec.runtime.resources.limits.memory",
        ),
        "a negative quantity": (runtime(resources={"limits": {"cpu": -1}}), "spec.runtime.resources.limits.cpu"),
        "13 resources": (
            runtime(resources={"limits": {f"example.com/r{n}": 1 for n in range(13)}}),
            "spec.runtime.resources.limits",
        ),
        "one percentile twice": (
            spec(objective={"latency": [{"percentile": "99", "max": "1s"}, {"percentile": "99", "max": "2s"}]}),
            "spec.objective.latency[1]",
        ),
        "a percentile with its sign": (
            spec(objective={"latency": [{"percentile": "99%", "max": "1s"}]}),
            "spec.objective.latency[0].percentile",
        ),
        "room for no request": (spec(requests={"maxConcurrent": 0}), "spec.requests.maxConcurrent"),
        "a body in words": (spec(requests={"maxBody": "64MB"}), "spec.requests.maxBody"),
        "an idle time without a unit": (spec(requests={"keepWarm": "300"}), "spec.requests.keepWarm"),
        "a queue of 10,001": (spec(overload={"maxQueue": 10_001}), "spec.overload.maxQueue"),
        "a wait without a unit": (spec(overload={"maxWait": "5"}), "spec.overload.maxWait"),
        "copies without a sign": (spec(rollout={"shadow": "5"}), "spec.rollout.shadow"),
        "an unknown action": (spec(overload={"action": "Ignore"}), "spec.overload.action"),
        "a rate without a sign": (spec(killSwitch={"errorRate": "20"}), "spec.killSwitch.errorRate"),
        "a switch that needs no request": (spec(killSwitch={"minRequests": 0}), "spec.killSwitch.minRequests"),
        "a switch that does something else": (spec(killSwitch={"action": "Restart"}), "spec.killSwitch.action"),
        "a fallback without a name": (spec(fallback={}), "spec.fallback.name"),
        "a threshold as a number": (spec(requests=unsure(threshold=0.8)), "spec.requests.confidence.threshold"),
        "a threshold above 1": (spec(requests=unsure(threshold="1.01")), "spec.requests.confidence.threshold"),
        "a threshold in percent": (spec(requests=unsure(threshold="80%")), "spec.requests.confidence.threshold"),
        "a confidence of no output": (spec(requests=unsure(output="")), "spec.requests.confidence.output"),
        "another thing to do about a low answer": (
            spec(requests=unsure(onLow="Reject")),
            "spec.requests.confidence.onLow",
        ),
        "headroom without a sign": (spec(objective={"headroom": "50"}), "spec.objective.headroom"),
        "a mode that YAML 1.1 makes of off": (preflight(mode=False), "spec.preflight.mode"),
        "an unknown phase": (preflight(enforce=["Speed"]), "spec.preflight.enforce[0]"),
        "a phase twice": (preflight(enforce=["Golden", "Golden"]), "spec.preflight.enforce[1]"),
        "one repeat": (preflight(repeats=1), "spec.preflight.repeats"),
        "a batch of none": (preflight(batchSizes=[0]), "spec.preflight.batchSizes[0]"),
        "two tolerances of one output": (
            preflight(tolerance=[{"output": "y", "absolute": "1"}, {"output": "y", "relative": "1"}]),
            "spec.preflight.tolerance[1]",
        ),
        "golden inputs without a key": (preflight(golden={"name": "golden"}), "spec.preflight.golden.key"),
        "a loss without a sign": (preflight(accuracy={"maxLoss": "1"}), "spec.preflight.accuracy.maxLoss"),
        "a negative loss": (preflight(accuracy={"maxLoss": "-1%"}), "spec.preflight.accuracy.maxLoss"),
        "a rate as a number": (preflight(requestsPerSecond=5), "spec.preflight.requestsPerSecond"),
        "a label value with a space": (pod(labels={"team": "two words"}), "spec.runtime.pod.labels.team"),
        "a label value that is no text": (pod(nodeSelector={"gpu": True}), "spec.runtime.pod.nodeSelector.gpu"),
        "a toleration of an unknown effect": (
            pod(tolerations=[{"key": "gpu", "effect": "Never"}]),
            "spec.runtime.pod.tolerations[0].effect",
        ),
        "two variables of one name": (
            pod(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
            "spec.runtime.pod.env[1]",
        ),
        "a variable from a Secret": (
            pod(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
            'unknown field "spec.runtime.pod.env[0].valueFrom"',
        ),
        "a weight above 100": (
            pod(
                affinity={
                    "nodeAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 101, "preference": {}}]
                    }
                }
            ),
            "weight",
        ),
        "two spreads over one topology": (
            pod(topologySpreadConstraints=[{"topologyKey": "zone"}, {"topologyKey": "zone"}]),
            "spec.runtime.pod.topologySpreadConstraints[1]",
        ),
        "one namespace twice": (
            pod(
                affinity={
                    "podAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [
                            {"topologyKey": "zone", "namespaces": ["a", "a"]}
                        ]
                    }
                }
            ),
            "namespaces[1]",
        ),
    }
    for name, (body, refusal) in refused.items():
        yield Row(name, body, refusal)
    yield from (Row(name, body, None) for name, body in admitted().items())


def admitted() -> dict[str, Manifest]:
    """Valid manifests that together use every field."""
    return {
        "the smallest one": manifest(),
        "no replicas": spec(replicas=0),
        "quantities as numbers": runtime(resources={"limits": {"cpu": 2, "memory": 1073741824}}),
        "quantities as text": runtime(resources={"requests": {"cpu": "500m"}, "limits": {"memory": "2.5Gi"}}),
        "12 resources": runtime(resources={"limits": {f"example.com/r{n}": 1 for n in range(12)}}),
        "an empty runtime": runtime(),
        "status, which apply ignores": manifest(status={"phase": "Stable"}),
        "everything": everything(),
    }


def everything() -> Manifest:
    """Every field of spec, once."""
    selector = {
        "matchLabels": {"app": "x"},
        "matchExpressions": [{"key": "team", "operator": "In", "values": ["vision"]}],
    }
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": selector,
        "namespaces": ["a", "b"],
        "namespaceSelector": selector,
    }
    pods = {
        "requiredDuringSchedulingIgnoredDuringExecution": [term],
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}],
    }
    node = {
        "matchExpressions": [{"key": "gpu", "operator": "In", "values": ["a100", "h100"]}],
        "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["bad"]}],
    }
    return manifest(
        {
            "model": {
                "uri": URI,
                "digest": DIGEST,
                "format": "TritonRepository",
                "entry": "ensemble",
                "inputs": [TENSOR],
                "outputs": [{"name": "y", "dataType": "INT64", "dims": [-1]}],
                "config": {"maxBatchSize": 8, "dynamicBatching": {"preferredBatchSize": [4, 8]}},
                "credentials": {"secretRef": {"name": "pull"}, "caConfigMapRef": {"name": "ca"}},
            },
            "replicas": 3,
            "cache": {"ttl": "1h", "maxBytes": "1Gi", "parameters": ["top_k"], "recheck": "0.1%"},
            "traffic": "StableOnly",
            "fallback": {"name": "digits-small"},
            "killSwitch": {"errorRate": "12.5%", "window": "30s", "minRequests": 100, "action": "Fallback"},
            "requests": {
                "maxConcurrent": 32,
                "maxBody": "16Mi",
                "keepWarm": "5m",
                "onInvalid": "Impute",
                "onInvalidOutput": "Flag",
                "inputs": [{"name": "age", "min": "-1.5", "max": 120, "default": "38", "notFinite": "Allow"}],
                "confidence": {"output": "probabilities", "threshold": "0.85", "onLow": "Abstain"},
            },
            "rollout": {"shadow": "5%"},
            "overload": {"maxQueue": 100, "maxWait": "2s", "action": "Fallback"},
            "runtime": {
                "image": f"nvcr.example:5000/nvidia/tritonserver@{DIGEST}",
                "accelerator": "Nvidia",
                "resources": {"requests": {"cpu": "1"}, "limits": {"nvidia.com/gpu": "2"}},
                "drain": "2m",
                "pod": {
                    "labels": {"team": "vision"},
                    "annotations": {"sidecar.example.com/inject": "false"},
                    "nodeSelector": {"pool": "gpu"},
                    "tolerations": [
                        {
                            "key": "gpu",
                            "operator": "Equal",
                            "value": "yes",
                            "effect": "NoExecute",
                            "tolerationSeconds": 60,
                        }
                    ],
                    "affinity": {
                        "nodeAffinity": {
                            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [node]},
                            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": node}],
                        },
                        "podAffinity": deepcopy(pods),
                        "podAntiAffinity": deepcopy(pods),
                    },
                    "topologySpreadConstraints": [
                        {
                            "topologyKey": "topology.kubernetes.io/zone",
                            "maxSkew": 2,
                            "whenUnsatisfiable": "DoNotSchedule",
                        }
                    ],
                    "priorityClassName": "high",
                    "imagePullSecrets": [{"name": "pull"}],
                    "runtimeClassName": "nvidia",
                    "env": [{"name": "OMP_NUM_THREADS", "value": "2"}],
                    "resourceClaims": [{"name": "gpu", "resourceClaimName": "gpus"}],
                },
            },
            "objective": {"latency": [{"percentile": "99.9", "max": "200ms"}], "headroom": "40%"},
            "preflight": {
                "mode": "Warn",
                "enforce": ["Load", "Golden", "Accuracy"],
                "whenNoStable": "Serve",
                "golden": {"name": "digits-golden", "key": "golden.json"},
                "tolerance": [{"output": "y", "absolute": "1e-5", "relative": "0.001"}],
                "repeats": 20,
                "batchSizes": [1, 8, 64],
                "requestsPerSecond": "12.5",
                "budget": "5m",
                "accuracy": {
                    "dataset": {"name": "digits-labelled", "key": "dataset.json"},
                    "reference": {"name": "digits-fp32"},
                    "output": "y",
                    "maxLoss": "1%",
                },
                "calibration": {"output": "p", "errorRate": "2.5%"},
            },
        }
    )


@dataclass(frozen=True)
class Defaulting:
    name: str
    manifest: Manifest
    defaulted: Manifest
    """The spec as it is stored."""


DEFAULTING = (
    Defaulting("replicas", manifest(), {"model": {"uri": URI}, "replicas": 1, "traffic": "Normal"}),
    Defaulting(
        "drain, where there is a runtime",
        runtime(accelerator="None"),
        {"model": {"uri": URI}, "replicas": 1, "traffic": "Normal", "runtime": {"accelerator": "None", "drain": "30s"}},
    ),
    Defaulting(
        "a spread and a variable",
        pod(topologySpreadConstraints=[{"topologyKey": "zone"}], env=[{"name": "A"}]),
        {
            "model": {"uri": URI},
            "replicas": 1,
            "traffic": "Normal",
            "runtime": {
                "drain": "30s",
                "pod": {
                    "topologySpreadConstraints": [
                        {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
                    ],
                    "env": [{"name": "A", "value": ""}],
                },
            },
        },
    ),
    Defaulting(
        "what is taken and how many may wait, where anything is said about it",
        spec(requests={}, overload={}),
        {
            "model": {"uri": URI},
            "replicas": 1,
            "traffic": "Normal",
            "requests": {"maxBody": "64Mi", "onInvalidOutput": "Fail"},
            "overload": {"maxQueue": 256, "action": "Reject"},
        },
    ),
    Defaulting(
        "what becomes of a low answer",
        spec(requests=unsure()),
        {
            "model": {"uri": URI},
            "replicas": 1,
            "traffic": "Normal",
            "requests": {
                "maxBody": "64Mi",
                "onInvalidOutput": "Fail",
                "confidence": {"output": "probabilities", "threshold": "0.8", "onLow": "Flag"},
            },
        },
    ),
    Defaulting(
        "when a switch trips",
        spec(killSwitch={}),
        {
            "model": {"uri": URI},
            "replicas": 1,
            "traffic": "Normal",
            "killSwitch": {"errorRate": "20%", "window": "1m", "minRequests": 50, "action": "Alert"},
        },
    ),
    Defaulting(
        "how long answers are kept, where any are",
        spec(cache={}),
        {
            "model": {"uri": URI},
            "replicas": 1,
            "traffic": "Normal",
            "cache": {"ttl": "5m", "maxBytes": "64Mi", "recheck": "1%"},
        },
    ),
    Defaulting(
        "an empty field is as an absent one",
        spec(replicas=None),
        {"model": {"uri": URI}, "replicas": 1, "traffic": "Normal"},
    ),
)

ROWS: tuple[Row, ...] = (*cel_rows(), *structural_rows())
