"""Image archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.archive import image_digest, repository_of, single_program_image


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def oci_archive(path: Path, digests: list[str]) -> Path:
    index = json.dumps({"schemaVersion": 2, "manifests": [{"digest": digest} for digest in digests]}).encode()
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("index.json")
        member.size = len(index)
        tar.addfile(member, io.BytesIO(index))
    return path


def test_the_smallest_image_is_complete_and_every_blob_has_its_name():
    files = members(single_program_image("local/pause:1", b"ELF", "amd64"))
    blobs = {name.rpartition("/")[2]: content for name, content in files.items() if name.startswith("blobs/")}
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in blobs.items())
    (listed,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blobs[listed["digest"].removeprefix("sha256:")])
    config = json.loads(blobs[manifest["config"]["digest"].removeprefix("sha256:")])
    layer = gzip.decompress(blobs[manifest["layers"][0]["digest"].removeprefix("sha256:")])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["User"] == "65535:65535"
    assert members(layer) == {"program": b"ELF"}
    assert listed["annotations"] == {"io.containerd.image.name": "local/pause:1"}


def test_equal_input_gives_equal_bytes():
    assert single_program_image("a:1", b"x", "amd64") == single_program_image("a:1", b"x", "amd64")
    assert single_program_image("a:1", b"x", "amd64") != single_program_image("a:1", b"x", "arm64")


def test_the_digest_of_an_archive_is_that_of_its_manifest(tmp_path: Path):
    assert image_digest(oci_archive(tmp_path / "a.tar", ["sha256:aa"])) == "sha256:aa"


def test_an_image_listed_under_two_names_is_one_image(tmp_path: Path):
    assert image_digest(oci_archive(tmp_path / "a.tar", ["sha256:aa", "sha256:aa"])) == "sha256:aa"


@pytest.mark.parametrize("digests", [[], ["sha256:aa", "sha256:bb"]])
def test_an_archive_must_hold_one_image(tmp_path: Path, digests: list[str]):
    with pytest.raises(Invalid, match=rf"a\.tar holds {len(digests)} images"):
        image_digest(oci_archive(tmp_path / "a.tar", digests))


def test_another_format_is_refused_with_the_command_that_writes_the_right_one(tmp_path: Path):
    docker = tmp_path / "docker.tar"
    with tarfile.open(docker, "w") as tar:
        tar.addfile(tarfile.TarInfo("manifest.json"))
    (tmp_path / "text.tar").write_text("no archive")
    for path in (docker, tmp_path / "text.tar"):
        with pytest.raises(Invalid, match="oci-archive:FILE"):
            image_digest(path)


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("localhost/probe:1", "localhost/probe"),
        ("localhost/probe", "localhost/probe"),
        ("localhost:5000/probe", "localhost:5000/probe"),
        ("localhost:5000/a/probe:1.2", "localhost:5000/a/probe"),
        ("localhost/probe@sha256:aa", "localhost/probe"),
        ("localhost/probe:1@sha256:aa", "localhost/probe"),
    ],
)
def test_the_repository_of_a_reference(reference: str, repository: str):
    assert repository_of(reference) == repository
