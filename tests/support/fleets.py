"""Builders for tests of a namespace's gateways: a world in a few words, in which nothing asks for a write."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from plimsoll.core.actions import ChildKind
from plimsoll.core.fleet.observed import Companion, FleetDeployment, FleetSettings, ModelHere, ObservedFleet
from plimsoll.core.fleet.plan import FleetAction, FleetPlan
from plimsoll.core.hashing import digest_of
from plimsoll.core.names import GATEWAY_NAME, MODELS_POLICY_NAME
from plimsoll.core.packing import pack
from plimsoll.core.render.gateway import gateway_template, render_gateway_deployment
from plimsoll.core.render.gateway_companions import companion, render_companions
from plimsoll.core.render.gateway_policy import render_models_policy
from plimsoll.core.world import ReplicasOwner

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VISION = "vision"
UID = "fleet-1"
SETTINGS = FleetSettings(
    enabled=True,
    image="registry.example.com/plimsoll@sha256:" + "2" * 64,
    role="plimsoll-gateway",
    controller_namespace="plimsoll-system",
    controller_key="a-public-key",
    requests={"cpu": "250m", "memory": "128Mi"},
    limits={"memory": "256Mi"},
)
UPGRADED = replace(SETTINGS, image="registry.example.com/plimsoll@sha256:" + "9" * 64)
OFF = replace(SETTINGS, enabled=False)
DIGITS = ModelHere("digits")


def ago(**duration: float) -> datetime:
    """The time `duration` before NOW."""
    return NOW - timedelta(**duration)


def deployment_of(settings: FleetSettings = SETTINGS, **more: Any) -> FleetDeployment:
    """The Deployment as applied with `settings`; its two gateways are ready unless said otherwise."""
    replicas = more.pop("replicas", 2)
    fields = {
        "uid": UID,
        "owner_uid": "",
        "created_at": ago(hours=1),
        "replicas_owner": ReplicasOwner.PLIMSOLL,
        "pods": replicas,
        "ready": replicas,
        "updated_ready": more.get("ready", replicas),
        "template": digest_of(gateway_template(settings)),
        **more,
    }
    packed = pack(render_gateway_deployment(VISION, settings))
    return FleetDeployment(name=GATEWAY_NAME, packed=packed, replicas=replicas, **fields)


def companions_of(settings: FleetSettings = SETTINGS, *, uid: str = UID) -> list[Companion]:
    """Everything beside the Deployment but the policy on model pods."""
    return [companion_of(manifest) for manifest in render_companions(VISION, settings, uid)]


def models_policy_of(*open_to_all: str, settings: FleetSettings = SETTINGS) -> Companion:
    """The policy on model pods."""
    spec = render_models_policy(settings, open_to_all)
    return companion_of(companion("networking.k8s.io/v1", "NetworkPolicy", MODELS_POLICY_NAME, VISION, UID, spec=spec))


def companion_of(manifest: dict[str, Any], **more: Any) -> Companion:
    kind, name = ChildKind(manifest["kind"]), manifest["metadata"]["name"]
    fields = {"uid": f"{kind.lower()}-1", "owner_uid": UID, **more}
    return Companion(name=name, kind=kind, packed=pack(manifest), **fields)


def stranger(kind: ChildKind, name: str = GATEWAY_NAME, **more: Any) -> Companion:
    """Somebody else's object under a name that a fleet uses."""
    fields = {"uid": "theirs", "owner_uid": "", "ours": False, **more}
    return Companion(name=name, kind=kind, packed=pack({"metadata": {"name": name}}), **fields)


def fleet(
    *models: ModelHere,
    deployment: FleetDeployment | None = None,
    companions: Iterable[Companion] = (),
    settings: FleetSettings = SETTINGS,
    **more: Any,
) -> ObservedFleet:
    """The namespace `vision`."""
    return ObservedFleet(
        namespace=VISION,
        settings=settings,
        models=models,
        deployment=deployment,
        companions={(one.kind, one.name): one for one in companions},
        **more,
    )


def whole_fleet(*models: ModelHere, settings: FleetSettings = SETTINGS, **deployment: Any) -> ObservedFleet:
    """A namespace whose gateways are all as they should be; no Service leads to them yet."""
    return fleet(
        *(models or (DIGITS,)),
        deployment=deployment_of(settings, **deployment),
        companions=companions_of(settings),
        settings=settings,
    )


def steps(planned: FleetPlan) -> list[str]:
    """The plan as verbs and kinds, in order."""
    return [step(action) for action in planned.actions]


def step(action: FleetAction) -> str:
    kind = getattr(action, "kind", ChildKind.DEPLOYMENT)
    name = action.name if hasattr(action, "name") else action.manifest["metadata"]["name"]
    return f"{type(action).__name__} {kind}" + (" (models)" if name == MODELS_POLICY_NAME else "")
