"""What a gateway asks pods on its own, asked of a real Triton: configurations, statistics, small requests, copies."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.support.http_gateway import gateway, infer, pods, until
from tests.support.inference import taking
from tests.support.looked import rules
from tests.support.planted_models import plant

from plimsoll.api.vocabulary import DataType
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.table import ModelRoute, RevisionRoute, RouteTable
from plimsoll.core.triton.statistics import last_inference_s
from plimsoll.core.validation.rules import Rules
from plimsoll.gateway.asides import Asides, Said
from plimsoll.gateway.kinds import Kinds
from plimsoll.gateway.shadows import Fate, Shadows
from plimsoll.gateway.warmth import KeepWarm, Warmed
from plimsoll_dev.images.local_triton import LocalTriton, running_triton

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("triton")]

ENSEMBLE = """
name: "{name}"
platform: "ensemble"
max_batch_size: 128
input {{ name: "x" data_type: TYPE_FP32 dims: [4] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [4] }}
ensemble_scheduling {{
  step {{
    model_name: "{inner}"
    model_version: -1
    input_map {{ key: "x" value: "x" }}
    output_map {{ key: "y" value: "y" }}
  }}
}}
"""
STATEFUL = {"plain": False, "talk": True, "of-plain": False, "of-talk": True}


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    repository: Path = tmp_path_factory.mktemp("repository")
    plant(repository, "clean", as_name="plain")
    plant(repository, "nondeterministic", as_name="noisy")
    config = plant(repository, "clean", as_name="talk") / "config.pbtxt"
    config.write_text(config.read_text().replace("dynamic_batching", "sequence_batching { }\n#", 1))
    for inner in ("plain", "talk"):
        (repository / f"of-{inner}" / "1").mkdir(parents=True)
        (repository / f"of-{inner}" / "config.pbtxt").write_text(ENSEMBLE.format(name=f"of-{inner}", inner=inner))
    with running_triton(repository) as server:
        yield server


def table(ip: str, known: Rules | None = None) -> RouteTable:
    limits = RequestLimits(keep_warm_s=10.0)
    return RouteTable(
        {
            name: ModelRoute(
                name, name, 1, stable=RevisionRoute(f"{name}-1", 1000, pods([ip]), rules=known), limits=limits
            )
            for name in STATEFUL
        }
    )


async def test_models_that_keep_a_state_are_found_in_ensembles_too(triton: LocalTriton) -> None:
    at = urlsplit(triton.http)
    async with gateway(port=at.port or 0) as subject, aclosing(Asides(at.port or 0)) as asides:
        subject.targets.apply(table(at.hostname or ""))
        await Kinds(subject.targets, subject.looked.inspections, asides).look(0)
        assert subject.looked.inspections.stateful == {f"{name}-1": kept for name, kept in STATEFUL.items()}


async def test_an_idle_model_computes_one_small_request(triton: LocalTriton) -> None:
    at = urlsplit(triton.http)
    ip, port = at.hostname or "", at.port or 0
    schema = taking({"x": (DataType.FP32, (-1, 4))}, 128, {"y": (DataType.FP32, (-1, 4))})
    async with gateway(port=port) as subject, aclosing(Asides(port)) as asides:
        known = Rules("plain-1", schema, rules().checks, None, fails_invalid_outputs=True)
        route = table(ip, known).models["plain"]
        subject.targets.apply(RouteTable({"plain": route}))
        wall = time.time()
        warmth = KeepWarm(subject.targets, asides, "gateway-a", lambda: wall, {"plain-1": False})
        await warmth.look(0)
        await warmth.look(20)
        assert [(one.result, one.count) for one in warmth.figures()] == [(Warmed.INFERRED, 1)]
        last = last_inference_s((await asides.ask(ip, "/v2/models/plain/stats")).body)
        assert last is not None
        assert abs(last - time.time()) < 60, "a time since 1970, in milliseconds"
        await warmth.look(40)
        assert [one.count for one in warmth.figures()] == [1], "it computed just now"


@pytest.mark.parametrize(("candidate", "fate"), [("plain", Fate.AGREED), ("noisy", Fate.DIFFERED)])
async def test_a_copy_is_answered_and_compared(triton: LocalTriton, candidate: str, fate: Fate) -> None:
    """Both revisions are in one server here, so the candidate is a model of another name."""
    at = urlsplit(triton.http)
    ip, port = at.hostname or "", at.port or 0

    class Renamed(Asides):
        async def ask(self, ip: str, path: str, body: bytes | None = None, json_bytes: int | None = None) -> Said:
            return await super().ask(ip, path.replace("/plain/", f"/{candidate}/"), body, json_bytes)

    async with (
        gateway(port=port) as subject,
        aclosing(Renamed(port)) as asides,
        aclosing(Shadows(asides, lambda: b"key", lambda _, name: subject.records[name], time.monotonic)) as shadows,
    ):
        subject.looked.inspections.stateful |= {"r1": False, "r2": False}
        subject.looked.inspections.copy_to(shadows)
        stable, wanted = RevisionRoute("r1", 1000, pods([ip])), RevisionRoute("r2", 0, pods([ip]), shadow_permille=1000)
        subject.targets.apply(RouteTable({"plain": ModelRoute("plain", "uid", 1, stable=stable, candidate=wanted)}))
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2.5, 3, 4]}
        answer = await subject.ask(infer(json.dumps({"inputs": [tensor]}).encode(), path=b"/v2/models/plain/infer"))
        assert answer.status == 200
        await until(lambda: [(one.result, one.count) for one in shadows.figures()] == [(fate, 1)])
