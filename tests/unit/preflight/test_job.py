"""What leaves the Job's pod: the exit code, the last words, and the report for who holds a token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.support.controller_process import free_port
from tests.support.fakeapi.clocks import ManualClock, eventually
from tests.support.preflight_reports import KEY, REVISION, good, phase

from plimsoll.api.preflight_report import Outcome, PhaseName, PreflightReport
from plimsoll.core.tokens import public_key, sign
from plimsoll.preflight.job import Surroundings, run_job
from plimsoll.preflight.progress import Progress
from plimsoll.preflight.request import ENVIRONMENT_VARIABLE, Request

SEED = bytes(range(32))
POD = "5f0c8e2a-0000-4000-8000-000000000001"
REQUEST = {"model": "digits", "revision": REVISION, "key": KEY, "target": "10.0.0.7:8001"}
PATIENCE_S = 120
LINGER_S = 60


def ended(outcome: Outcome) -> PreflightReport:
    return good().model_copy(update={"outcome": outcome})


@dataclass
class Pod:
    """A Job's pod: what runs in it, and what the kubelet and the controller see."""

    folder: Path
    time: ManualClock = field(default_factory=ManualClock)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = field(default_factory=free_port)
    request: str = json.dumps(REQUEST)

    @asynccontextmanager
    async def running(
        self, examine: Callable[[Request, Progress], Awaitable[PreflightReport]]
    ) -> AsyncIterator[asyncio.Task[int]]:
        async def examination(request: Request, progress: Progress) -> PreflightReport:
            return await examine(request, progress)

        environment = {
            ENVIRONMENT_VARIABLE: self.request,
            "PLIMSOLL_REPORT_KEY": public_key(SEED),
            "POD_UID": POD,
        }
        where = Surroundings(environment, self.folder / "termination-log", self.port)
        task = asyncio.create_task(run_job(where, self.stop, examination, self.time.clock))
        try:
            yield task
        finally:
            self.stop.set()
            await asyncio.wait([task])

    def last_words(self) -> dict[str, Any]:
        words: dict[str, Any] = json.loads((self.folder / "termination-log").read_bytes())
        return words

    async def ask(self, path: str, token: str = "") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
            return response.status, await response.text()

    async def is_ready(self) -> bool:
        try:
            return (await self.ask("/readyz"))[0] == 200
        except aiohttp.ClientConnectionError:
            return False

    async def fetch(self) -> tuple[int, str]:
        return await self.ask("/report", sign(SEED, POD, self.time.clock.utc_now().timestamp()))

    async def becomes_ready(self) -> None:
        async with asyncio.timeout(10):
            while not await self.is_ready():  # noqa: ASYNC110 - another program's readiness is polled
                await asyncio.sleep(0.01)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


def at_once(report: PreflightReport) -> Callable[[Request, Progress], Awaitable[PreflightReport]]:
    async def examine(_: Request, __: Progress) -> PreflightReport:
        return report

    return examine


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.PASSED, 0), (Outcome.REJECTED, 3), (Outcome.ERROR, 1)])
async def test_the_exit_code_and_the_last_words_agree(pod: Pod, outcome: Outcome, code: int) -> None:
    async with pod.running(at_once(ended(outcome))) as job:
        await pod.becomes_ready()
        pod.stop.set()
        assert await job == code
    said = pod.last_words()
    assert (said["outcome"], said["key"], said["revision"]) == (outcome.value, KEY, REVISION)


async def test_the_report_is_handed_out_whole(pod: Pod) -> None:
    async with pod.running(at_once(good())):
        await pod.becomes_ready()
        status, text = await pod.fetch()
    assert status == 200
    assert PreflightReport.model_validate_json(text) == good()


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="none"),
        pytest.param("guess", id="a guess"),
        pytest.param(sign(SEED, "another-pod", 1e12), id="another pod's"),
        pytest.param(sign(bytes(32), POD, 1e12), id="another controller's"),
        pytest.param(sign(SEED, POD, 0), id="an old one"),
    ],
)
async def test_nobody_else_gets_the_report(pod: Pod, token: str) -> None:
    async with pod.running(at_once(good())):
        await pod.becomes_ready()
        status, text = await pod.ask("/report", token)
    assert status == 401
    assert REVISION not in text


async def test_the_pod_is_not_ready_while_the_preflight_runs_and_says_how_far_it_is(pod: Pod) -> None:
    go_on = asyncio.Event()

    async def examine(_: Request, progress: Progress) -> PreflightReport:
        progress.ends(phase(PhaseName.LOAD))
        await go_on.wait()
        return good()

    async with pod.running(examine):
        await eventually(lambda: (pod.folder / "termination-log").exists() and "Load" in pod.last_words()["phases"])
        assert not await pod.is_ready()
        assert (await pod.fetch())[0] == 503
        assert pod.last_words()["outcome"] == "Error"
        go_on.set()
        await pod.becomes_ready()


async def test_a_preflight_that_is_terminated_has_no_verdict(pod: Pod) -> None:
    async def examine(_: Request, progress: Progress) -> PreflightReport:
        progress.ends(phase(PhaseName.LOAD))
        await asyncio.Event().wait()
        raise AssertionError

    async with pod.running(examine) as job:
        await eventually(lambda: (pod.folder / "termination-log").exists() and "Load" in pod.last_words()["phases"])
        pod.stop.set()
        assert await job == 1
    said = pod.last_words()
    assert (said["outcome"], said["reason"]) == ("Error", "Interrupted")
    assert said["message"] == "The preflight was cut short after phase Load; it is tried again."


async def test_nor_has_one_that_breaks(pod: Pod) -> None:
    async def examine(_: Request, __: Progress) -> PreflightReport:
        raise ZeroDivisionError

    async with pod.running(examine) as job:
        await asyncio.wait([job])
        assert isinstance(job.exception(), ZeroDivisionError)
    assert pod.last_words()["outcome"] == "Error"


@pytest.mark.parametrize("request_text", ["", "{}", "[]", '{"model": "digits", "target": "nowhere"}'])
async def test_a_request_that_cannot_be_read_is_an_error(pod: Pod, request_text: str) -> None:
    pod.request = request_text
    async with pod.running(at_once(good())) as job:
        assert await job == 1
    said = pod.last_words()
    assert (said["outcome"], said["reason"]) == ("Error", "RequestInvalid")


async def test_what_has_been_fetched_can_be_fetched_again_for_a_while(pod: Pod) -> None:
    async with pod.running(at_once(good())) as job:
        await pod.becomes_ready()
        await pod.fetch()
        await pod.time.advance(LINGER_S - 1)
        assert (await pod.fetch())[0] == 200
        await pod.time.advance(2)
        assert await job == 0


async def test_a_report_that_nobody_fetches_is_not_kept_for_ever(pod: Pod) -> None:
    async with pod.running(at_once(good())) as job:
        await pod.becomes_ready()
        await pod.time.advance(PATIENCE_S - 1)
        assert await pod.is_ready()
        await pod.time.advance(2)
        assert await job == 0
    assert pod.last_words()["outcome"] == "Passed"


async def test_without_a_file_for_last_words_the_report_can_still_be_fetched(pod: Pod) -> None:
    (pod.folder / "termination-log").mkdir()
    async with pod.running(at_once(good())):
        await pod.becomes_ready()
        assert (await pod.fetch())[0] == 200
