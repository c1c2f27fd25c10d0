"""The controller as it runs in a pod, kopf and all: signals, exit codes, health, and how long kopf holds out."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import kopf
import pytest
import yaml
from tests.contract.controller.whole_controller import LEASE, NAME, World, children
from tests.support.controller_process import OPERATOR_IMAGE, ROOT, TRITON_IMAGE, free_port

from plimsoll.controller.handlers import build_registry, connection_info
from plimsoll.controller.kopf_settings import EndlessBackoffs, configure
from plimsoll.kube.connection import open_connection
from plimsoll.kube.resources import LEASES, MODELDEPLOYMENTS, Key

WATCHFUL = {"retryPeriod": "500ms"}
"""Looks at the Lease four times as often as by default: less to wait for."""

TEN_SECONDS = 0.02
"""Real seconds that ten seconds of kopf's pauses take here."""


@dataclass
class ControllerProcess:
    """`plimsoll controller` under way."""

    process: asyncio.subprocess.Process
    port: int

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.get(f"http://127.0.0.1:{self.port}{path}")

    async def is_ready(self) -> None:
        """Waits for readiness."""
        async with asyncio.timeout(60):
            while True:
                assert self.process.returncode is None, "it has ended"
                try:
                    if (await self.get("/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass  # it does not listen yet
                await asyncio.sleep(0.05)

    async def metric(self, name: str) -> float:
        found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", (await self.get("/metrics")).text, re.MULTILINE)
        assert found, f"there is no metric {name}"
        return float(found[1])

    async def ends(self, number: signal.Signals | None = None) -> int:
        """Sends a signal, if one is given, and returns the exit code."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(60):
            return await self.process.wait()


@asynccontextmanager
async def controller_process(world: World, **settings: Any) -> AsyncIterator[ControllerProcess]:
    """Runs one; settings are those of its configuration file."""
    port = free_port()
    config = world.kubeconfig.with_name(f"controller-{port}.yaml")
    wanted = {"defaults": {"accelerator": "None", "tritonImage": TRITON_IMAGE}, "fetchImage": OPERATOR_IMAGE}
    config.write_text(yaml.safe_dump({**wanted, "port": port, **settings}), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "POD_NAME": f"controller-{port}"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "plimsoll", "controller", "--config", str(config)),
        env=environment,
        cwd=ROOT,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield ControllerProcess(process, port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def eventually(met: Callable[[], object]) -> None:
    """Waits until something is true, in real time: these processes have no other."""
    async with asyncio.timeout(60):
        while not met():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.02)


async def test_a_leader_told_to_end_in_mid_work_ends_in_order_and_the_standby_goes_on(operated: World) -> None:
    names = [f"model-{number}" for number in range(4)]
    async with controller_process(operated, workers=1) as leader, AsyncExitStack() as later:
        await eventually(operated.leader)
        standby = await later.enter_async_context(controller_process(operated, lease=WATCHFUL))
        await eventually_leads(leader)
        await standby.is_ready()
        for running, leads in ((leader, 1), (standby, 0)):
            assert (await running.get("/livez")).text == "ok\n"
            assert (await running.get("/readyz")).text == "ok\n"
            assert await running.metric("plimsoll_leading") == leads
            assert await running.metric("plimsoll_cache_relists") == 1
            assert await running.metric("plimsoll_queue_depth") == 0

        operated.journal.hang(0.6, times=None, where=lambda asked: asked.verb == "apply")
        for name in names:
            operated.apply(name=name)
        await eventually(lambda: operated.journal.writes)
        # What follows is what the leader wrote: the standby may take over before this process looks.
        standby.process.send_signal(signal.SIGSTOP)
        assert await leader.ends(signal.SIGTERM) == 0
        turn = [write.split()[1] for write in operated.journal.writes]
        assert turn == ["Service", "ControllerRevision", "Service", "Deployment", "ModelDeployment/status"], (
            "what was begun is finished, and no more is begun"
        )
        operated.journal.clear()
        standby.process.send_signal(signal.SIGCONT)
        await eventually(lambda: operated.leader().startswith(f"controller-{standby.port}"))
        await eventually(lambda: all(map(operated.ready, names)))
        revisions = sorted(map(operated.stable, names))
        assert children(operated) == {
            "ControllerRevision": revisions,
            "Deployment": revisions,
            "Service": sorted([*names, *revisions]),
        }
        assert await standby.ends(signal.SIGTERM) == 0
        assert operated.leader() == "", "the lease is given away"


def hold_lease(world: World, holder: str) -> None:
    world.api.cluster.change(LEASES, *LEASE, lambda lease: lease["spec"].update(holderIdentity=holder))


async def eventually_leads(running: ControllerProcess) -> None:
    async with asyncio.timeout(60):
        while await running.metric("plimsoll_leading") != 1:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.05)


async def test_a_process_killed_in_mid_work_is_replaced_and_one_that_loses_its_lease_ends_with_1(
    operated: World,
) -> None:
    operated.apply()
    killed = operated.journal.deaf_after(3)
    async with controller_process(operated) as first:
        await asyncio.wait_for(killed.done.wait(), 60)
        assert await first.ends(signal.SIGKILL) == -signal.SIGKILL
    operated.journal.clear()
    hold_lease(operated, "")  # as if it had run out; test_leadership.py waits for that in virtual time
    async with controller_process(operated, lease=WATCHFUL) as second:
        await eventually(operated.ready)
        revision = operated.stable()
        assert children(operated) == {
            "ControllerRevision": [revision],
            "Deployment": [revision],
            "Service": sorted([NAME, revision]),
        }
        hold_lease(operated, "other")
        assert await second.ends() == 1
        operated.journal.writes.clear()
        operated.apply(version=2)
        await asyncio.sleep(0.1)
        assert operated.journal.writes == []


@pytest.mark.parametrize("outage", ["refused", "500"])
async def test_kopf_outlives_an_outage_of_two_minutes(
    operated: World, monkeypatch: pytest.MonkeyPatch, outage: str
) -> None:
    """By default it would give up after 54 s. It has a thread of its own, for it ends tasks it does not know."""
    paused: list[float] = []

    def hasty(self: EndlessBackoffs) -> Iterator[float]:
        for pause in endless(self):
            paused.append(pause)
            yield pause * TEN_SECONDS / 10

    endless = EndlessBackoffs.__iter__
    monkeypatch.setattr(EndlessBackoffs, "__iter__", hasty)
    told: list[Key] = []
    stop = threading.Event()

    async def watch() -> None:
        connection = open_connection(operated.api.url)
        await kopf.operator(
            registry=build_registry(told.append, lambda: connection_info(connection)),
            settings=configure(kopf.OperatorSettings()),
            identity="kopf",
            standalone=True,
            clusterwide=True,
            stop_flag=stop,
        )

    operated.apply()
    thread = asyncio.create_task(asyncio.to_thread(asyncio.run, watch()))
    try:
        await eventually(lambda: any(s.resource == MODELDEPLOYMENTS for s in operated.api.watches.open))
        if outage == "refused":
            await operated.api.stop()
        else:
            operated.journal.fail(500, times=None)
            operated.api.watches.cut()
        paused.clear()
        await eventually(lambda: sum(paused) > 120 or thread.done())
        assert not thread.done()
        operated.journal.clear()
        if outage == "refused":
            await operated.api.start()
        await eventually(lambda: any(s.resource == MODELDEPLOYMENTS for s in operated.api.watches.open))
        told.clear()
        operated.apply(version=2)
        await eventually(lambda: told)
        assert set(told) == {("vision", NAME)}
    finally:
        stop.set()
        await thread
