from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.clocks import HastyClock


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as api:
        yield api


@pytest.fixture
def hasty() -> HastyClock:
    return HastyClock()
