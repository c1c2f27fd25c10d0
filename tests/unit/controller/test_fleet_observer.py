"""What is read of the API server's objects about gateways, and when it is asked for anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.fleets import NOW, OFF, SETTINGS, UPGRADED, VISION

from plimsoll.controller.fleet_observer import RECHECK, FleetObserver, FleetStores
from plimsoll.controller.fleet_projection import (
    project_companion,
    project_fleet_deployment,
    project_gateway_pod,
    project_model_here,
)
from plimsoll.controller.fleets import Fleets, fleet_belonging
from plimsoll.controller.namespace_models import NamespaceModels
from plimsoll.controller.observe import Stores
from plimsoll.controller.projection import project_model_deployment
from plimsoll.controller.writer import Writer
from plimsoll.core.actions import ChildKind
from plimsoll.core.diff import needs_apply
from plimsoll.core.fleet.observed import FleetSettings, ModelHere, ObservedFleet
from plimsoll.core.fleet.state import FleetState
from plimsoll.core.names import GATEWAY_NAME, MODELS_POLICY_NAME, gateway_selector, pod_selector
from plimsoll.core.render.gateway import render_gateway_deployment, render_gateway_mark
from plimsoll.core.render.gateway_companions import render_companions
from plimsoll.kube.client import Client
from plimsoll.kube.errors import NotFound
from plimsoll.kube.resources import JsonObject, Resource
from plimsoll.kube.workqueue import WorkQueue
from plimsoll.kube.writes import OwnWrites

Json = dict[str, Any]


def stored(manifest: Json, version: int = 1, **more: Any) -> Json:
    """A manifest as the API server gives it back."""
    added = {"uid": "u-1", "resourceVersion": str(version), "creationTimestamp": "2026-03-01T11:00:00Z"}
    return {**manifest, "metadata": {**manifest["metadata"], **added}, **more}


def model(name: str = "digits", *, namespace: str = VISION, version: int = 1, **parts: Any) -> Json:
    return {"metadata": {"name": name, "namespace": namespace, "resourceVersion": str(version)}, **parts}


# ---- projections


ROUTED = [{"name": "old", "weightPermille": 900}, {"name": "new", "weightPermille": 100}]
WAITING = [{"name": "old", "weightPermille": 1000}, {"name": "new", "weightPermille": 0}]


@pytest.mark.parametrize(
    ("parts", "seen"),
    [
        pytest.param({}, ModelHere("digits"), id="nothing said"),
        pytest.param({"spec": {}, "status": {}}, ModelHere("digits"), id="nothing decided"),
        pytest.param({"status": {"routing": {"revisions": ROUTED[:1]}}}, ModelHere("digits"), id="stable only"),
        pytest.param({"status": {"routing": {"revisions": WAITING}}}, ModelHere("digits"), id="a candidate waits"),
        pytest.param(
            {"status": {"routing": {"revisions": ROUTED}}}, ModelHere("digits", rolling_out=True), id="a roll-out"
        ),
        pytest.param({"spec": {"traffic": "Direct"}}, ModelHere("digits", direct=True), id="past the gateway"),
        pytest.param({"spec": {"traffic": "Normal"}}, ModelHere("digits"), id="through it"),
        pytest.param(
            {"spec": [], "status": {"routing": {"revisions": [1, None, 2]}}}, ModelHere("digits"), id="rubbish"
        ),
    ],
)
def test_what_a_fleet_sees_of_a_model_deployment(parts: Json, seen: ModelHere) -> None:
    assert project_model_here(project_model_deployment(model(**parts))) == seen


def test_a_model_deployment_that_is_being_deleted_is_not_there() -> None:
    obj = model()
    obj["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert project_model_here(project_model_deployment(obj)) is None


@pytest.mark.parametrize(
    ("status", "outdated", "upgrading"),
    [
        ({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "observedGeneration": 1}, 0, False),
        ({"replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "observedGeneration": 1}, 2, True),
        ({"replicas": 2, "readyReplicas": 2, "observedGeneration": 1}, 2, True),
        ({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}, 0, True),
        ({}, 0, False),
    ],
)
def test_a_deployment_tells_its_template_and_how_far_an_upgrade_is(
    status: Json, outdated: int, *, upgrading: bool
) -> None:
    manifest = stored(render_gateway_deployment(VISION, SETTINGS), status=status)
    manifest["metadata"]["generation"] = 1
    seen = project_fleet_deployment(manifest)
    assert (seen.outdated, seen.upgrading) == (outdated, upgrading)
    assert seen.template == manifest["metadata"]["annotations"]["plimsoll.dev/template"]
    assert not needs_apply(render_gateway_deployment(VISION, SETTINGS), seen.body())


def test_a_mark_is_read_back() -> None:
    manifest = stored(render_gateway_deployment(VISION, SETTINGS))
    marked = {**manifest["metadata"]["annotations"], **render_gateway_mark(VISION, NOW)["metadata"]["annotations"]}
    manifest["metadata"]["annotations"] = marked
    assert project_fleet_deployment(manifest).retired_at == NOW
    assert not needs_apply(render_gateway_deployment(VISION, SETTINGS), project_fleet_deployment(manifest).body())


@pytest.mark.parametrize("number", range(5))
def test_what_is_kept_of_a_companion_is_enough_to_see_drift(number: int) -> None:
    manifest = render_companions(VISION, SETTINGS, "fleet-1")[number]
    seen = project_companion(stored(manifest))
    assert (seen.kind, seen.ours, seen.owner_uid) == (ChildKind(manifest["kind"]), True, "fleet-1")
    assert not needs_apply(manifest, seen.body())
    labelled_by_others = stored(manifest)
    labelled_by_others["metadata"]["labels"] = {"plimsoll.dev/component": "gateway"}
    assert not project_companion(labelled_by_others).ours


def test_a_gateways_pod() -> None:
    pod = {"metadata": {"name": "g-1", "uid": "u"}, "status": {"podIP": "10.0.0.1", "conditions": []}}
    seen = project_gateway_pod(pod)
    assert (seen.name, seen.uid, seen.ip, seen.ready) == ("g-1", "u", "10.0.0.1", False)
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert project_gateway_pod(pod).ready
    pod["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert not project_gateway_pod(pod).ready, "it drains"


# ---- ModelDeployments by namespace


def test_a_namespace_is_told_of_what_matters_to_gateways_and_of_nothing_else() -> None:
    told: list[str] = []
    store = Stores().model_deployments
    models = NamespaceModels(store, told.append)
    store.put_if_newer(model("digits", version=1))
    store.put_if_newer(model("letters", version=2))
    assert told == [VISION, VISION]
    store.put_if_newer(model("digits", version=3, status={"replicas": 1}))
    assert len(told) == 2, "status is written often"
    store.put_if_newer(model("digits", version=4, status={"routing": {"revisions": ROUTED}}))
    assert len(told) == 3
    assert models.of(VISION) == (ModelHere("digits", rolling_out=True), ModelHere("letters"))
    store.delete((VISION, "digits"), "5")
    assert (models.of(VISION), list(models.namespaces())) == ((ModelHere("letters"),), [VISION])
    store.delete((VISION, "letters"), "6")
    assert (models.of(VISION), list(models.namespaces()), len(told)) == ((), [], 5)


# ---- observing


class Asked(Client):
    """Answers from a table, and counts."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], JsonObject] = {}
        self.asked: list[str] = []

    async def get(  # type: ignore[override] # metadata alone is not asked for
        self, resource: Resource, namespace: str | None, name: str
    ) -> JsonObject:
        assert namespace == VISION
        self.asked.append(f"{resource.kind} {name}")
        try:
            return self.objects[resource.kind, name]
        except KeyError:
            raise NotFound(404, "NotFound", name) from None


class Eyes:
    """An observer with everything it looks at."""

    def __init__(self, settings: FleetSettings = SETTINGS) -> None:
        self.stores, self.fleets, self.client = Stores(), FleetStores(), Asked()
        models = NamespaceModels(self.stores.model_deployments, lambda _: None) if settings.enabled else None
        self.observer = FleetObserver(self.stores, self.fleets, models, settings, self.client)
        self.version = 0

    def has_model(self, name: str, namespace: str = VISION, **parts: Any) -> None:
        self.version += 1
        self.stores.model_deployments.put_if_newer(model(name, namespace=namespace, version=self.version, **parts))

    def has_service(self, name: str, selector: dict[str, str]) -> None:
        self.version += 1
        metadata = {"name": name, "namespace": VISION, "labels": {"plimsoll.dev/model": name}}
        self.stores.services.put_if_newer(stored({"metadata": metadata, "spec": {"selector": selector}}, self.version))

    def has_fleet(self, namespace: str, settings: FleetSettings = SETTINGS, **more: Any) -> None:
        self.version += 1
        counts = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "observedGeneration": 1, **more}
        manifest = render_gateway_deployment(namespace, settings, first_replicas=2)
        obj = stored(manifest, self.version, status=counts)
        obj["metadata"]["generation"] = 1
        self.fleets.deployments.put_if_newer(obj)

    async def sees(self, seconds: float = 0.0, refused: frozenset[str] = frozenset()) -> ObservedFleet:
        return await self.observer.observe(VISION, NOW + timedelta(seconds=seconds), refused)


async def test_what_is_in_no_cache_is_asked_for_by_name_now_and_then() -> None:
    eyes = Eyes()
    eyes.has_model("digits")
    assert (await eyes.sees()).companions == {}
    kinds = ("ServiceAccount", "RoleBinding", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy")
    assert eyes.client.asked == [*(f"{kind} {GATEWAY_NAME}" for kind in kinds), f"NetworkPolicy {MODELS_POLICY_NAME}"]
    await eyes.sees(RECHECK.total_seconds() - 1)
    assert len(eyes.client.asked) == 6
    await eyes.sees(RECHECK.total_seconds())
    assert len(eyes.client.asked) == 12
    eyes.observer.doubt(VISION)
    await eyes.sees(RECHECK.total_seconds() + 1)
    assert len(eyes.client.asked) == 18


async def test_what_a_write_returned_is_known_without_asking() -> None:
    eyes = Eyes()
    eyes.has_model("digits")
    await eyes.sees()
    eyes.observer.remember(VISION, stored(render_companions(VISION, SETTINGS, "fleet-1")[0]))
    assert list((await eyes.sees(1)).companions) == [(ChildKind.SERVICE_ACCOUNT, GATEWAY_NAME)]
    assert len(eyes.client.asked) == 6


async def test_a_namespace_without_models_and_gateways_is_not_asked_about() -> None:
    eyes = Eyes()
    await eyes.sees()
    assert eyes.client.asked == []
    assert eyes.observer.namespaces() == set()


async def test_switched_off_only_the_policy_on_model_pods_is_asked_for() -> None:
    eyes = Eyes(OFF)
    eyes.has_model("digits")
    await eyes.sees()
    assert eyes.client.asked == []
    eyes.has_fleet(VISION)
    observed = await eyes.sees()
    assert eyes.client.asked == [f"NetworkPolicy {MODELS_POLICY_NAME}"]
    assert (observed.models, observed.wanted) == ((), False)
    assert eyes.observer.namespaces() == {VISION}


@pytest.mark.parametrize("settings", [SETTINGS, OFF], ids=["on", "off"])
async def test_whose_service_leads_to_the_gateways_and_since_when_that_is_known(settings: FleetSettings) -> None:
    eyes = Eyes(settings)
    eyes.has_fleet(VISION)
    for name in ("digits", "letters"):
        eyes.has_model(name)
        eyes.has_service(name, pod_selector(name, f"{name}-1"))
    eyes.has_service("orphan", gateway_selector())
    assert (await eyes.sees()).behind == {}
    eyes.has_service("digits", gateway_selector())
    assert (await eyes.sees(10)).behind == {"digits": NOW + timedelta(seconds=10)}
    eyes.has_service("letters", gateway_selector())
    later = {"digits": NOW + timedelta(seconds=10), "letters": NOW + timedelta(seconds=20)}
    assert (await eyes.sees(20)).behind == later
    eyes.has_service("digits", pod_selector("digits", "digits-1"))
    assert (await eyes.sees(30)).behind == {"letters": NOW + timedelta(seconds=20)}


async def test_what_the_fleets_of_other_namespaces_are_at() -> None:
    eyes = Eyes(UPGRADED)
    eyes.has_model("digits", "rolling", status={"routing": {"revisions": ROUTED}})
    eyes.has_fleet(VISION)
    eyes.has_fleet("done", UPGRADED)
    eyes.has_fleet("waits")
    eyes.has_fleet("refused")
    eyes.has_fleet("rolling")
    eyes.has_fleet("starts", readyReplicas=0)
    eyes.has_fleet("under-way", UPGRADED, updatedReplicas=1)
    upgrades = (await eyes.sees(refused=frozenset({"refused"}))).upgrades
    assert (upgrades.running, upgrades.waiting) == ({"under-way"}, {"waits"})


async def test_a_fleet_that_nobody_needs_takes_no_turn() -> None:
    eyes = Eyes(replace(UPGRADED))
    eyes.has_fleet("retired")
    manifest = stored(render_gateway_deployment("retired", SETTINGS), 99, status={"readyReplicas": 2, "replicas": 2})
    manifest["metadata"]["annotations"]["plimsoll.dev/retired-at"] = NOW.isoformat()
    eyes.fleets.deployments.put_if_newer(manifest)
    upgrades = (await eyes.sees()).upgrades
    assert not upgrades.running | upgrades.waiting


def test_a_fleet_that_was_not_looked_at_is_not_called_absent() -> None:
    """A policy may keep users away from model pods, and a Service must not lead to them before that is known."""
    eyes = Eyes()
    writes = OwnWrites(eyes.fleets.by_resource())
    writer = Writer(eyes.client, eyes.fleets.by_resource(), writes, fleet_belonging())
    fleets = Fleets(eyes.observer, writer, writes, WorkQueue(), lambda: NOW)
    eyes.has_fleet(VISION)
    assert fleets.state_of(VISION) is None
    assert fleets.state_of("another") == FleetState()
