"""Many clients, servers that fail in every way, all at once: nobody gets another's answer, and all arrivals end."""

import asyncio
import random
from contextlib import AsyncExitStack, suppress

from tests.support.http_gateway import Answer, Client, Gateway, gateway, infer, until
from tests.support.scripted_http import Asked, Script, ok, scripted

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.limits import Limits

CLIENTS = 40
REQUESTS = 30
FAULTS = (
    "answer",
    "answer",
    "answer",
    "chunks",
    "close",
    "vanish",
    "reset",
    "half",
    "fail",
    "slow",
    "nonsense",
    "never",
)


def faulty(chance: random.Random) -> Script:
    """Echoes the request's body, or fails."""

    async def script(asked: Asked) -> None:
        body = await asked.read_body()
        fault = chance.choice(FAULTS)
        if fault == "chunks":
            chunk = b"%x\r\n" % len(body) + body + b"\r\n"
            asked.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk)
            await asyncio.sleep(0)
            asked.writer.write(b"0\r\n\r\n")
        elif fault == "vanish":
            asked.writer.close()
        elif fault == "reset":
            asked.reset()
        elif fault == "half":
            asked.writer.write(ok(body)[: chance.randrange(len(ok(body)))])
            asked.writer.close()
        elif fault == "fail":
            asked.writer.write(ok(body).replace(b"200 OK", b"500 Failed"))
        elif fault == "nonsense":
            asked.writer.write(b"\x00" + ok(body))
        elif fault == "never":
            await asked.reader.read()
        else:
            await asyncio.sleep(0.02 if fault == "slow" else 0)
            asked.writer.write(ok(body, b"connection: close\r\n" if fault == "close" else b""))

    return script


async def one_client(subject: Gateway, number: int, chance: random.Random, answers: list[Answer]) -> None:
    """Sends requests whose bodies say whose they are, in pieces or several at once, and sometimes leaves."""
    client = await subject.connect()
    for turn in range(REQUESTS):
        bodies = [
            b"%d/%d/%d;" % (number, turn, nth) * chance.randrange(1, 200) for nth in range(chance.choice([1, 1, 3]))
        ]
        data = b"".join(infer(body) for body in bodies)
        cut = chance.randrange(len(data))
        client.writer.write(data[:cut])
        await asyncio.sleep(chance.choice([0, 0, 0.005]))
        if chance.random() < 0.05:
            client.close()
            client = await subject.connect()
            continue
        client.writer.write(data[cut:])
        if not await read_answers(client, bodies, answers):
            client.close()
            client = await subject.connect()
    client.close()


async def read_answers(client: Client, bodies: list[bytes], answers: list[Answer]) -> bool:
    """Reads the answers to these requests; returns False where the connection ended."""
    for body in bodies:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            answer = await client.answer()
            answers.append(answer)
            if answer.status == 200:
                assert body in answer.body
                assert answer.body in {body, b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"}
            continue
        return False
    return True


async def test_chaos() -> None:
    chance = random.Random(5)  # noqa: S311 - a seed, so that a failure can be repeated
    limits = Limits(response_s=0.3, sweep_s=0.05)
    answers: list[Answer] = []
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(scripted(faulty(chance)))
        others = [
            await stack.enter_async_context(scripted(faulty(chance), f"127.0.0.{last}", first.port)) for last in (3, 4)
        ]
        subject = await stack.enter_async_context(gateway(limits, port=first.port))
        subject.route([first.ip, others[0].ip], [others[1].ip], weight=300)
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(one_client(subject, number, random.Random(number), answers))  # noqa: S311
        await until(lambda: subject.listener.connections == 0)
        records = subject.records
        assert subject.outstanding == 0
        assert all(record.arrivals == len(record.ends) > 0 for record in records.values())
        assert sum(record.rescues for record in records.values()) > 0
        assert {answer.status for answer in answers} == {200, 500, 502, 504}
        seen = {outcome for record in records.values() for outcome in record.outcomes}
        wanted = {Outcome.SUCCEEDED, Outcome.SERVER_FAULT, Outcome.BROKEN, Outcome.TIMED_OUT, Outcome.CANCELLED}
        assert wanted <= seen
