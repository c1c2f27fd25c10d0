"""What a gateway has around it: an API server with a model whose requests two revisions share, and a controller.

    python -m tests.scale.bench_gateway.cluster KUBECONFIG ADMIN_PORT POD_UID IP...

The last address is the candidate's pod, the others are stable's. The controller's collector reads the gateway's records
as in a cluster, without which a gateway gives candidates nothing. Runs until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

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

MODEL = "digits"
CANDIDATE_PERMILLE = 50


class _Nobody:
    """A listener that decides nothing."""

    def acknowledged(self, namespace: str, model_uid: str) -> None: ...

    def namespace_changed(self, namespace: str) -> None: ...


def populate(api: FakeApi, addresses: list[str]) -> None:
    """Adds the model, its pods and its routing."""
    *stable, candidate = addresses
    api.cluster.add(MODELDEPLOYMENTS, model_deployment(TEAM, MODEL))
    for revision, pods in ((f"{MODEL}-1", stable), (f"{MODEL}-2", [candidate])):
        made = endpoint_slice(revision, [endpoint(f"{revision}-{ip}", ip) for ip in pods])
        del made["metadata"]["resourceVersion"]
        api.cluster.add(ENDPOINTSLICES, made)

    def edit(obj: dict[str, Any]) -> None:
        weights = {f"{MODEL}_1": 1000 - CANDIDATE_PERMILLE, f"{MODEL}_2": CANDIDATE_PERMILLE}
        obj["status"] = {"routing": routing(1, **weights)}

    api.cluster.change(MODELDEPLOYMENTS, TEAM, MODEL, edit, subresource="status")


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
