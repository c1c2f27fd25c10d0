"""What is observed of a namespace's gateways: Deployments and pods from caches, the rest asked for by name.

Five objects a namespace that nobody edits are not worth five watches, nor the right to list everybody's RoleBindings:
they are read when a namespace is first looked at, after a write that failed, and every few minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from plimsoll.controller.fleet_projection import (
    project_companion,
    project_fleet_deployment,
    project_gateway_pod,
)
from plimsoll.controller.gateway_state import GatewayPod
from plimsoll.controller.namespace_models import NamespaceModels
from plimsoll.controller.observe import Stores
from plimsoll.controller.writer import RESOURCES
from plimsoll.core.actions import ChildKind
from plimsoll.core.fleet.observed import (
    Companion,
    FleetDeployment,
    FleetSettings,
    ObservedFleet,
    Upgrades,
)
from plimsoll.core.fleet.replicas import Load
from plimsoll.core.hashing import digest_of
from plimsoll.core.names import GATEWAY_NAME, MODELS_POLICY_NAME, gateway_labels, selector_text
from plimsoll.core.render.gateway import gateway_template
from plimsoll.kube.client import Client
from plimsoll.kube.errors import NotFound
from plimsoll.kube.resources import DEPLOYMENTS, PODS, JsonObject, Key, Resource
from plimsoll.kube.store import Store, itself

FLEETS = selector_text(gateway_labels())
"""Label selector of fleets: only their Deployments and pods are listed, watched and kept."""

RECHECK = timedelta(minutes=5)
"""How long what was read of the objects beside a Deployment is believed."""

_COMPANIONS = (
    (ChildKind.SERVICE_ACCOUNT, GATEWAY_NAME),
    (ChildKind.ROLE_BINDING, GATEWAY_NAME),
    (ChildKind.CONFIG_MAP, GATEWAY_NAME),
    (ChildKind.POD_DISRUPTION_BUDGET, GATEWAY_NAME),
    (ChildKind.NETWORK_POLICY, GATEWAY_NAME),
    (ChildKind.NETWORK_POLICY, MODELS_POLICY_NAME),
)
_SWITCHED_OFF = ((ChildKind.NETWORK_POLICY, MODELS_POLICY_NAME),)
"""Without the right to the others, which go with the Deployment."""


def fleet_key(namespace: str) -> Key:
    """Returns the key of a namespace's fleet, which is that of its Deployment."""
    return namespace, GATEWAY_NAME


def _its_fleet(obj: JsonObject) -> Key:
    return fleet_key(obj["metadata"].get("namespace", ""))


@dataclass(frozen=True, slots=True)
class FleetStores:
    """One cache per kind; pods are found by `fleet_key`."""

    deployments: Store[FleetDeployment] = field(default_factory=lambda: Store(project_fleet_deployment, itself))
    pods: Store[GatewayPod] = field(default_factory=lambda: Store(project_gateway_pod, _its_fleet))

    def by_resource(self) -> Mapping[Resource, Store[Any]]:
        """Returns the caches by the kind they hold."""
        return {DEPLOYMENTS: self.deployments, PODS: self.pods}


class _Seen:
    """What was read of a namespace beyond the caches."""

    def __init__(self, at: datetime, companions: dict[tuple[ChildKind, str], Companion]) -> None:
        self.at = at
        self.companions = companions


class FleetObserver:
    """Observes for one controller.

    Args:
        stores: Caches of ModelDeployments and their Services.
        fleets: Caches of fleets.
        models: What is known of ModelDeployments, None where gateways are switched off.
        settings: What the chart says.
        client: Asked for what is in no cache.
        load_of: CPU that the gateways of a namespace use, None when it is not known.
    """

    def __init__(
        self,
        stores: Stores,
        fleets: FleetStores,
        models: NamespaceModels | None,
        settings: FleetSettings,
        client: Client,
        load_of: Callable[[str], Load | None] = lambda _: None,
    ) -> None:
        self._stores = stores
        self._fleets = fleets
        self._models = models
        self._settings = settings
        self._client = client
        self._load_of = load_of
        self._template = digest_of(gateway_template(settings))
        self._seen: dict[str, _Seen] = {}
        self._behind: dict[str, dict[str, datetime]] = {}

    def namespaces(self) -> set[str]:
        """Returns every namespace that has, or is to have, gateways."""
        made = {namespace for namespace, _ in self._fleets.deployments.owners()}
        return made | set(self._models.namespaces() if self._models else ())

    def has_fleet(self, namespace: str) -> bool:
        """Tells whether a namespace has a fleet, which may be on its way out."""
        return self._fleets.deployments.get(fleet_key(namespace)) is not None

    async def observe(self, namespace: str, now: datetime, refused: frozenset[str] = frozenset()) -> ObservedFleet:
        """Returns everything known about one namespace.

        Args:
            namespace: Which.
            now: Aware time in UTC.
            refused: Namespaces whose last plan could not be performed: they take no turn from others.

        Raises:
            ApiError: an outage; an object that does not exist is an answer.
        """
        deployment = self._fleets.deployments.get(fleet_key(namespace))
        models = self._models.of(namespace) if self._models else ()
        known = bool(models) or deployment is not None
        return ObservedFleet(
            namespace=namespace,
            settings=self._settings,
            models=models,
            behind=self._behind_gateways(namespace, now) if known else {},
            deployment=deployment,
            companions=await self._companions(namespace, now) if known else {},
            upgrades=self._upgrades(namespace, refused),
            load=self._load_of(namespace),
        )

    def remember(self, namespace: str, obj: JsonObject) -> None:
        """Takes in what a write returned."""
        if namespace in self._seen:
            known = project_companion(obj)
            self._seen[namespace].companions[known.kind, known.name] = known

    def doubt(self, namespace: str, *, gone: bool = False) -> None:
        """Has a namespace's objects read anew; `gone`: and forgets it."""
        self._seen.pop(namespace, None)
        if gone:
            self._behind.pop(namespace, None)

    async def _companions(self, namespace: str, now: datetime) -> Mapping[tuple[ChildKind, str], Companion]:
        seen = self._seen.get(namespace)
        if seen is None or not seen.at <= now < seen.at + RECHECK:
            found: dict[tuple[ChildKind, str], Companion] = {}
            for kind, name in _COMPANIONS if self._settings.enabled else _SWITCHED_OFF:
                try:
                    obj = await self._client.get(RESOURCES[kind], namespace, name)
                except NotFound:
                    continue
                found[kind, name] = project_companion(obj)
            seen = self._seen[namespace] = _Seen(now, found)
        return dict(seen.companions)

    def _behind_gateways(self, namespace: str, now: datetime) -> Mapping[str, datetime]:
        """Returns whose Service selects the gateways, and since when this process has known."""
        before = self._behind.get(namespace, {})
        self._behind[namespace] = behind = {name: before.get(name, now) for name in self._routed(namespace)}
        return dict(behind)

    def _routed(self, namespace: str) -> Iterator[str]:
        if self._models:
            names = [model.name for model in self._models.of(namespace)]
        else:
            names = [name for other, name in self._stores.model_deployments.owners() if other == namespace]
        for name in names:
            service = self._stores.services.get((namespace, name))
            if service is not None and service.gateway:
                yield name

    def _upgrades(self, namespace: str, refused: frozenset[str]) -> Upgrades:
        """Returns what the fleets of other namespaces are at; one that is not needed, or is refused, is at nothing."""
        running, waiting = set(), set()
        for other, name in self._fleets.deployments.owners():
            fleet = self._fleets.deployments.get((other, name))
            if other == namespace or fleet is None or not fleet.ready or fleet.retired_at is not None:
                continue
            if fleet.upgrading:
                running.add(other)
            elif fleet.template != self._template and other not in refused and not self._rolls_out(other):
                waiting.add(other)
        return Upgrades(frozenset(running), frozenset(waiting))

    def _rolls_out(self, namespace: str) -> bool:
        return self._models is not None and any(model.rolling_out for model in self._models.of(namespace))
