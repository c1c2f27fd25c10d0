"""Model pods that are real gRPC servers with a made-up model: what they answer is what a test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc


@dataclass
class Pod(rpc.GRPCInferenceServiceServicer):
    """One server.

    Attributes:
        fails: Statuses of the next calls; then it answers.
        held: When set, calls wait for it.
        says: Answers of ModelInfer; what came in goes out where it is None.
        metadata: Of the calls that came, in order.
        requests: What came.
        cancelled: Calls that their caller ended.
    """

    name: str
    port: int = 0
    fails: list[tuple[grpc.StatusCode, str]] = field(default_factory=list)
    held: asyncio.Event | None = None
    says: Callable[[pb.ModelInferRequest], pb.ModelInferResponse] | None = None
    metadata: list[dict[str, str]] = field(default_factory=list)
    requests: list[object] = field(default_factory=list)
    cancelled: int = 0
    server: grpc.aio.Server | None = None

    async def _enter(self, request: object, context: grpc.aio.ServicerContext) -> None:
        self.requests.append(request)
        self.metadata.append({key: str(value) for key, value in context.invocation_metadata() or ()})
        try:
            if self.held is not None:
                await self.held.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fails:
            await context.abort(*self.fails.pop(0))

    async def ModelInfer(self, request: pb.ModelInferRequest, context: grpc.aio.ServicerContext):  # noqa: N802
        await self._enter(request, context)
        if self.says is not None:
            return self.says(request)
        return pb.ModelInferResponse(
            model_name=request.model_name,
            model_version=self.name,
            id=request.id,
            raw_output_contents=request.raw_input_contents,
        )

    async def ModelStreamInfer(self, requests, context: grpc.aio.ServicerContext):  # noqa: ANN001, N802
        async for request in requests:
            await self._enter(request, context)
            for part in request.raw_input_contents:
                answer = pb.ModelInferResponse(model_name=request.model_name, id=request.id, raw_output_contents=[part])
                yield pb.ModelStreamInferResponse(infer_response=answer)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: grpc.aio.ServicerContext):  # noqa: N802
        await self._enter(request, context)
        return pb.ModelReadyResponse(ready=True)

    async def ServerLive(self, request: pb.ServerLiveRequest, context: grpc.aio.ServicerContext):  # noqa: N802
        await self._enter(request, context)
        return pb.ServerLiveResponse(live=True)

    async def start(self, port: int = 0) -> None:
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.server = grpc.aio.server(options=[*unlimited, ("grpc.so_reuseport", 0)])
        rpc.add_GRPCInferenceServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        await self.server.start()

    async def stop(self, grace_s: float | None = None) -> None:
        if self.server is not None:
            await self.server.stop(grace_s)
            self.server = None


@asynccontextmanager
async def running_pods(*names: str) -> AsyncIterator[dict[str, Pod]]:
    async with AsyncExitStack() as stack:
        pods = {name: Pod(name) for name in names}
        for pod in pods.values():
            await pod.start()
            stack.push_async_callback(pod.stop)
        yield pods
