"""The key by which reports are fetched: made once, kept, and never a reason not to work."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from tests.contract.controller.whole_controller import World

from plimsoll.controller.report_key import ReportKey, load_report_key
from plimsoll.core.tokens import public_key, refusal, sign
from plimsoll.kube.client import Client
from plimsoll.kube.connection import open_connection
from plimsoll.kube.resources import SECRETS

SECRET = ("default", "plimsoll-report-key")
EMPTY = {"metadata": {"namespace": SECRET[0], "name": SECRET[1]}}


async def load(world: World) -> ReportKey:
    async with Client(open_connection(world.api.url)) as client:
        return await load_report_key(client, SECRET, world.clock())


def opens(key: ReportKey) -> bool:
    return refusal(sign(key.seed, "pod", 0), key.public, "pod", 0) is None


async def test_an_empty_secret_is_filled_once(operated: World) -> None:
    operated.api.cluster.add(SECRETS, EMPTY)
    first = await load(operated)
    writes = operated.journal.writes.copy()
    assert opens(first)
    assert await load(operated) == first
    assert operated.journal.writes == writes == [f"patch Secret {SECRET[1]}"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"other": "eA=="}, id="something else"),
        pytest.param({"ed25519.seed": "eA==", "ed25519.pub": "eA=="}, id="too short"),
        pytest.param({"ed25519.seed": "%%%", "ed25519.pub": "eA=="}, id="not base64"),
        pytest.param({"ed25519.seed": base64.b64encode(bytes(32)).decode()}, id="half"),
    ],
)
async def test_a_secret_that_somebody_damaged_is_filled_anew(operated: World, data: dict[str, str]) -> None:
    operated.api.cluster.add(SECRETS, {**EMPTY, "data": data})
    key = await load(operated)
    assert opens(key)
    assert await load(operated) == key


async def test_of_two_that_fill_it_at_once_both_have_the_same(operated: World) -> None:
    operated.api.cluster.add(SECRETS, EMPTY)
    others = bytes(range(32))

    def fill(obj: dict[str, Any]) -> None:
        public = public_key(others).encode()
        obj["data"] = {
            "ed25519.seed": base64.b64encode(others).decode(),
            "ed25519.pub": base64.b64encode(public).decode(),
        }

    def meanwhile(asked: Any) -> bool:
        if asked.verb == "patch" and asked.kind == "Secret":
            operated.api.cluster.change(SECRETS, *SECRET, fill)
        return False

    operated.journal.cut(where=meanwhile)
    assert (await load(operated)).seed == others


async def test_without_a_secret_the_key_lives_as_long_as_the_process(operated: World) -> None:
    first, second = await load(operated), await load(operated)
    assert opens(first)
    assert opens(second)
    assert first != second


async def test_an_api_server_that_fails_is_asked_again(operated: World) -> None:
    operated.api.cluster.add(SECRETS, EMPTY)
    fault = operated.journal.fail(500, times=2)
    loading = asyncio.create_task(load(operated))
    await operated.until(loading.done)
    assert fault.done.is_set()
    assert opens(loading.result())
