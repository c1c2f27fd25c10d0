"""What is read of a mounted Secret, and when."""

from pathlib import Path

import pytest
from tests.support.mounted_secret import mount

from plimsoll.gateway.mounted import MOST_BYTES, MountedFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def files_of(mounted: MountedFolder) -> dict[str, bytes] | None:
    content = mounted.changed()
    return None if content is None else content.files


def test_it_is_read_once_for_each_version(folder: Path) -> None:
    mount(folder, {"a": b"1", "b": b"2"})
    mounted = MountedFolder(folder)
    assert files_of(mounted) == {"a": b"1", "b": b"2"}
    assert files_of(mounted) is None
    mount(folder, {"b": b"3", "c": b"4"})
    assert files_of(mounted) == {"b": b"3", "c": b"4"}
    assert files_of(mounted) is None


def test_a_secret_without_entries_is_a_version_too(folder: Path) -> None:
    mount(folder, {"a": b"1"})
    mounted = MountedFolder(folder)
    files_of(mounted)
    mount(folder, {})
    assert files_of(mounted) == {}


def test_the_files_of_a_version_are_read_from_its_own_folder(folder: Path) -> None:
    mount(folder, {"a": b"1"})
    content = MountedFolder(folder).changed()
    assert content is not None
    assert (content.folder / "a").read_bytes() == b"1"
    assert content.folder != folder


def test_a_folder_that_nobody_swaps_is_read_when_a_file_changes(folder: Path) -> None:
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    (folder / "inner").mkdir()
    mounted = MountedFolder(folder)
    assert files_of(mounted) == {"a": b"1"}
    assert files_of(mounted) is None
    (folder / "a").write_bytes(b"longer")
    assert files_of(mounted) == {"a": b"longer"}
    (folder / "a").unlink()
    assert files_of(mounted) == {}


def test_a_folder_that_is_not_there_yet_is_read_when_it_is(folder: Path) -> None:
    mounted = MountedFolder(folder)
    with pytest.raises(FileNotFoundError):
        mounted.changed()
    mount(folder, {"a": b"1"})
    assert files_of(mounted) == {"a": b"1"}


def test_a_version_that_could_not_be_read_is_tried_again(folder: Path) -> None:
    mount(folder, {"a": b"1"})
    mounted = MountedFolder(folder)
    (folder / "..data").unlink()
    (folder / "..data").symlink_to("..gone")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            mounted.changed()


def test_a_folder_beyond_every_secret_is_not_read_to_its_end(folder: Path) -> None:
    mount(folder, {"a": b"x" * MOST_BYTES, "b": b"x"})
    with pytest.raises(OSError, match="more than"):
        MountedFolder(folder).changed()
