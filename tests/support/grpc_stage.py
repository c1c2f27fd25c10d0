"""A real gRPC client, the gateway, and pods that are real gRPC servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest
from tests.support.grpc_gateway import Gateway, revision, running_gateway, table
from tests.support.grpc_pods import Pod, running_pods
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc

from plimsoll.core.routing.table import RouteTable
from plimsoll.gateway.access import Access
from plimsoll.gateway.cache.store import Remote
from plimsoll.gateway.doors import Door
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
    *pods: str,
    routes: RouteTable | None = None,
    limits: Limits | None = None,
    host: str = "",
    door: Door | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    access: Access | None = None,
    remote_of: Callable[[str], Remote] | None = None,
) -> AsyncIterator[Stage]:
    options = [*UNLIMITED, *([("grpc.default_authority", host)] if host else [])]
    async with running_pods(*pods) as running:
        ports = {name: pod.port for name, pod in running.items()}
        async with (
            running_gateway(
                routes or table(revision("r1", *pods)), ports, limits, door=door, access=access, remote_of=remote_of
            ) as gateway,
            channel_to(gateway.address, options, credentials) as channel,
        ):
            yield Stage(gateway, running, rpc.GRPCInferenceServiceStub(channel), channel)


def channel_to(
    address: str, options: list[tuple[str, object]], credentials: grpc.ChannelCredentials | None = None
) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, credentials, options=options)


def infer(payload: bytes = b"x", model: str = "digits", name: str = "1") -> pb.ModelInferRequest:
    return pb.ModelInferRequest(model_name=model, id=name, raw_input_contents=[payload])


async def refused(call: grpc.aio.UnaryUnaryCall) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value
