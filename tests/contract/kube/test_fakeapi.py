"""What the fake does with an object, so that what is proved with it means something."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.fakeapi import FakeApi, Workloads
from tests.support.fakeapi.clocks import eventually
from tests.support.fakeapi.load import load, model_deployment

from plimsoll.kube.client import Client
from plimsoll.kube.connection import connect
from plimsoll.kube.errors import ApiError, Conflict, Unprocessable
from plimsoll.kube.resources import (
    CONFIGMAPS,
    CONTROLLERREVISIONS,
    DEPLOYMENTS,
    MODELDEPLOYMENTS,
    PODS,
    SERVICES,
    JsonObject,
)

ROOT = Path(__file__).parents[3]


def deployment(**spec: Any) -> JsonObject:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": "ns", "name": "d", "labels": {"app": "d"}},
        "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {
                    "initContainers": [{"name": "fetch", "image": "f@sha256:1"}],
                    "containers": [
                        {
                            "name": "triton",
                            "image": "t@sha256:1",
                            "ports": [{"containerPort": 8000}],
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        }
                    ],
                },
            },
            **spec,
        },
    }


def container(obj: JsonObject) -> JsonObject:
    found: JsonObject = obj["spec"]["template"]["spec"]["containers"][0]
    return found


def managers(obj: JsonObject) -> dict[str, JsonObject]:
    return {f"{e['manager']}/{e['operation']}": e["fieldsV1"] for e in obj["metadata"]["managedFields"]}


async def ours(client: Client, obj: JsonObject, *, force: bool = True) -> JsonObject:
    return await client.apply(DEPLOYMENTS, obj, manager="plimsoll", force=force)


class TestApply:
    async def test_fields_we_no_longer_apply_go(self, client: Client) -> None:
        await ours(client, deployment(minReadySeconds=5))
        less = deployment()
        container(less)["env"] = [{"name": "A", "value": "1"}]
        out = await ours(client, less)
        assert "minReadySeconds" not in out["spec"]
        assert container(out)["env"] == [{"name": "A", "value": "1"}]

    async def test_items_of_others_stay_beside_ours(self, api: FakeApi, client: Client) -> None:
        await ours(client, deployment())
        theirs = deployment()
        theirs["spec"]["template"]["spec"] = {"containers": [{"name": "sidecar", "image": "s@sha256:1"}]}
        del theirs["spec"]["selector"]
        await client.apply(DEPLOYMENTS, theirs, manager="mesh", force=False)
        await ours(client, deployment())
        stored = api.cluster.find(DEPLOYMENTS, "ns", "d")
        assert stored
        assert [c["name"] for c in stored["spec"]["template"]["spec"]["containers"]] == ["triton", "sidecar"]

    async def test_a_field_of_both_stays_when_one_lets_go(self, client: Client) -> None:
        await ours(client, deployment(replicas=2))
        await client.apply(DEPLOYMENTS, deployment(replicas=2), manager="autoscaler", force=False)
        out = await ours(client, deployment())
        assert out["spec"]["replicas"] == 2
        assert "f:replicas" not in managers(out)["plimsoll/Apply"]["f:spec"]

    async def test_a_foreign_update_takes_the_field_over(self, api: FakeApi, client: Client) -> None:
        await ours(client, deployment(replicas=1))
        api.cluster.change(DEPLOYMENTS, "ns", "d", lambda obj: obj["spec"].update(replicas=7), manager="kubectl")
        stored = api.cluster.find(DEPLOYMENTS, "ns", "d")
        assert stored
        assert managers(stored)["kubectl/Update"] == {"f:spec": {"f:replicas": {}}}
        with pytest.raises(Conflict) as refusal:
            await ours(client, deployment(replicas=1), force=False)
        assert [cause.field for cause in refusal.value.causes] == [".spec.replicas"]
        out = await ours(client, deployment(replicas=1))
        assert out["spec"]["replicas"] == 1
        assert "kubectl/Update" not in managers(out)

    async def test_scaling_belongs_to_whoever_scales(self, api: FakeApi, client: Client) -> None:
        await ours(client, deployment())
        hpa = {"spec": {"replicas": 4}}
        await client.merge_patch(DEPLOYMENTS, "ns", "d", hpa, subresource="scale")
        stored = api.cluster.find(DEPLOYMENTS, "ns", "d")
        assert stored
        entry = stored["metadata"]["managedFields"][-1]
        assert (entry["subresource"], entry["fieldsV1"]) == ("scale", {"f:spec": {"f:replicas": {}}})
        out = await ours(client, deployment())
        assert out["spec"]["replicas"] == 4

    async def test_what_the_server_fills_in_is_nobodys(self, client: Client) -> None:
        out = await ours(client, deployment())
        assert out["spec"]["progressDeadlineSeconds"] == 600
        assert container(out)["terminationMessagePath"] == "/dev/termination-log"
        owned = managers(out)["plimsoll/Apply"]
        assert "f:progressDeadlineSeconds" not in owned["f:spec"]
        again = await ours(client, deployment())
        assert again["metadata"]["resourceVersion"] == out["metadata"]["resourceVersion"]

    async def test_the_record_of_who_owns_what(self, client: Client) -> None:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": "ns", "name": "s", "ownerReferences": []},
            "spec": {"selector": {"app": "d"}, "ports": [{"name": "http", "port": 8000}]},
        }
        out = await client.apply(SERVICES, service, manager="plimsoll", force=True)
        assert managers(out)["plimsoll/Apply"] == {
            "f:metadata": {"f:ownerReferences": {}},
            "f:spec": {
                "f:selector": {},
                "f:ports": {'k:{"port":8000,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}},
            },
        }

    async def test_a_status_list_merges_by_type(self, api: FakeApi, client: Client) -> None:
        api.cluster.add(MODELDEPLOYMENTS, model_deployment("ns", "m"))

        def status(*types: str) -> JsonObject:
            conditions = [{"type": kind, "status": "True", "reason": "R", "message": "m"} for kind in types]
            return {**model_deployment("ns", "m"), "status": {"conditions": conditions}}

        for conditions in (("Ready", "Serving"), ("Ready",)):
            out = await client.apply(
                MODELDEPLOYMENTS, status(*conditions), manager="plimsoll", force=True, subresource="status"
            )
        assert [condition["type"] for condition in out["status"]["conditions"]] == ["Ready"]
        assert out["metadata"]["managedFields"][-1]["subresource"] == "status"

    async def test_apply_needs_a_manager_and_no_managed_fields(self, client: Client) -> None:
        out = await ours(client, deployment())
        with pytest.raises(ApiError, match="managedFields must be nil"):
            await ours(client, out)


class TestGeneration:
    async def test_it_counts_changes_of_intent_only(self, client: Client) -> None:
        first = await ours(client, deployment())
        assert first["metadata"]["generation"] == 1
        labelled = deployment()
        labelled["metadata"]["labels"] = {"app": "d", "new": "label"}
        assert (await ours(client, labelled))["metadata"]["generation"] == 1
        obj = await client.get(DEPLOYMENTS, "ns", "d")
        obj["status"] = {"replicas": 3}
        out = await client.replace(DEPLOYMENTS, obj, subresource="status")
        assert (out["metadata"]["generation"], out["status"]) == (1, {"replicas": 3})
        assert (await ours(client, deployment(replicas=3)))["metadata"]["generation"] == 2

    async def test_status_is_not_written_through_the_front_door(self, client: Client) -> None:
        await ours(client, deployment())
        obj = await client.get(DEPLOYMENTS, "ns", "d")
        obj["status"] = {"replicas": 3}
        out = await client.replace(DEPLOYMENTS, obj)
        assert "status" not in out
        assert out["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]


class TestDeletion:
    async def test_children_go_with_their_owner(self, api: FakeApi, client: Client) -> None:
        owner = api.cluster.add(MODELDEPLOYMENTS, model_deployment("ns", "m"))
        child = self.child("child", owner)
        grandchild = self.child("grandchild", api.cluster.add(CONFIGMAPS, child))
        api.cluster.add(CONFIGMAPS, grandchild)
        await client.delete(MODELDEPLOYMENTS, "ns", "m")
        assert api.cluster.all(CONFIGMAPS) == []

    async def test_a_child_born_after_its_owner_died_does_not_live(self, api: FakeApi, client: Client) -> None:
        owner = api.cluster.add(MODELDEPLOYMENTS, model_deployment("ns", "m"))
        api.cluster.drop(MODELDEPLOYMENTS, "ns", "m")
        await client.apply(CONFIGMAPS, self.child("child", owner), manager="plimsoll", force=True)
        assert api.cluster.all(CONFIGMAPS) == []

    async def test_a_finalizer_holds_the_object(self, api: FakeApi, client: Client) -> None:
        obj = {"metadata": {"namespace": "ns", "name": "x", "finalizers": ["a/b"]}, "data": {}}
        api.cluster.add(CONFIGMAPS, obj)
        deleting = await client.delete(CONFIGMAPS, "ns", "x")
        assert "deletionTimestamp" in deleting["metadata"]
        api.cluster.change(CONFIGMAPS, "ns", "x", lambda obj: obj["metadata"].pop("finalizers"))
        assert api.cluster.find(CONFIGMAPS, "ns", "x") is None

    def child(self, name: str, owner: JsonObject) -> JsonObject:
        reference = {"apiVersion": "v1", "kind": "X", "name": "x", "uid": owner["metadata"]["uid"]}
        metadata = {"namespace": "ns", "name": name, "ownerReferences": [reference]}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}


async def test_selectors_and_snapshots_cannot_be_changed(client: Client) -> None:
    await ours(client, deployment())
    other = deployment(selector={"matchLabels": {"app": "other"}})
    with pytest.raises(Unprocessable):
        await ours(client, other)
    revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"namespace": "ns", "name": "r"}}
    await client.apply(CONTROLLERREVISIONS, {**revision, "revision": 1, "data": {"a": 1}}, manager="p", force=True)
    with pytest.raises(Unprocessable):
        await client.apply(CONTROLLERREVISIONS, {**revision, "revision": 1, "data": {"a": 2}}, manager="p", force=True)


class TestWorkloads:
    async def test_deployments_get_ready_pods_and_lose_them(self, api: FakeApi, client: Client) -> None:
        task = asyncio.create_task(Workloads(api.cluster, ready_after_s=0.01).run())
        await ours(client, deployment(replicas=2))
        await eventually(lambda: self.status(api).get("readyReplicas") == 2)
        status = self.status(api)
        assert (status["observedGeneration"], status["updatedReplicas"], status["replicas"]) == (1, 2, 2)
        pod = api.cluster.all(PODS)[0]
        assert pod["metadata"]["labels"] == {"app": "d"}
        assert [state["name"] for state in pod["status"]["initContainerStatuses"]] == ["fetch"]
        changed = deployment(replicas=1)
        container(changed)["image"] = "t@sha256:2"
        await ours(client, changed)
        await eventually(lambda: self.status(api).get("observedGeneration") == 2 and len(api.cluster.all(PODS)) == 1)
        assert self.status(api)["readyReplicas"] == 1
        await client.delete(DEPLOYMENTS, "ns", "d")
        assert api.cluster.all(PODS) == []
        task.cancel()
        await asyncio.wait([task])

    async def test_pods_can_be_stuck_and_recover(self, api: FakeApi, client: Client) -> None:
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        stuck: list[JsonObject] = [{"phase": "Pending", "containerStatuses": [{"name": "triton", "state": waiting}]}]
        workloads = Workloads(api.cluster, stuck=lambda _: stuck[0] if stuck else None)
        task = asyncio.create_task(workloads.run())
        await ours(client, deployment())
        await eventually(lambda: self.status(api).get("unavailableReplicas") == 1)
        assert api.cluster.all(PODS)[0]["status"] == stuck[0]
        stuck.clear()
        workloads.nudge()
        await eventually(lambda: self.status(api).get("readyReplicas") == 1)
        task.cancel()
        await asyncio.wait([task])

    def status(self, api: FakeApi) -> JsonObject:
        found = api.cluster.find(DEPLOYMENTS, "ns", "d") or {}
        status: JsonObject = found.get("status") or {}
        return status


async def test_it_loads_model_deployments_by_the_hundred(api: FakeApi, client: Client) -> None:
    load(api.cluster, 250)
    pages = [len(page.items) async for page in client.list_pages(MODELDEPLOYMENTS, limit=100)]
    assert pages == [100, 100, 50]
    assert api.counters.writes == 0, "what tests do themselves is not counted"


async def test_it_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    command = [sys.executable, "-m", "tests.support.fakeapi", "--load", "3", "--kubeconfig", str(kubeconfig)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}"}, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert (await process.stdout.readline()).startswith(b"listening on http://127.0.0.1:")
    async with Client(await connect({"KUBECONFIG": str(kubeconfig)})) as client:
        names = [i["metadata"]["name"] async for page in client.list_pages(MODELDEPLOYMENTS) for i in page.items]
    assert names == ["model-0000", "model-0001", "model-0002"]
    process.terminate()
    assert await process.wait() == 0
