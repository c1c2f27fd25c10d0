from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.controller.whole_controller import World, world


@pytest.fixture
async def operated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A fake cluster; its tests start controllers in it."""
    async with world(tmp_path) as made:
        monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
        monkeypatch.setenv("POD_NAMESPACE", "default")
        monkeypatch.delenv("CONTEXT", raising=False)
        yield made
