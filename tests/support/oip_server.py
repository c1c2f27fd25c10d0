"""A model server in this process that speaks the Open Inference Protocol over gRPC and behaves as a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from plimsoll.api.vocabulary import DataType
from plimsoll.preflight.tensors import decode, encode

Tensors = Mapping[str, np.ndarray[Any, Any]]


class Refuse(Exception):  # noqa: N818 - an instruction to the server
    """Answers with this status."""

    def __init__(self, message: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Die(Exception):  # noqa: N818 - an instruction to the server
    """Breaks all connections off, as a process that crashed does."""


@dataclass
class Model:
    """What is served. `compute` gets the inputs with the batch dimension; it may raise `Refuse` or `Die`."""

    compute: Callable[[Tensors], Tensors | Awaitable[Tensors]]
    inputs: Sequence[tuple[str, DataType, Sequence[int]]] = (("x", DataType.FP32, [2]),)
    outputs: Sequence[tuple[str, DataType, Sequence[int]]] = (("y", DataType.FP32, [3]),)
    max_batch_size: int = 8
    config: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of Triton's ModelConfig."""
    ready: bool = True
    name: str = "m"


@dataclass
class Serving:
    """A running server: where it is, what it was asked (batch sizes, in order)."""

    address: str
    model: Model
    asked: list[int] = field(default_factory=list)


@asynccontextmanager
async def serving(model: Model, *, restarts: bool = False) -> AsyncIterator[Serving]:
    """Serves while the context lasts; with `restarts` the server comes back on the same port after `Die`."""
    servant = _Servant(model, restarts=restarts)
    await servant.start()
    try:
        yield servant.running
    finally:
        await servant.stop()


class _Servant(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, model: Model, *, restarts: bool) -> None:
        self.running = Serving("127.0.0.1:0", model)
        self._restarts = restarts
        self._server: grpc.aio.Server | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
        self._server = grpc.aio.server(options=options)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(self.running.address)
        self.running.address = f"127.0.0.1:{port}"
        await self._server.start()

    async def stop(self) -> None:
        for task in self._ending:
            await task
        if self._server:
            await self._server.stop(None)

    async def _die(self) -> None:
        server, self._server = self._server, None
        if server:
            await server.stop(None)
            if self._restarts:
                await self.start()

    async def ServerLive(self, _request: Any, _context: Any) -> Any:  # noqa: N802 - the protocol's name
        return service_pb2.ServerLiveResponse(live=True)

    async def ModelReady(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return service_pb2.ModelReadyResponse(ready=self.running.model.ready)

    async def ServerMetadata(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return service_pb2.ServerMetadataResponse(name="triton", version="2.51.0")

    async def ModelConfig(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        model = self.running.model
        config = model_config_pb2.ModelConfig(name=model.name, max_batch_size=model.max_batch_size, **model.config)
        for tensors, listed in ((model.inputs, config.input), (model.outputs, config.output)):
            for name, data_type, dims in tensors:
                kind = "TYPE_STRING" if data_type is DataType.BYTES else f"TYPE_{data_type}"
                listed.add(name=name, data_type=kind, dims=dims)
        return service_pb2.ModelConfigResponse(config=config)

    async def ModelStatistics(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        asked = self.running.asked
        statistics = service_pb2.ModelStatistics(inference_count=sum(asked), execution_count=len(asked))
        for size in sorted(set(asked)):
            statistics.batch_stats.add(batch_size=size).compute_infer.count = asked.count(size)
        return service_pb2.ModelStatisticsResponse(model_stats=[statistics])

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        model = self.running.model
        inputs = {
            tensor.name: decode(raw, DataType(tensor.datatype), tuple(tensor.shape))
            for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        self.running.asked.append(next(iter(inputs.values())).shape[0] if model.max_batch_size else 1)
        try:
            computed = model.compute(inputs)
            outputs = computed if isinstance(computed, Mapping) else await computed
        except Refuse as refusal:
            await context.abort(refusal.code, refusal.message)
        except Die:
            self._ending.add(asyncio.create_task(self._die()))
            await asyncio.sleep(3600)  # until the connection breaks
        types = {name: data_type for name, data_type, _ in model.outputs}
        answer = service_pb2.ModelInferResponse(model_name=model.name)
        for name, values in outputs.items():
            answer.outputs.add(name=name, datatype=types[name], shape=values.shape)
            answer.raw_output_contents.append(encode(values, types[name]))
        return answer
