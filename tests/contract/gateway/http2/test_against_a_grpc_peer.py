"""Damaged calls to the gateway and, the same bytes, to the gRPC server behind it: what passes here passes there.

The other way round is not asked for: that server forgives what the gateway refuses. The same calls in every run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from hpack import Encoder
from tests.support.grpc_gateway import eventually, revision, running_gateway, table
from tests.support.grpc_pods import running_pods
from tests.support.http2_peer import REQUEST, client_of, message

from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PRIORITY_FLAG,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
)

CALLS = 240
AT_ONCE = 24
FLAGS = {HEADERS: (END_STREAM, END_HEADERS, PADDED, PRIORITY_FLAG), CONTINUATION: (END_HEADERS,)}
"""Those that mean something; on other frames the first. Flags that mean nothing have to be ignored (RFC 9113, section
4.1), and bodies may be padded (6.1); this peer refuses both."""
Frame = tuple[int, int, int, bytes]
Damage = Callable[[random.Random, list[Frame]], None]


def a_call() -> list[Frame]:
    block, whole = Encoder().encode(REQUEST), message(b"payload")
    return [
        (SETTINGS, 0, 0, b""),
        (HEADERS, END_HEADERS, 1, block),
        (DATA, 0, 1, whole[:9]),
        (DATA, END_STREAM, 1, whole[9:]),
    ]


def flip_a_bit(dice: random.Random, call: list[Frame]) -> None:
    at = dice.choice([number for number, each in enumerate(call) if each[3]])
    kind, flags, stream, payload = call[at]
    changed = bytearray(payload)
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    call[at] = kind, flags, stream, bytes(changed)


def change_flags(dice: random.Random, call: list[Frame]) -> None:
    at = dice.randrange(len(call))
    kind, flags, stream, payload = call[at]
    call[at] = kind, flags ^ dice.choice(FLAGS.get(kind, (END_STREAM,))), stream, payload


def change_the_stream(dice: random.Random, call: list[Frame]) -> None:
    at = dice.randrange(len(call))
    kind, flags, _, payload = call[at]
    call[at] = kind, flags, dice.choice((0, 1, 2, 3, (1 << 31) - 1)), payload


def repeat_one(dice: random.Random, call: list[Frame]) -> None:
    call.insert(dice.randrange(len(call) + 1), dice.choice(call))


def leave_one_out(dice: random.Random, call: list[Frame]) -> None:
    if len(call) > 1:
        call.pop(dice.randrange(len(call)))


def change_places(dice: random.Random, call: list[Frame]) -> None:
    dice.shuffle(call)


def put_another_between(dice: random.Random, call: list[Frame]) -> None:
    others = [
        (PING, 0, 0, bytes(8)),
        (PRIORITY, 0, 1, bytes(5)),
        (PRIORITY, 0, 3, b"\0\0\0\1\x10"),
        (WINDOW_UPDATE, 0, dice.choice((0, 1)), frames.window_update(0, 1000)[9:]),
        (SETTINGS, 0, 0, b"\0\4\0\1\0\0"),
        (0x42, 0, dice.choice((0, 1)), b"unknown"),
        (DATA, 0, 1, b""),
    ]
    call.insert(dice.randrange(1, len(call) + 1), dice.choice(others))


def continue_the_head(dice: random.Random, call: list[Frame]) -> None:
    at = next((number for number, each in enumerate(call) if each[0] == HEADERS), None)
    if at is not None:
        _, flags, stream, block = call[at]
        cut = dice.randrange(len(block) + 1)
        rest = (CONTINUATION, END_HEADERS, stream, block[cut:])
        call[at : at + 1] = [(HEADERS, flags & ~END_HEADERS, stream, block[:cut]), rest]


DAMAGES: list[Damage] = [
    *(flip_a_bit, change_flags, change_the_stream, repeat_one),
    *(leave_one_out, change_places, put_another_between, continue_the_head),
]


def damaged(seed: int) -> bytes:
    dice, call = random.Random(seed), a_call()  # noqa: S311 - the same calls in every run
    for damage in dice.choices(DAMAGES, k=dice.choice((1, 1, 2))):
        damage(dice, call)
    return PREFACE + b"".join(frame(*each) for each in call)


async def answer_of(port: int, data: bytes, seconds: float) -> bytes | None:
    """The message that the call is answered with; None where it has no success."""
    async with client_of(port) as peer:
        peer.send(data)
        try:
            said = await peer.answer(1, seconds)
        except (TimeoutError, AssertionError):
            return None
        return peer.data.get(1, b"") if said.get("grpc-status") == "0" else None


async def test_what_passes_passes_at_the_peer_too_and_says_the_same() -> None:
    async with running_pods("a") as pods:
        routes, ports = table(revision("r1", "a")), {"a": pods["a"].port}
        async with running_gateway(routes, ports) as gateway:
            calls, passed = [damaged(seed) for seed in range(CALLS)], 0
            for start in range(0, CALLS, AT_ONCE):
                batch = calls[start : start + AT_ONCE]
                ours = await asyncio.gather(*(answer_of(gateway.port, call, 0.5) for call in batch))
                for seed, (call, answer) in enumerate(zip(batch, ours, strict=True), start):
                    if answer is not None:
                        assert await answer_of(pods["a"].port, call, 10.0) == answer, f"call {seed}: {call!r}"
                        passed += 1
            assert passed > CALLS / 10, "of calls that are all refused nothing can be compared"
            assert await answer_of(gateway.port, PREFACE + b"".join(frame(*each) for each in a_call()), 10.0)
            await eventually(lambda: gateway.outstanding == 0, "a call was left behind")
            await eventually(lambda: not gateway.board.clients, "a client was left behind")
            record = gateway.record("r1")
            assert len(record.ends) == record.arrivals
