"""Models that keep a state between requests: found out by asking a pod, and refused where a request would be spread."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import grpc
import pytest
from tests.support.grpc_stage import infer as grpc_infer
from tests.support.grpc_stage import refused, stage
from tests.support.http_gateway import Gateway, gateway, infer, pods
from tests.support.scripted_http import Asked, never, ok, scripted

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import ModelRoute, RevisionRoute, RouteTable
from plimsoll.gateway.asides import Asides
from plimsoll.gateway.kinds import AT_ONCE, PAUSE_S, Kinds

SEQUENCE = {"name": "digits", "sequence_batching": {"direct": {}}}
PLAIN = {"name": "digits"}


class Pod:
    """Tells its configuration, and answers everything else."""

    def __init__(self, *configs: bytes, parts: dict[str, object] | None = None) -> None:
        self._configs = list(configs)
        self._parts = parts or {}
        self.told = 0
        self.inferred = 0

    async def __call__(self, asked: Asked) -> None:
        await asked.read_body()
        inner = next((part for part in self._parts if f"/models/{part}/config".encode() in asked.head), None)
        if inner is not None:
            asked.writer.write(ok(told(self._parts[inner])))
        elif b"/config" in asked.head:
            self.told += 1
            asked.writer.write(ok(self._configs.pop(0) if len(self._configs) > 1 else self._configs[0]))
        else:
            self.inferred += 1
            asked.writer.write(ok(b"{}"))


def ensemble(*parts: str) -> dict[str, object]:
    return {"name": "ensemble", "ensemble_scheduling": {"step": [{"model_name": part} for part in parts]}}


def told(config: object) -> bytes:
    return json.dumps(config).encode()


@asynccontextmanager
async def running(pod: Pod) -> AsyncIterator[tuple[Gateway, Kinds, str]]:
    """A gateway before one pod, what asks that pod, and its address."""
    async with (
        scripted(pod) as server,
        gateway(port=server.port) as subject,
        aclosing(Asides(server.port)) as asides,
    ):
        subject.route([server.ip])
        yield subject, Kinds(subject.targets, subject.looked.inspections, asides), server.ip


async def test_single_requests_of_a_sequence_model_are_refused_with_the_reason() -> None:
    pod = Pod(told(SEQUENCE))
    async with running(pod) as (subject, kinds, _):
        await kinds.look(0)
        for path in (b"/v2/models/digits/infer", b"/v2/models/digits/generate"):
            answer = await subject.ask(infer(path=path))
            assert (answer.status, b"ModelStreamInfer" in answer.body) == (400, True)
        assert pod.inferred == 0
        assert subject.records["r1"].outcomes == [Outcome.CLIENT_FAULT] * 2
        ready = await subject.ask(b"GET /v2/models/digits/ready HTTP/1.1\r\nHost: digits\r\n\r\n")
        assert ready.status == 200, "only inference is refused"


async def test_a_plain_model_is_asked_once_and_served() -> None:
    pod = Pod(told(PLAIN))
    async with running(pod) as (subject, kinds, _):
        await kinds.look(0)
        await kinds.look(100)
        assert (await subject.ask(infer())).status == 200
        assert (pod.told, pod.inferred) == (1, 1)
        assert subject.targets.models["digits"].inspection is None, "its requests pay nothing"


@pytest.mark.parametrize(
    ("inner", "status"),
    [
        pytest.param({"name": "inner"}, 200, id="plain ones"),
        pytest.param({"name": "inner", "sequence_batching": {}}, 400, id="one that keeps a state"),
        pytest.param(ensemble("outer", "inner"), 200, id="each other, which Triton would not load"),
    ],
)
async def test_an_ensemble_keeps_a_state_where_one_of_its_models_does(inner: object, status: int) -> None:
    pod = Pod(told(ensemble("outer")), parts={"outer": ensemble("inner"), "inner": inner})
    async with running(pod) as (subject, kinds, _):
        await kinds.look(0)
        assert (await subject.ask(infer())).status == status


async def test_an_ensemble_whose_models_do_not_say_is_asked_again_later() -> None:
    parts: dict[str, object] = {"inner": {"error": "not ready"}}
    async with running(Pod(told(ensemble("inner")), parts=parts)) as (subject, kinds, _):
        await kinds.look(0)
        assert subject.looked.inspections.stateful == {}
        parts["inner"] = SEQUENCE
        await kinds.look(PAUSE_S)
        assert subject.looked.inspections.stateful == {"r1": True}


async def test_only_the_revision_that_keeps_a_state_refuses() -> None:
    async with (
        scripted(Pod(told(PLAIN))) as stable,
        scripted(Pod(told(SEQUENCE)), "127.0.0.3", stable.port) as candidate,
        gateway(port=stable.port) as subject,
        aclosing(Asides(stable.port)) as asides,
    ):
        subject.route([stable.ip], [candidate.ip])
        await Kinds(subject.targets, subject.looked.inspections, asides).look(0)
        assert (await subject.ask(infer())).status == 200
        assert (await subject.ask(infer(head=b"X-Plimsoll-Candidate: true\r\n"))).status == 400


async def test_a_pod_that_does_not_say_is_asked_again_later() -> None:
    pod = Pod(b"starting", told(SEQUENCE))
    async with running(pod) as (subject, kinds, _):
        await kinds.look(0)
        await kinds.look(PAUSE_S / 2)
        assert (pod.told, (await subject.ask(infer())).status) == (1, 200)
        await kinds.look(PAUSE_S)
        assert (pod.told, (await subject.ask(infer())).status) == (2, 400)


async def test_pods_that_hang_keep_nobody_from_being_asked() -> None:
    pod = Pod(told(SEQUENCE))
    async with (
        scripted(never, "127.0.0.3") as hanging,
        scripted(pod, port=hanging.port) as well,
        gateway(port=well.port) as subject,
        aclosing(Asides(well.port, answer_s=0.2)) as asides,
    ):
        ips = {f"m{number}": hanging.ip for number in range(2 * AT_ONCE)} | {"well": well.ip}
        routes = {
            name: ModelRoute(name, name, 1, stable=RevisionRoute(f"{name}-1", 1000, pods([ip])))
            for name, ip in ips.items()
        }
        subject.targets.apply(RouteTable(routes))
        await Kinds(subject.targets, subject.looked.inspections, asides).look(0)
        assert subject.looked.inspections.stateful == {"well-1": True}


async def test_what_is_known_goes_with_the_revision() -> None:
    async with running(Pod(told(SEQUENCE))) as (subject, kinds, _):
        await kinds.look(0)
        subject.targets.forget("digits")
        await kinds.look(0)
        assert subject.looked.inspections.stateful == {}


async def test_over_grpc_single_requests_are_refused_and_a_stream_stays_on_its_pod() -> None:
    async with stage("a", "b") as on:
        on.gateway.looked.inspections.stateful["r1"] = True
        on.gateway.board.targets.models["digits"].inspect()
        error = await refused(on.stub.ModelInfer(grpc_infer()))
        assert (error.code(), "ModelStreamInfer" in (error.details() or "")) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            True,
        )
        call = on.stub.ModelStreamInfer()
        for _ in range(10):
            await call.write(grpc_infer())
            await call.read()
        await call.done_writing()
        assert sorted(len(pod.requests) for pod in on.pods.values()) == [0, 10]
