"""Manifests: what an artefact in a registry consists of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from plimsoll.api.vocabulary import DIGEST_PATTERN
from plimsoll.errors import Invalid
from plimsoll.fetch.archives import ArchiveKind
from plimsoll.fetch.paths import SafeNames

ACCEPT: Final = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
)
TITLE: Final = "org.opencontainers.image.title"
_UNPACK: Final = "io.deis.oras.content.unpack"  # written by `oras push` for a folder
_DIGEST: Final = re.compile(DIGEST_PATTERN)
_MAX_LAYERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Layer:
    """One blob: a file named `path`, or an archive to unpack."""

    digest: str
    size: int
    path: str
    archive: ArchiveKind | None


def parse_manifest(data: bytes) -> tuple[Layer, ...]:
    """Read the layers of a manifest.

    Raises:
        Invalid: `UnsupportedArtifact`, or `UnsafeArchive` for a file name that leads elsewhere.
    """
    try:
        manifest: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _unsupported("is not JSON") from error
    if not isinstance(manifest, dict):
        raise _unsupported("is not an object")
    if "manifests" in manifest:
        raise _unsupported(
            "is an index of several platforms, and which one a node would get is not fixed by its digest. Use the "
            "digest of the single manifest"
        )
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not 1 <= len(layers) <= _MAX_LAYERS:
        raise _unsupported(f"has no layers, or more than {_MAX_LAYERS}")
    names = SafeNames("the manifest")
    return tuple(_layer(layer, names) for layer in layers)


def _layer(layer: Any, names: SafeNames) -> Layer:
    try:
        digest, size = layer["digest"], layer["size"]
        media_type: str = layer.get("mediaType", "")
        annotations: Mapping[str, str] = layer.get("annotations") or {}
        title = annotations.get(TITLE, "")
        well_formed = _DIGEST.fullmatch(digest) and type(size) is int and size >= 0
        unpack = annotations.get(_UNPACK) == "true" or not title
    except (KeyError, TypeError, AttributeError) as error:
        raise _unsupported("has a malformed layer") from error
    if not well_formed:
        raise _unsupported("has a layer without a sha256 digest and a size")
    if not unpack:
        return Layer(digest, size, names.file(title), None)
    archive = _archive(media_type)
    if archive is None:
        raise _unsupported(
            f"has a layer of the type '{media_type[:80]}' that is neither a file (annotation {TITLE}) nor a tar or "
            f"tar+gzip archive"
        )
    return Layer(digest, size, "", archive)


def _archive(media_type: str) -> ArchiveKind | None:
    if media_type.endswith(("tar+gzip", "tar.gzip")):
        return ArchiveKind.TAR_GZ
    return ArchiveKind.TAR if media_type.endswith("tar") else None


def _unsupported(what: str) -> Invalid:
    return Invalid("UnsupportedArtifact", f"The manifest spec.model.uri names {what}.")
