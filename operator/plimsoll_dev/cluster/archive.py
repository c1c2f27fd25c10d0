"""Image archives in OCI layout: what is in one, and the smallest one that a cluster needs.

OCI layout is what `buildah push ... oci-archive:FILE` and `docker save` (25 and later) write. The older Docker format
does not carry the manifest, so its digest, by which pods name images, would depend on who imports it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plimsoll.errors import Invalid

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def image_digest(archive: Path) -> str:
    """The digest of the one image in an archive.

    Raises:
        Invalid: the file is no OCI archive, or holds several images.
    """
    try:
        with tarfile.open(archive) as tar:
            index = json.loads(_member(tar, "index.json"))
    except (KeyError, tarfile.TarError) as error:
        message = (
            f"{archive.name} is not an OCI image archive: {error}. Write it with 'buildah push ... oci-archive:FILE'."
        )
        raise Invalid("NotAnImageArchive", message) from error
    digests = {manifest["digest"] for manifest in index["manifests"]}
    if len(digests) != 1:
        raise Invalid("NotOneImage", f"{archive.name} holds {len(digests)} images. Write one image per archive.")
    return str(digests.pop())


def repository_of(reference: str) -> str:
    """A reference without its tag or digest; a port is no tag."""
    without_digest = reference.partition("@")[0]
    head, colon, tail = without_digest.rpartition(":")
    return head if colon and "/" not in tail else without_digest


def single_program_image(name: str, program: bytes, architecture: str) -> bytes:
    """An image whose only file is `/program`, run as user 65535: the same bytes for the same input."""
    layer = _tar({"program": program}, mode=0o755)
    packed = gzip.compress(layer, mtime=0)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": ["/program"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    blobs = {_digest(packed): packed}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(CONFIG, _json(config), blobs),
        "layers": [{"mediaType": LAYER, "digest": _digest(packed), "size": len(packed)}],
    }
    listed = _descriptor(MANIFEST, _json(manifest), blobs) | {"annotations": {"io.containerd.image.name": name}}
    files = {f"blobs/sha256/{digest.removeprefix('sha256:')}": content for digest, content in blobs.items()}
    files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
    files["index.json"] = _json({"schemaVersion": 2, "manifests": [listed]})
    return _tar(files, mode=0o644)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


def _descriptor(media_type: str, content: bytes, blobs: dict[str, bytes]) -> dict[str, Any]:
    blobs[_digest(content)] = content
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _tar(files: Mapping[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(files[name]), mode
            tar.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()
