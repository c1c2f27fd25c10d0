"""A model that fails is taken from its users by the gateway alone: over real sockets, with nobody else there."""

from collections.abc import Sequence

import pytest
from tests.support.http_gateway import Gateway, gateway, infer, pods, until
from tests.support.scripted_http import Asked, never, ok, saying, scripted

from plimsoll.api.degradation import KillAction, KillSwitch
from plimsoll.core.kill_switch.policy import kill_policy_of
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.ladder import Ladder
from plimsoll.core.routing.table import ModelRoute, RevisionRoute, RouteTable

FAILS = b'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 15\r\n\r\n{"error":"boom"}'[:-1]
WRONG = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"


def follow(
    subject: Gateway,
    stable: Sequence[str],
    action: KillAction,
    *,
    small: Sequence[str] = (),
    candidate: Sequence[str] = (),
) -> None:
    """Routes `digits`, whose switch trips at 20 % of at least 10 requests, and `small`, which has the same switch."""
    kill = kill_policy_of(KillSwitch(error_rate="20%", window="10s", min_requests=10, action=action))
    second = RevisionRoute("r2", 500, pods(candidate)) if candidate else None
    first = RevisionRoute("r1", 500 if candidate else 1000, pods(stable))
    digits = ModelRoute("digits", "d", 1, stable=first, candidate=second, ladder=Ladder("small", kill=kill))
    stand_in = ModelRoute("small", "s", 1, stable=RevisionRoute("s1", 1000, pods(small)), ladder=Ladder(kill=kill))
    subject.targets.apply(RouteTable({"digits": digits, "small": stand_in}))


async def echo(asked: Asked) -> None:
    await asked.read_body()
    asked.writer.write(ok(asked.body))


@pytest.mark.parametrize("action", [KillAction.STOPPED, KillAction.FALLBACK, KillAction.ALERT])
async def test_the_request_after_the_one_that_is_too_much(action: KillAction) -> None:
    async with (
        scripted(saying(FAILS)) as bad,
        scripted(echo, "127.0.0.3", bad.port) as small,
        gateway(port=bad.port) as subject,
    ):
        follow(subject, [bad.ip], action, small=[small.ip])
        told: list[bool] = []
        subject.switches.told = lambda: told.append(True)
        client = await subject.connect()
        answers = [(await client.ask(infer())).status for _ in range(10)]
        assert answers == [500] * 10
        await until(lambda: bool(told))
        after = await client.ask(infer())
        client.close()
        match action:
            case KillAction.STOPPED:
                assert (after.status, after.field("retry-after"), len(bad.asked)) == (503, "10", 10)
                assert b"the kill switch of digits has tripped: 10 of 10 requests failed" in after.body
            case KillAction.FALLBACK:
                said = after.field("x-plimsoll-degraded")
                assert (after.status, said) == (200, "fallback; model=small; reason=kill-switch")
            case KillAction.ALERT:
                assert (after.status, len(bad.asked)) == (500, 11)
        assert subject.records["r1"].outcomes[10:] == [
            Outcome.SERVER_FAULT if action is KillAction.ALERT else Outcome.SHED
        ]


async def test_a_pod_that_breaks_off_trips_it() -> None:
    async def reset(asked: Asked) -> None:
        await asked.read_body()
        asked.reset()

    async with scripted(reset) as bad, gateway(port=bad.port) as subject:
        follow(subject, [bad.ip], KillAction.STOPPED)
        assert [(await subject.ask(infer())).status for _ in range(11)] == [502] * 10 + [503]


async def test_what_clients_do_wrong_never_trips_it() -> None:
    async with scripted(saying(WRONG)) as server, gateway(port=server.port) as subject:
        follow(subject, [server.ip], KillAction.STOPPED)
        assert {(await subject.ask(infer())).status for _ in range(20)} == {400}
        follow(subject, [], KillAction.STOPPED)
        assert {(await subject.ask(infer())).status for _ in range(20)} == {503}
        assert subject.switches.trips() == {}


async def test_a_candidate_whose_failures_stable_makes_good_is_the_roll_outs_business() -> None:
    async with (
        scripted(saying(FAILS)) as bad,
        scripted(echo, "127.0.0.3", bad.port) as good,
        gateway(port=bad.port) as subject,
    ):
        follow(subject, [good.ip], KillAction.STOPPED, candidate=[bad.ip])
        assert {(await subject.ask(infer())).status for _ in range(60)} == {200}
        assert bad.asked
        assert subject.switches.trips() == {}


async def test_what_the_fallback_fails_to_answer_does_not_trip_its_own_switch() -> None:
    async with (
        scripted(saying(FAILS)) as bad,
        scripted(saying(FAILS), "127.0.0.3", bad.port) as small,
        gateway(port=bad.port) as subject,
    ):
        follow(subject, [bad.ip], KillAction.FALLBACK, small=[small.ip])
        assert {(await subject.ask(infer())).status for _ in range(40)} == {500}
        assert len(small.asked) == 30
        assert list(subject.switches.trips()) == ["d"]


async def test_calls_that_are_no_inference_count_for_nothing() -> None:
    async with scripted(saying(FAILS)) as bad, gateway(port=bad.port) as subject:
        follow(subject, [bad.ip], KillAction.STOPPED)
        ready = b"GET /v2/models/digits/ready HTTP/1.1\r\nHost: digits\r\n\r\n"
        assert {(await subject.ask(ready)).status for _ in range(20)} == {500}


async def test_clients_without_patience_trip_nothing() -> None:
    async with scripted(never) as slow, gateway(port=slow.port) as subject:
        follow(subject, [slow.ip], KillAction.STOPPED)
        hurried = infer(head=b"X-Plimsoll-Timeout-Ms: 5\r\n")
        assert {(await subject.ask(hurried)).status for _ in range(15)} == {504}
        assert subject.switches.trips() == {}
