"""Importing images: which commands reach containerd."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import Invalid
from plimsoll_dev.cluster import images
from plimsoll_dev.cluster.archive import image_digest, single_program_image


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(single_program_image("localhost/a:1", b"x", "amd64"))
    return path


def fake_ctr(folder: Path, *, known: str = images.MANAGED, status: int = 0) -> list[str]:
    """A ctr that records its arguments and lists every image with the label `known`."""
    script = folder / "ctr"
    script.write_text(f"#!/bin/sh\necho \"$@\" >> {folder}/calls\necho '{known}'\necho refused >&2\nexit {status}\n")
    script.chmod(0o755)
    return [str(script), "--address", "/s"]


def test_an_image_is_imported_tagged_and_named_by_digest(tmp_path: Path, archive: Path):
    by_digest = f"localhost/a@{image_digest(archive)}"
    assert images.import_image(fake_ctr(tmp_path), archive, "localhost/a:1", snapshotter="native") == by_digest
    assert (tmp_path / "calls").read_text().splitlines() == [
        "--address /s --namespace k8s.io images import --base-name localhost/a --digests --snapshotter native -",
        f"--address /s --namespace k8s.io images tag --force {by_digest} localhost/a:1",
        f"--address /s --namespace k8s.io images list name=={by_digest}",
    ]


def test_a_reference_by_digest_needs_no_tag(tmp_path: Path, archive: Path):
    by_digest = f"localhost/a@{image_digest(archive)}"
    assert images.import_image(fake_ctr(tmp_path), archive, by_digest) == by_digest
    assert " tag " not in (tmp_path / "calls").read_text()


def test_a_refused_import_says_why(tmp_path: Path, archive: Path):
    with pytest.raises(Invalid, match=r"ended with 1:\nrefused"):
        images.import_image(fake_ctr(tmp_path, status=1), archive, "localhost/a:1")


def test_an_image_that_the_kubelet_never_learns_of_is_an_error(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(images, "KNOWN_TIMEOUT_S", 0.0)
    with pytest.raises(Invalid, match="did not offer localhost/a@sha256:"):
        images.import_image(fake_ctr(tmp_path, known=""), archive, "localhost/a:1")
