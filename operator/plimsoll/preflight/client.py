"""A session with one model on one server, over gRPC. Every call has a deadline.

The messages are made once and sent many times: with a fast model the load generator would otherwise measure itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, cast

import grpc  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2, service_pb2_grpc  # type: ignore[import-untyped]

from plimsoll.api.preflight_report import ModelKind, ServedTensor
from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.tensors import protocol_type
from plimsoll.errors import Invalid
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.preflight.failures import CallError, classify
from plimsoll.preflight.tensors import Tensor, Tensors, decode, encode, rows_of

_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # a pod's address is never behind one
    ("grpc.enable_retries", 0),  # a failure that is retried unseen is not measured
    ("grpc.use_local_subchannel_pool", 1),  # two sessions with one server are two connections
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
CONTROL_TIMEOUT_S: Final = 10.0
"""For questions that run no model."""
_POLL_S: Final = 0.2
MAX_MESSAGE_BYTES: Final = 128 << 20
"""Of a request that a phase makes up, and of its answer. The protocol ends at 2 GiB, and the preflight has 1 GiB of
memory for the batches of all sizes together."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the server says about the model. `dims` are without the batch dimension."""

    kind: ModelKind
    inputs: tuple[ServedTensor, ...]
    outputs: tuple[ServedTensor, ...]
    max_batch_size: int
    """0: the model does not batch, and a request is one item."""
    instances: int
    """Copies that compute at the same time."""
    max_queue_delay_ms: float | None
    """How long the dynamic batcher may wait for more requests; None without one."""
    preferred_batch_sizes: tuple[int, ...]
    """Sizes at which the dynamic batcher closes a batch; empty where none are configured."""
    server: str
    """Name and version, `triton 2.51.0`."""

    @property
    def batches(self) -> bool:
        """Whether requests have a batch dimension."""
        return self.max_batch_size > 0

    @property
    def largest_batch(self) -> int:
        """Items that one request may hold."""
        return max(self.max_batch_size, 1)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request in the form it is sent; may be sent any number of times, also at once."""

    message: Any
    rows: int


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """Executions of one batch size since the server started."""

    batch: int
    executions: int
    compute_infer_ns: int
    """Summed over the executions."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """The server's own counters since it started: free of the client's noise."""

    inferences: int
    executions: int
    batches: tuple[BatchStatistics, ...]


class Session:
    """One model on one server.

    Errors of every call: RefusedError, OverloadedError, NoAnswerError, ServerGoneError; see failures.py.
    """

    def __init__(self, address: str, model: str, timeout_s: float, clock: Clock = SYSTEM_CLOCK) -> None:
        """`address` is `host:port`; `timeout_s` is what one inference may take unless the call says otherwise."""
        self.address = address
        self.model = model
        self.timeout_s = timeout_s
        self._clock = clock
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._served: Served | None = None
        self._item_bytes = 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Breaks the connection off; what is in flight ends with CancelledError."""
        await self._channel.close()

    @property
    def served(self) -> Served:
        """What `describe` found.

        Raises:
            RuntimeError: It has not been called.
        """
        if self._served is None:
            raise RuntimeError("describe() comes first")
        return self._served

    @property
    def largest_batch(self) -> int:
        """Items that one request may hold: what the model allows, but no more than fit."""
        return self.fitting(self.served.largest_batch)

    def fitting(self, items: int) -> int:
        """Returns how many of so many items fit `MAX_MESSAGE_BYTES`, at least one; `infer` learns their size."""
        return max(min(items, MAX_MESSAGE_BYTES // self._item_bytes), 1)

    async def live(self, timeout_s: float = CONTROL_TIMEOUT_S) -> bool:
        """Whether a server answers at the address at all."""
        try:
            answer = await self._call(self._stub.ServerLive, service_pb2.ServerLiveRequest(), timeout_s)
        except CallError:
            return False
        return bool(answer.live)

    async def ready(self, timeout_s: float = CONTROL_TIMEOUT_S) -> bool:
        """Whether the server says the model is ready. It also says so of a model whose process died."""
        try:
            request = service_pb2.ModelReadyRequest(name=self.model)
            answer = await self._call(self._stub.ModelReady, request, timeout_s)
        except CallError:
            return False
        return bool(answer.ready)

    async def wait_ready(self, within_s: float) -> bool:
        """Waits for the model; False when it was not ready in time."""
        until = self._clock.monotonic() + within_s
        while not await self.ready(min(CONTROL_TIMEOUT_S, max(until - self._clock.monotonic(), _POLL_S))):
            if self._clock.monotonic() >= until:
                return False
            await self._clock.sleep(_POLL_S)
        return True

    async def describe(self) -> Served:
        """Asks what is served, and remembers it.

        Raises:
            Invalid: `UnknownType`: a tensor of a type the protocol does not have.
        """
        server = await self._call(self._stub.ServerMetadata, service_pb2.ServerMetadataRequest())
        request = service_pb2.ModelConfigRequest(name=self.model)
        answer = await self._call(self._stub.ModelConfig, request)
        self._served = _served(answer.config, f"{server.name} {server.version}")
        return self._served

    def prepare(self, inputs: Tensors) -> Prepared:
        """Makes a request of values with the served types. A batching model's have the batch dimension first."""
        types = {tensor.name: tensor.data_type for tensor in self.served.inputs}
        message = service_pb2.ModelInferRequest(model_name=self.model)
        for name, values in inputs.items():
            message.inputs.add(name=name, datatype=types[name].value, shape=values.shape)
            message.raw_input_contents.append(encode(values, types[name]))
        return Prepared(message, rows_of(inputs, batches=self.served.batches))

    async def send(self, request: Prepared, timeout_s: float | None = None) -> Any:
        """Sends a request and returns the raw answer, which `answer` decodes: for what is timed."""
        return await self._call(self._stub.ModelInfer, request.message, timeout_s or self.timeout_s, request.rows)

    async def infer(self, request: Prepared, timeout_s: float | None = None) -> dict[str, Tensor]:
        """Sends a request and returns the values of all outputs."""
        reply = await self.send(request, timeout_s)
        sizes = request.message.ByteSize(), reply.ByteSize()
        self._item_bytes = max(self._item_bytes, *(size // max(request.rows, 1) for size in sizes))
        return answer(reply)

    async def statistics(self) -> Statistics:
        """Returns the counters of the model, summed over its versions."""
        request = service_pb2.ModelStatisticsRequest(name=self.model)
        found = (await self._call(self._stub.ModelStatistics, request)).model_stats
        return Statistics(
            sum(one.inference_count for one in found),
            sum(one.execution_count for one in found),
            tuple(
                BatchStatistics(int(row.batch_size), int(row.compute_infer.count), int(row.compute_infer.ns))
                for one in found
                for row in one.batch_stats
            ),
        )

    async def _call(
        self, method: Callable[..., Awaitable[Any]], request: Any, timeout_s: float = CONTROL_TIMEOUT_S, rows: int = 0
    ) -> Any:
        try:
            return await method(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise classify(error, rows, timeout_s) from error


def answer(reply: Any) -> dict[str, Tensor]:
    """Decodes what `Session.send` returned. An output without data is empty, whatever its shape says."""
    raw = [*reply.raw_output_contents, *[b""] * len(reply.outputs)]
    return {
        output.name: decode(data, DataType(output.datatype), tuple(output.shape))
        for output, data in zip(reply.outputs, raw, strict=False)
    }


def _served(config: Any, server: str) -> Served:
    batching = config.dynamic_batching if config.HasField("dynamic_batching") else None
    return Served(
        kind=_kind(config),
        inputs=tuple(_tensor(config, tensor) for tensor in config.input),
        outputs=tuple(_tensor(config, tensor) for tensor in config.output),
        max_batch_size=int(config.max_batch_size),
        instances=max(sum(max(group.count, 1) * max(len(group.gpus), 1) for group in config.instance_group), 1),
        max_queue_delay_ms=batching.max_queue_delay_microseconds / 1000 if batching else None,
        preferred_batch_sizes=tuple(batching.preferred_batch_size) if batching else (),
        server=server,
    )


def _kind(config: Any) -> ModelKind:
    if config.model_transaction_policy.decoupled:
        return ModelKind.DECOUPLED
    match cast("str | None", config.WhichOneof("scheduling_choice")):
        case "sequence_batching":
            return ModelKind.SEQUENCE
        case "ensemble_scheduling":
            return ModelKind.ENSEMBLE
        case _:
            return ModelKind.PLAIN


def _tensor(config: Any, tensor: Any) -> ServedTensor:
    name = type(config).DESCRIPTOR.file.enum_types_by_name["DataType"].values_by_number[tensor.data_type].name
    data_type = protocol_type(name)
    if data_type is None:
        raise Invalid("UnknownType", f"The model's tensor '{tensor.name}' has the type {name}, which has no values.")
    optional = bool(getattr(tensor, "optional", False))  # outputs have no such field
    return ServedTensor(name=tensor.name, data_type=data_type, dims=list(tensor.dims), optional=optional)
