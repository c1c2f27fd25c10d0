"""What a user may say about the model pod: a typed allow-list.

Whoever may create a ModelDeployment must not thereby get a host path, another service account or a privileged
container, so the pod is not a free template. The shapes are those of the core/v1 API.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from plimsoll.api.base import (
    ATOMIC_LIST,
    SET_LIST,
    ApiModel,
    LabelKey,
    LabelValue,
    ObjectName,
    Rule,
    list_map,
    map_of,
)

_SHORT = Annotated[str, Field(max_length=253)]
_TEXT = Annotated[str, Field(max_length=4096)]


class SelectorOperator(StrEnum):
    """How a key is compared with values."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


class Requirement(ApiModel):
    """One comparison of a selector."""

    key: LabelKey
    """Label or field that is compared."""
    operator: SelectorOperator
    """How the key is compared with the values."""
    values: Annotated[list[_SHORT] | None, Field(max_length=64, json_schema_extra=dict(ATOMIC_LIST))] = None
    """Values to compare with; empty for Exists and DoesNotExist."""


_Requirements = Annotated[list[Requirement] | None, Field(max_length=32, json_schema_extra=dict(ATOMIC_LIST))]
_MatchLabels = Annotated[dict[LabelKey, LabelValue] | None, Field(json_schema_extra=map_of(64))]


class NodeTerm(ApiModel):
    """Requirements on one node; all of them hold together."""

    match_expressions: _Requirements = None
    """Requirements on the node's labels."""
    match_fields: _Requirements = None
    """Requirements on the node's fields."""


class WeightedNodeTerm(ApiModel):
    """A preference for nodes."""

    weight: Annotated[int, Field(ge=1, le=100)]
    """Strength of the preference, 1 to 100."""
    preference: NodeTerm
    """The nodes that are preferred."""


class NodeSelector(ApiModel):
    """Nodes that are allowed; one of the terms must hold."""

    node_selector_terms: Annotated[
        list[NodeTerm], Field(min_length=1, max_length=32, json_schema_extra=dict(ATOMIC_LIST))
    ]
    """Alternatives, at least one."""


class NodeAffinity(ApiModel):
    """Which nodes the pods may or should run on."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """Nodes that are allowed at all."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[WeightedNodeTerm] | None, Field(max_length=32, json_schema_extra=dict(ATOMIC_LIST))
    ] = None
    """Nodes that are preferred."""


class LabelSelector(ApiModel):
    """Pods or namespaces chosen by label."""

    match_labels: _MatchLabels = None
    """Labels that must be equal."""
    match_expressions: _Requirements = None
    """Further requirements on labels."""


class PodTerm(ApiModel):
    """Other pods that count, and how near they are."""

    topology_key: LabelKey
    """Node label whose equal values mean "same place", for example kubernetes.io/hostname."""
    label_selector: LabelSelector | None = None
    """The pods that count."""
    namespaces: Annotated[list[ObjectName] | None, Field(max_length=32, json_schema_extra=dict(SET_LIST))] = None
    """Namespaces of those pods; this namespace when absent."""
    namespace_selector: LabelSelector | None = None
    """Namespaces of those pods, by label."""


class WeightedPodTerm(ApiModel):
    """A preference about other pods."""

    weight: Annotated[int, Field(ge=1, le=100)]
    """Strength of the preference, 1 to 100."""
    pod_affinity_term: PodTerm
    """The pods in question."""


class PodAffinity(ApiModel):
    """Nearness to, or distance from, other pods."""

    required_during_scheduling_ignored_during_execution: Annotated[
        list[PodTerm] | None, Field(max_length=16, json_schema_extra=dict(ATOMIC_LIST))
    ] = None
    """Terms that must hold."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[WeightedPodTerm] | None, Field(max_length=16, json_schema_extra=dict(ATOMIC_LIST))
    ] = None
    """Terms that are preferred."""


class Affinity(ApiModel):
    """Scheduling affinity, as in a pod."""

    node_affinity: NodeAffinity | None = None
    """Which nodes the pods may or should run on."""
    pod_affinity: PodAffinity | None = None
    """Pods to be near to."""
    pod_anti_affinity: PodAffinity | None = None
    """Pods to be away from."""


class TolerationOperator(StrEnum):
    """How a toleration compares the taint's value."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(ApiModel):
    """A node taint that the pods accept, for example that of GPU nodes."""

    key: Annotated[str | None, Field(max_length=317)] = None
    """Taint key; all keys when absent and the operator is Exists."""
    operator: TolerationOperator | None = None
    """Exists or Equal (used when absent)."""
    value: Annotated[str | None, Field(max_length=63)] = None
    """Taint value, with Equal."""
    effect: TaintEffect | None = None
    """Taint effect; all effects when absent."""
    toleration_seconds: Annotated[int | None, Field(ge=0, le=86_400 * 365)] = None
    """Seconds the pod stays on a node that gets a NoExecute taint."""


class Unsatisfiable(StrEnum):
    """What happens when a spread cannot be reached."""

    DO_NOT_SCHEDULE = "DoNotSchedule"
    SCHEDULE_ANYWAY = "ScheduleAnyway"


class SpreadConstraint(ApiModel):
    """How evenly the pods of this model are spread; the pods are chosen by the operator."""

    topology_key: LabelKey
    """Node label whose values are the places, for example topology.kubernetes.io/zone."""
    max_skew: Annotated[int, Field(ge=1, le=1000)] = 1
    """Largest difference in pods between two places."""
    when_unsatisfiable: Unsatisfiable = Unsatisfiable.SCHEDULE_ANYWAY
    """What to do when the spread cannot be reached."""


class SecretReference(ApiModel):
    """A Secret in the same namespace."""

    name: ObjectName
    """Name of the Secret."""


class EnvVar(ApiModel):
    """An environment variable of the Triton container."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!self.name.startsWith('PLIMSOLL_') && self.name != 'POD_UID'",
            message="env: POD_UID and names that start with PLIMSOLL_ belong to the operator; choose another name",
            holds=lambda env: not env.name.startswith("PLIMSOLL_") and env.name != "POD_UID",
            path=".name",
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the variable."""
    value: _TEXT = ""
    """Value of the variable, taken literally."""


class ResourceClaim(ApiModel):
    """A device claim (dynamic resource allocation) for the Triton container; one of the two sources is given."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.resourceClaimName) != has(self.resourceClaimTemplateName)",
            message="resourceClaims: give exactly one of resourceClaimName and resourceClaimTemplateName",
            holds=lambda claim: (claim.resource_claim_name is None) != (claim.resource_claim_template_name is None),
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the claim inside the pod."""
    resource_claim_name: ObjectName | None = None
    """An existing ResourceClaim, shared by all replicas."""
    resource_claim_template_name: ObjectName | None = None
    """A ResourceClaimTemplate; each replica gets its own claim."""


def _no_reserved_keys(field: str) -> Rule:
    return Rule(
        cel=f"!has(self.{field}) || self.{field}.all(k, !k.contains('plimsoll.dev/'))",
        message=f"runtime.pod.{field}: keys under plimsoll.dev/ belong to the operator; remove them",
        holds=lambda pod: not any("plimsoll.dev/" in key for key in getattr(pod, field) or {}),
        path=f".{field}",
    )


class PodOptions(ApiModel):
    """What may be said about the model pods beyond the model itself."""

    rules: ClassVar[tuple[Rule, ...]] = (_no_reserved_keys("labels"), _no_reserved_keys("annotations"))

    labels: _MatchLabels = None
    """Labels added to the pods. Services, NetworkPolicies and disruption budgets of others in the namespace select by
    labels too; keys under plimsoll.dev/ are refused. Makes a new revision: no."""
    annotations: Annotated[dict[LabelKey, _TEXT] | None, Field(json_schema_extra=map_of(64))] = None
    """Annotations added to the pods. Makes a new revision: no."""
    node_selector: _MatchLabels = None
    """Node labels that are required. Makes a new revision: no."""
    tolerations: Annotated[list[Toleration] | None, Field(max_length=32, json_schema_extra=dict(ATOMIC_LIST))] = None
    """Node taints that are accepted. Makes a new revision: no."""
    affinity: Affinity | None = None
    """Where the pods may or should run. Makes a new revision: no."""
    topology_spread_constraints: Annotated[
        list[SpreadConstraint] | None, Field(max_length=8, json_schema_extra=list_map("topologyKey"))
    ] = None
    """How evenly the pods are spread. Makes a new revision: no."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods. Makes a new revision: no."""
    image_pull_secrets: Annotated[
        list[SecretReference] | None, Field(max_length=8, json_schema_extra=list_map("name"))
    ] = None
    """Secrets for pulling the images of the pod. Makes a new revision: no."""
    runtime_class_name: ObjectName | None = None
    """RuntimeClass of the pods. Makes a new revision: yes."""
    env: Annotated[list[EnvVar] | None, Field(max_length=64, json_schema_extra=list_map("name"))] = None
    """Environment of the Triton container. Makes a new revision: yes."""
    resource_claims: Annotated[list[ResourceClaim] | None, Field(max_length=8, json_schema_extra=list_map("name"))] = (
        None
    )
    """Device claims of the Triton container. Makes a new revision: yes."""
