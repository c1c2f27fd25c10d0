from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.clocks import HastyClock

from plimsoll.kube.client import Client, ClientSettings
from plimsoll.kube.connection import open_connection


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as api:
        yield api


@pytest.fixture
def hasty() -> HastyClock:
    return HastyClock()


@pytest.fixture
async def client(api: FakeApi, hasty: HastyClock) -> AsyncIterator[Client]:
    """A client whose pauses take no time, and whose timeouts do."""
    async with Client(open_connection(api.url), ClientSettings(timeout_s=5), hasty.clock) as client:
        yield client
