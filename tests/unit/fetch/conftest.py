"""A pod whose folders lie below the test's own."""

from pathlib import Path

import pytest
from tests.support.fetching import Pod


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    return Pod(tmp_path / "pod", monkeypatch)
