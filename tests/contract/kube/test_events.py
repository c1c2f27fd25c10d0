"""Kubernetes Events: aggregated, bounded, and never in the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.clocks import HastyClock, eventually

from plimsoll.kube.client import Client
from plimsoll.kube.connection import open_connection
from plimsoll.kube.events import EventRecorder, EventSettings, Regarding
from plimsoll.kube.resources import EVENTS, MODELDEPLOYMENTS

DIGITS = Regarding(MODELDEPLOYMENTS, ("vision", "digits"), "uid-1")


@pytest.fixture
def recorder(client: Client, hasty: HastyClock) -> EventRecorder:
    return EventRecorder(client, EventSettings(instance="plimsoll-0"), hasty.clock)


def events(api: FakeApi) -> list[dict[str, Any]]:
    return api.cluster.all(EVENTS)


async def test_what_kubectl_describe_reads(api: FakeApi, recorder: EventRecorder) -> None:
    recorder.record(DIGITS, "Warning", "DigestMismatch", "The artefact is not the one in spec.model.uri.")
    await recorder.flush()
    (event,) = events(api)
    assert event["metadata"]["namespace"] == "vision"
    assert event["metadata"]["name"].startswith("digits.")
    assert event["involvedObject"] == {
        "apiVersion": "plimsoll.dev/v1alpha1",
        "kind": "ModelDeployment",
        "namespace": "vision",
        "name": "digits",
        "uid": "uid-1",
    }
    assert {key: event[key] for key in ("type", "reason", "message", "count", "firstTimestamp", "lastTimestamp")} == {
        "type": "Warning",
        "reason": "DigestMismatch",
        "message": "The artefact is not the one in spec.model.uri.",
        "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    assert event["source"] == {"component": "plimsoll"}
    assert (event["reportingComponent"], event["reportingInstance"]) == ("plimsoll", "plimsoll-0")


async def test_a_repeated_event_is_one_object_with_a_count(
    api: FakeApi, recorder: EventRecorder, hasty: HastyClock
) -> None:
    for _ in range(3):
        recorder.record(DIGITS, "Normal", "Promoted", "v2 serves.")
        await recorder.flush()
        hasty.now += 60
    (event,) = events(api)
    assert event["count"] == 3
    assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z")


async def test_repeats_within_half_a_minute_are_written_once(
    api: FakeApi, recorder: EventRecorder, hasty: HastyClock
) -> None:
    for _ in range(100):
        recorder.record(DIGITS, "Normal", "Waiting", "The registry does not answer.")
        await recorder.flush()
        hasty.now += 0.1
    assert api.counters.writes == 1
    hasty.now += 30
    await recorder.flush()
    (event,) = events(api)
    assert event["count"] == 100
    assert api.counters.writes == 2


@pytest.mark.parametrize(("uid", "reason", "message"), [("uid-2", "A", "x"), ("uid-1", "B", "x"), ("uid-1", "A", "y")])
async def test_another_object_reason_or_message_is_another_event(
    api: FakeApi, recorder: EventRecorder, uid: str, reason: str, message: str
) -> None:
    recorder.record(DIGITS, "Normal", "A", "x")
    recorder.record(Regarding(MODELDEPLOYMENTS, ("vision", "digits"), uid), "Normal", reason, message)
    await recorder.flush()
    assert len(events(api)) == 2


async def test_the_count_goes_on_after_a_restart(api: FakeApi, client: Client, hasty: HastyClock) -> None:
    for _ in range(2):
        recorder = EventRecorder(client, clock=hasty.clock)
        recorder.record(DIGITS, "Normal", "Promoted", "v2 serves.")
        await recorder.flush()
    (event,) = events(api)
    assert event["count"] == 2


async def test_an_event_that_expired_is_made_anew(api: FakeApi, recorder: EventRecorder, hasty: HastyClock) -> None:
    recorder.record(DIGITS, "Normal", "Promoted", "v2 serves.")
    await recorder.flush()
    (event,) = events(api)
    api.cluster.drop(EVENTS, "vision", event["metadata"]["name"])
    hasty.now += 7200
    recorder.record(DIGITS, "Normal", "Promoted", "v2 serves.")
    await recorder.flush()
    (again,) = events(api)
    assert again["count"] == 1


async def test_one_object_cannot_flood(api: FakeApi, recorder: EventRecorder, hasty: HastyClock) -> None:
    for number in range(40):
        recorder.record(DIGITS, "Normal", "Changing", f"message {number}")
    await recorder.flush()
    assert len(events(api)) == 25
    assert recorder.dropped == 15
    recorder.record(Regarding(MODELDEPLOYMENTS, ("vision", "other"), "uid-2"), "Normal", "A", "heard all the same")
    await recorder.flush()
    assert len(events(api)) == 26
    hasty.now += 60
    recorder.record(DIGITS, "Normal", "Changing", "one more a minute")
    await recorder.flush()
    assert len(events(api)) == 27


async def test_memory_is_bounded(client: Client, hasty: HastyClock) -> None:
    recorder = EventRecorder(client, EventSettings(max_remembered=10, max_pending=5), hasty.clock)
    for number in range(100):
        recorder.record(Regarding(MODELDEPLOYMENTS, ("ns", f"m{number}"), f"u{number}"), "Normal", "A", "x")
    assert recorder.dropped == 95
    assert len(recorder._series) <= 10  # noqa: SLF001 - the bound has no other sign
    assert len(recorder._budgets) <= 10  # noqa: SLF001


async def test_a_long_message_is_cut(api: FakeApi, recorder: EventRecorder) -> None:
    recorder.record(DIGITS, "Normal", "A", "x" * 5000)
    await recorder.flush()
    (event,) = events(api)
    assert len(event["message"]) == 1024
    assert event["message"].endswith("x…")


@pytest.mark.parametrize("status", [403, 409, 422, 500])
async def test_a_refusal_is_counted_and_forgotten(api: FakeApi, recorder: EventRecorder, status: int) -> None:
    api.faults.fail(status, reason="Refused")
    recorder.record(DIGITS, "Normal", "A", "x")
    await recorder.flush()
    assert (recorder.dropped, recorder.written) == (1, 0)


async def test_the_loop_survives_an_outage_and_recording_never_waits(api: FakeApi, recorder: EventRecorder) -> None:
    task = asyncio.create_task(recorder.run())
    await api.stop()
    recorder.record(DIGITS, "Normal", "Lost", "nobody hears this")
    await eventually(lambda: recorder.dropped == 1)
    await api.start()
    recorder.record(DIGITS, "Normal", "Heard", "but this")
    await eventually(lambda: [event["reason"] for event in events(api)] == ["Heard"])
    task.cancel()
    await asyncio.wait([task])


async def test_a_hanging_server_delays_only_events(api: FakeApi, hasty: HastyClock) -> None:
    async with Client(open_connection(api.url), clock=hasty.clock) as client:
        recorder = EventRecorder(client, clock=hasty.clock)
        task = asyncio.create_task(recorder.run())
        api.faults.hang(3600, times=None)
        recorder.record(DIGITS, "Normal", "A", "x")
        await eventually(lambda: api.counters.requests["create Event"] == 1)
        for number in range(5):
            recorder.record(DIGITS, "Normal", "B", f"{number}")
        task.cancel()
        await asyncio.wait([task])
