"""Two limits: what the pod may store, and what the node has left."""

import os
from pathlib import Path

import pytest

from plimsoll.errors import Invalid
from plimsoll.fetch.storage import LIMIT_FIELD, Storage

GIB = 2**30


@pytest.fixture
def node_with_one_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (4096, 4096, 0, 0, GIB // 4096, 0, 0, 0, 0, 255)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(sizes))


@pytest.mark.usefixtures("node_with_one_gib")
@pytest.mark.parametrize(
    ("limit", "size", "says"),
    [
        (100, 101, f"at least 101 bytes, but {LIMIT_FIELD} allows 100"),
        (2 * GIB, GIB + 1, "the node has 1.0 GiB for it"),
        (None, GIB + 1, "the node has 1.0 GiB for it"),
    ],
)
def test_the_tighter_limit_is_named(tmp_path: Path, limit: int | None, size: int, says: str) -> None:
    with pytest.raises(Invalid) as before:
        Storage(tmp_path, limit).require(size)
    with pytest.raises(Invalid) as while_writing:
        Storage(tmp_path, limit).wrote(size)
    for error in (before.value, while_writing.value):
        assert error.reason == "StorageTooSmall"
        assert says in error.message


@pytest.mark.usefixtures("node_with_one_gib")
def test_what_lies_there_already_counts(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(bytes(60))
    storage = Storage(tmp_path, 100)
    assert storage.remaining == 40
    storage.wrote(40)
    storage.freed(60)
    storage.require(60)


@pytest.mark.usefixtures("node_with_one_gib")
def test_a_model_that_only_just_fits_is_refused_because_logs_count_too(tmp_path: Path) -> None:
    storage = Storage(tmp_path, 100, reserved=20)
    storage.require(80)
    with pytest.raises(Invalid, match=f"at least 101 bytes, but {LIMIT_FIELD} allows 100"):
        storage.require(81)
