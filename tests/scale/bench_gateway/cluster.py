"""What a gateway has around it: an API server with models whose requests two revisions share, and a controller.

    python -m tests.scale.bench_gateway.cluster KUBECONFIG ADMIN_PORT POD_UID IP...

The last address is the candidate's pod, the others are stable's. The controller's collector reads the gateway's records
as in a cluster, without which a gateway gives candidates nothing. Runs until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.scale.bench_gateway.messages import CACHED, MODEL, VALIDATED
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.__main__ import write_kubeconfig
from tests.support.fakeapi.load import model_deployment
from tests.support.gateway_process import CONTROLLER_SEED
from tests.support.routed import TEAM, endpoint, endpoint_slice, routing

from plimsoll.controller.gateway_state import GatewayPod
from plimsoll.controller.gateway_stream import StreamSettings
from plimsoll.controller.gateways import Collector
from plimsoll.controller.report_key import ReportKey
from plimsoll.core.tokens import public_key
from plimsoll.kube.clock import SYSTEM_CLOCK
from plimsoll.kube.resources import ENDPOINTSLICES, MODELDEPLOYMENTS

CANDIDATE_PERMILLE = 50
_SPECS: Mapping[str, dict[str, Any]] = {
    MODEL: {},
    CACHED: {"cache": {}},
    VALIDATED: {"requests": {"onInvalid": "Reject"}},
}
_ANY = {"dataType": "FP32", "dims": [-1]}
_EXAMINED = {
    "revision": f"{VALIDATED}-1",
    "outcome": "Passed",
    "reason": "Passed",
    "key": "k",
    "at": "2026-01-01T00:00:00Z",
    "inputs": [{"name": "x", **_ANY}],
    "outputs": [{"name": "y", **_ANY}],
    "maxBatchSize": 8,
}


class _Nobody:
    """A listener that decides nothing."""

    def acknowledged(self, namespace: str, model_uid: str) -> None: ...

    def mismatched(self, model_uid: str, revision: str, count: int) -> None: ...

    def namespace_changed(self, namespace: str) -> None: ...


def populate(api: FakeApi, addresses: list[str]) -> None:
    """Adds the models, their pods, which are the same for all, and their routing."""
    *stable, candidate = addresses
    for model, spec in _SPECS.items():
        deployment = model_deployment(TEAM, model)
        api.cluster.add(MODELDEPLOYMENTS, {**deployment, "spec": deployment["spec"] | spec})
        for revision, pods in ((f"{model}-1", stable), (f"{model}-2", [candidate])):
            made = endpoint_slice(revision, [endpoint(f"{revision}-{ip}", ip) for ip in pods])
            del made["metadata"]["resourceVersion"]
            api.cluster.add(ENDPOINTSLICES, made)
        api.cluster.change(MODELDEPLOYMENTS, TEAM, model, partial(_route, model), subresource="status")


def _route(model: str, obj: dict[str, Any]) -> None:
    # The interface of one revision is known, so where it is asked for, that one gets all.
    share = 0 if model == VALIDATED else CANDIDATE_PERMILLE
    obj["status"] = {"routing": routing(1, **{f"{model}_1": 1000 - share, f"{model}_2": share})}
    if model == CACHED:
        for revision in obj["status"]["routing"]["revisions"]:
            revision["cacheable"] = True
    if model == VALIDATED:
        obj["status"]["preflight"] = _EXAMINED


async def run(kubeconfig: Path, admin_port: int, pod_uid: str, addresses: list[str]) -> None:
    """Serves until cancelled."""
    async with FakeApi() as api:
        populate(api, addresses)
        write_kubeconfig(kubeconfig, api.url)
        key = ReportKey(CONTROLLER_SEED, public_key(CONTROLLER_SEED))
        async with Collector(key, SYSTEM_CLOCK, StreamSettings(admin_port), _Nobody()) as collector:
            collector.follow([GatewayPod(TEAM, "gateway", pod_uid, "127.0.0.1", ready=True)])
            sys.stdout.write("there\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
