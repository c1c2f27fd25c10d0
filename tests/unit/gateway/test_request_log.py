"""Which requests get a line, what is in it, and what happens when nobody takes lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from tests.support.recordings import SUCCEEDED, Sums, Time, route, table

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.recordings import Recordings
from plimsoll.gateway.request_log import MOST_LINES, PAUSE_S, RequestLog

WALL = 1_790_000_000.25


class Output:
    """What was written."""

    def __init__(self) -> None:
        self.text = b""
        self.taken = True

    def write(self, lines: bytes) -> None:
        if not self.taken:
            raise BrokenPipeError
        self.text += lines

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


def log(output: Output, share: float = 1.0, tosses: Sequence[float] = ()) -> RequestLog:
    left = iter(tosses)
    return RequestLog(share, output.write, lambda: WALL, lambda: next(left))


async def written(subject: RequestLog) -> None:
    """Lets it run until it has written what there is, and ends it."""
    task = asyncio.create_task(subject.run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_line_says_what_the_gateway_knows_and_nothing_that_a_client_sent() -> None:
    output = Output()
    subject = log(output)
    subject.note("digits", "digits-1", Outcome.SERVER_FAULT, 0.0125, "digits-1-abc")
    await written(subject)
    assert output.lines == [
        {
            "time": "2026-09-21T14:13:20.250000Z",
            "event": "request",
            "model": "digits",
            "revision": "digits-1",
            "pod": "digits-1-abc",
            "outcome": "server_fault",
            "latency_ms": 12.5,
        }
    ]


async def test_a_share_of_the_successes_and_everything_else() -> None:
    output = Output()
    subject = log(output, 0.5, [0.49, 0.5, 0.9])
    for outcome in (SUCCEEDED, SUCCEEDED, Outcome.SHED, SUCCEEDED, Outcome.CLIENT_FAULT):
        subject.note("digits", "r1", outcome, 0.0, "")
    await written(subject)
    assert [line["outcome"] for line in output.lines] == ["succeeded", "shed", "client_fault"]


async def test_what_has_no_room_is_counted() -> None:
    output = Output()
    subject = log(output)
    for _ in range(MOST_LINES + 3):
        subject.note("digits", "r1", SUCCEEDED, 0.0, "")
    await written(subject)
    *lines, last = output.lines
    assert len(lines) == MOST_LINES
    assert last == {"event": "requests.unwritten", "requests": 3}


async def test_a_closed_output_stops_nothing_and_is_told_of_when_it_is_there_again() -> None:
    output = Output()
    subject = log(output)
    output.taken = False
    subject.note("digits", "r1", SUCCEEDED, 0.0, "")
    await written(subject)
    output.taken = True
    subject.note("digits", "r1", SUCCEEDED, 0.0, "")
    await written(subject)
    assert output.lines[-1] == {"event": "requests.unwritten", "requests": 1}


async def test_lines_are_written_while_it_runs() -> None:
    output, loop, came = Output(), asyncio.get_running_loop(), asyncio.Event()

    def write(lines: bytes) -> None:
        output.write(lines)
        loop.call_soon_threadsafe(came.set)

    subject = RequestLog(1.0, write, lambda: WALL, lambda: 0.0)
    subject.note("digits", "r1", SUCCEEDED, 0.0, "")
    task = asyncio.create_task(subject.run())
    async with asyncio.timeout(100 * PAUSE_S):
        await came.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(output.lines) == 1


@pytest.mark.parametrize("exempt", [False, True])
async def test_every_recording_tells_it(*, exempt: bool) -> None:
    output, time = Output(), Time()
    subject = log(output)
    recordings = Recordings(time.clocks(), Sums(), subject)
    recordings.follow(table(route("digits", ("digits-1", 1000))))
    recording = recordings.of("digits", "digits-1")
    recording.arrived()
    recording.ended(SUCCEEDED, 0.01, "pod", exempt=exempt)
    await written(subject)
    assert [(line["model"], line["revision"], line["pod"]) for line in output.lines] == [("digits", "digits-1", "pod")]
