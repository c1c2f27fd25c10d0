"""A real gRPC client, the gateway, and pods that are real gRPC servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest
from tests.support.grpc_gateway import Gateway, revision, running_gateway, table
from tests.support.grpc_pods import Pod, running_pods
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc

from plimsoll.core.routing.table import RouteTable
from plimsoll.gateway.http2.limits import Limits

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass
class Stage:
    gateway: Gateway
    pods: dict[str, Pod]
    stub: rpc.GRPCInferenceServiceStub
    channel: grpc.aio.Channel


@asynccontextmanager
async def stage(
    *pods: str, routes: RouteTable | None = None, limits: Limits | None = None, host: str = ""
) -> AsyncIterator[Stage]:
    options = [*UNLIMITED, *([("grpc.default_authority", host)] if host else [])]
    async with running_pods(*pods) as running:
        ports = {name: pod.port for name, pod in running.items()}
        async with (
            running_gateway(routes or table(revision("r1", *pods)), ports, limits) as gateway,
            grpc.aio.insecure_channel(gateway.address, options=options) as channel,
        ):
            yield Stage(gateway, running, rpc.GRPCInferenceServiceStub(channel), channel)


def infer(payload: bytes = b"x", model: str = "digits", name: str = "1") -> pb.ModelInferRequest:
    return pb.ModelInferRequest(model_name=model, id=name, raw_input_contents=[payload])


async def refused(call: grpc.aio.UnaryUnaryCall) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value
