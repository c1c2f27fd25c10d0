"""What the tests of the cluster tooling share."""

from __future__ import annotations

from io import StringIO

import pytest

from plimsoll_dev.cluster.progress import Progress


@pytest.fixture
def progress_log() -> Progress:
    return Progress(StringIO())
