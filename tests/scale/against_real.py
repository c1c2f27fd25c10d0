"""What the controller costs against a real API server, which defaults, prunes and answers as a cluster does.

There is no node and no other controller, so pods never appear: this is about requests, not about models.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from tests.scale.latency import measure_latency
from tests.scale.saying import say
from tests.support.controller_process import running_controller
from tests.support.fakeapi.load import model_deployment

from plimsoll.kube.client import Client
from plimsoll.kube.connection import connect
from plimsoll.kube.resources import MODELDEPLOYMENTS, Key, Resource
from plimsoll_dev.cluster import components
from plimsoll_dev.cluster.configuration import NODE
from plimsoll_dev.cluster.controlplane import control_plane
from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.cluster.progress import Progress

CRD = Path(__file__).parents[2] / "crds" / "plimsoll.dev_modeldeployments.yaml"
VERSION = "1.36"
_NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
_COUNTED = ("modeldeployments", "deployments", "services", "controllerrevisions")
_WRITES = ("APPLY", "PATCH", "POST", "PUT", "DELETE")
_RESYNC_S = 10
_STARTED_WITHIN_S = 10
_IN_FLIGHT = 16


def against_real(folder: Path, objects: int) -> dict[str, float]:
    """Returns all figures measured against a real API server, named `..._real`."""
    with control_plane(VERSION) as kubeconfig:
        kubectl = _prepared(kubeconfig)
        keys = asyncio.run(_load(kubeconfig, objects))
        loaded = writes(kubectl)
        say(f"creating the children of {objects} ModelDeployments in a real API server")
        with running_controller(folder, kubeconfig) as first:
            first.settle(objects)
            created = writes(kubectl) - loaded
        figures = {
            "create_writes_per_object_real": round(created / objects, 3),
            "noop_writes_real": _writes_of_resync(folder, kubeconfig, kubectl),
        }
        say("starting again")
        before = writes(kubectl)
        with running_controller(folder, kubeconfig) as warm:
            warm.settle(objects)
            figures |= {
                "restart_writes_real": writes(kubectl) - before,
                "warm_start_cpu_s_real": round(warm.cpu_s, 2),
                "peak_rss_mb_real": round(warm.peak_rss_mb, 1),
            }
            say("changing specs in a real API server")
            return figures | measure_latency(kubeconfig, keys).figures("_real")


def _writes_of_resync(folder: Path, kubeconfig: Path, kubectl: Kubectl) -> int:
    """Returns the writes of a controller that looks at everything again and again: what a lost trigger costs."""
    before = writes(kubectl)
    with running_controller(folder, kubeconfig, resyncPeriod=f"{_RESYNC_S}s"):
        time.sleep(_STARTED_WITHIN_S + 2 * _RESYNC_S)
    return writes(kubectl) - before


def writes(kubectl: Kubectl) -> int:
    """Returns the API server's own count of writes to ModelDeployments and their children since its start."""
    count = 0
    for line in kubectl.run("get", "--raw=/metrics").splitlines():
        if line.startswith("apiserver_request_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            if labels["resource"] in _COUNTED and labels["verb"] in _WRITES:
                count += round(float(line.rsplit(" ", 1)[1]))
    return count


def _prepared(kubeconfig: Path) -> Kubectl:
    program = components.build(components.KUBERNETES, cache_folder(os.environ), Progress()) / "kubectl"
    kubectl = Kubectl(program, kubeconfig, NODE)
    kubectl.run("apply", "--server-side", "-f", str(CRD))
    kubectl.run("wait", "--for=condition=Established", "crd/modeldeployments.plimsoll.dev")
    return kubectl


async def _load(kubeconfig: Path, objects: int) -> Sequence[Key]:
    keys = [(f"team-{number // 100:02}", f"model-{number:04}") for number in range(objects)]
    async with Client(await connect({"KUBECONFIG": str(kubeconfig)})) as client:
        for name in sorted({namespace for namespace, _ in keys}):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await client.create(_NAMESPACES, namespace)
        for start in range(0, objects, _IN_FLIGHT):
            some = keys[start : start + _IN_FLIGHT]
            await asyncio.gather(*(client.create(MODELDEPLOYMENTS, model_deployment(*key)) for key in some))
    return keys
