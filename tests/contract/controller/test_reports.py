"""Fetching a report: from a pod as ours are, and from whatever else may answer at its address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from tests.support.controller_process import free_port
from tests.support.preflight_reports import KEY, REVISION, good

from plimsoll.controller.report_key import ReportKey
from plimsoll.controller.reports import MAX_REPORT_BYTES, Reports, ReportUnavailable
from plimsoll.core.actions import PullReport
from plimsoll.core.tokens import public_key
from plimsoll.kube.clock import SYSTEM_CLOCK
from plimsoll.preflight.report_desk import ReportDesk

SEED = bytes(range(32))
POD_UID = "5f0c8e2a-0000-4000-8000-000000000001"
ASKED = PullReport("digits-preflight", "digits-preflight-x", POD_UID, "127.0.0.1", KEY, "there is one")
REPORT = good().model_dump_json(by_alias=True).encode()


@asynccontextmanager
async def desk(report: bytes, pod_uid: str = POD_UID, seed: bytes = SEED) -> AsyncIterator[int]:
    """A pod as ours are."""
    made = ReportDesk(public_key(seed), pod_uid, lambda: SYSTEM_CLOCK.utc_now().timestamp())
    if report:
        made.offer(report)
    # A port by number: of 0 every address family would get another one.
    async with made.listening(free_port()) as port:
        yield port


@asynccontextmanager
async def stranger(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    """Whatever else listens there."""
    app = web.Application()
    app.add_routes([web.get("/report", answer)])
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def reports(port: int, timeout_s: float = 5.0) -> AsyncIterator[Reports]:
    async with Reports(ReportKey(SEED, public_key(SEED)), SYSTEM_CLOCK, port, timeout_s) as made:
        yield made


async def why_not(port: int, asked: PullReport = ASKED, revision: str = REVISION, timeout_s: float = 5.0) -> str:
    async with reports(port, timeout_s) as made:
        with pytest.raises(ReportUnavailable) as refused:
            await made.fetch(asked, revision)
    return str(refused.value)


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
async def test_a_report_comes_as_it_was_written(ip: str) -> None:
    async with desk(REPORT) as port, reports(port) as made:
        assert await made.fetch(replace(ASKED, ip=ip), REVISION) == good()


async def test_no_other_pod_at_the_address_accepts_the_token() -> None:
    async with desk(REPORT, pod_uid="another") as port:
        assert await why_not(port) == f"pod {ASKED.pod} answers with status 401"


async def test_nor_does_a_pod_of_another_controller() -> None:
    async with desk(REPORT, seed=bytes(32)) as port:
        assert await why_not(port) == f"pod {ASKED.pod} answers with status 401"


async def test_a_preflight_that_still_runs_has_none() -> None:
    async with desk(b"") as port:
        assert await why_not(port) == f"pod {ASKED.pod} answers with status 503"


@pytest.mark.parametrize(
    ("key", "revision"),
    [pytest.param("another", REVISION, id="another question"), pytest.param(KEY, "another", id="another revision")],
)
async def test_a_report_that_was_made_for_something_else_is_not_taken(key: str, revision: str) -> None:
    replayed = good().model_copy(update={"key": key, "revision": revision})
    async with desk(replayed.model_dump_json(by_alias=True).encode()) as port:
        assert await why_not(port) == f"the report of pod {ASKED.pod} answers another question than the one asked"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(b"<html>", "the whole: Invalid JSON", id="a page"),
        pytest.param(b"{}", "model: Field required", id="an empty object"),
        pytest.param(REPORT.replace(b'"format":1', b'"format":2'), "format: Input should be 1", id="a later format"),
        pytest.param(REPORT.replace(b'"Passed"', b'"Splendid"', 1), "Input should be", id="another outcome"),
        pytest.param(REPORT[:-1], "the whole: Invalid JSON", id="cut"),
    ],
)
async def test_what_is_no_report_is_not_taken(body: bytes, told: str) -> None:
    async with desk(body) as port:
        why = await why_not(port)
    assert why.startswith("the report cannot be read: ")
    assert told in why


async def test_a_report_without_end_is_not_read_to_its_end() -> None:
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 100 * MAX_REPORT_BYTES:
            await response.write(b" " * 65_536)
            sent += 65_536
        return response

    async with stranger(answer) as port:
        assert await why_not(port) == f"the report of pod {ASKED.pod} is larger than 900 KiB"
    assert sent < 20 * MAX_REPORT_BYTES


async def test_a_redirection_is_not_followed() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://127.0.0.1:1/report")

    async with stranger(answer) as port:
        assert await why_not(port) == f"pod {ASKED.pod} answers with status 302"


async def test_a_pod_that_is_gone() -> None:
    assert (await why_not(free_port())).startswith(f"pod {ASKED.pod} does not answer (")


async def test_a_pod_that_hangs_is_given_up() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with stranger(answer) as port:
        assert await why_not(port, timeout_s=0.05) == f"pod {ASKED.pod} does not answer (TimeoutError)"


async def test_pods_that_hang_take_no_more_than_four_workers() -> None:
    waiting, go_on = 0, asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        nonlocal waiting
        waiting += 1
        await go_on.wait()
        return web.Response(body=REPORT)

    async with stranger(answer) as port, reports(port) as made:
        under_way = [asyncio.create_task(made.fetch(ASKED, REVISION)) for _ in range(4)]
        async with asyncio.timeout(5):
            while waiting < 4:  # noqa: ASYNC110 - what is waited for is in the server
                await asyncio.sleep(0.001)
        with pytest.raises(ReportUnavailable, match="4 reports are being fetched already"):
            await made.fetch(ASKED, REVISION)
        go_on.set()
        assert await asyncio.gather(*under_way) == [good()] * 4
        assert await made.fetch(ASKED, REVISION) == good()
