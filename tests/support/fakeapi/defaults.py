"""Values the API server fills into objects: what makes naive comparisons see drift."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


def _set(obj: Json, **values: Any) -> None:
    for name, value in values.items():
        obj.setdefault(name, value)


def default_service(obj: Json) -> None:
    """As apps do not write: type, addresses, families, protocols and target ports."""
    spec = obj.setdefault("spec", {})
    # The real allocator gives an address; a constant one shows the same effect on comparisons.
    _set(spec, type="ClusterIP", clusterIP="10.96.0.10", sessionAffinity="None", internalTrafficPolicy="Cluster")
    _set(spec, clusterIPs=[spec["clusterIP"]], ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    for port in spec.get("ports") or ():
        _set(port, protocol="TCP", targetPort=port["port"])


def default_deployment(obj: Json) -> None:
    """Strategy, limits and the whole pod template."""
    spec = obj.setdefault("spec", {})
    _set(
        spec,
        replicas=1,
        progressDeadlineSeconds=600,
        revisionHistoryLimit=10,
        strategy={"type": "RollingUpdate"},
        template={},
    )
    if spec["strategy"].get("type") == "RollingUpdate":
        _set(spec["strategy"].setdefault("rollingUpdate", {}), maxSurge="25%", maxUnavailable="25%")
    default_pod_spec(spec["template"].setdefault("spec", {}))


def default_job(obj: Json) -> None:
    """Counts, and the whole pod template; the selector and its labels need the uid and are left out."""
    spec = obj.setdefault("spec", {})
    replacement = "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed"
    _set(
        spec,
        completions=1,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        manualSelector=False,
        podReplacementPolicy=replacement,
    )
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def default_network_policy(obj: Json) -> None:
    """Types, and the protocol of each port."""
    spec = obj.setdefault("spec", {})
    _set(spec, policyTypes=["Ingress", *(["Egress"] if "egress" in spec else [])])
    for rule in spec.get("ingress") or ():
        for port in rule.get("ports") or ():
            _set(port, protocol="TCP")


def default_pod_spec(spec: Json) -> None:
    """Of a pod or of a template."""
    _set(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
    )
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        _default_container(container)
    for volume in spec.get("volumes") or ():
        for source, mode in (("configMap", 0o644), ("secret", 0o644), ("projected", 0o644)):
            if source in volume:
                _set(volume[source], defaultMode=mode)


def _default_container(container: Json) -> None:
    image = container.get("image", "")
    latest = "@" not in image and (":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest"))
    _set(
        container,
        imagePullPolicy="Always" if latest else "IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={},
    )
    for port in container.get("ports") or ():
        _set(port, protocol="TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _set(container[name], timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if "httpGet" in container[name]:
                _set(container[name]["httpGet"], scheme="HTTP", path="/")
    for env in container.get("env") or ():
        if "fieldRef" in env.get("valueFrom", {}):
            _set(env["valueFrom"]["fieldRef"], apiVersion="v1")
