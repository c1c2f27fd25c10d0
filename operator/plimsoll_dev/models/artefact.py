"""Packages the files of a model as an OCI artefact whose digest depends on their content and names only.

Manifest: artifactType `application/vnd.plimsoll.model.v1`, the empty config, and one layer per file, sorted by name,
which the annotation `org.opencontainers.image.title` carries. The annotation `created` is the epoch, because any other
time would give equal content another digest.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plimsoll_dev.models.catalogue import GOLDEN_FILE, MODEL_FILE, CataloguedModel

ARTIFACT_TYPE = "application/vnd.plimsoll.model.v1"
FILE_TYPE = "application/vnd.plimsoll.model.file.v1"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY_CONTENT = b"{}"
CREATED = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Layer:
    """One file of the artefact; `size` in bytes."""

    title: str
    file: Path
    digest: str
    size: int

    def descriptor(self) -> dict[str, Any]:
        """What the manifest says about it."""
        return {
            "annotations": {"org.opencontainers.image.title": self.title},
            "digest": self.digest,
            "mediaType": FILE_TYPE,
            "size": self.size,
        }


@dataclass(frozen=True, slots=True)
class Artefact:
    """A packaged model: the manifest's bytes, which its digest is of, and the layers they name."""

    manifest: bytes
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """The digest a ModelDeployment pins."""
        return digest_of(self.manifest)


def package(files: Mapping[str, Path]) -> Artefact:
    """Package files under the relative names given; neither the order nor the files' times matter."""
    layers = tuple(_layer(title, file) for title, file in sorted(files.items()))
    manifest = {
        "annotations": {"org.opencontainers.image.created": CREATED},
        "artifactType": ARTIFACT_TYPE,
        "config": {"digest": digest_of(EMPTY_CONTENT), "mediaType": EMPTY_TYPE, "size": len(EMPTY_CONTENT)},
        "layers": [layer.descriptor() for layer in layers],
        "mediaType": MANIFEST_TYPE,
        "schemaVersion": 2,
    }
    return Artefact(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode(), layers)


def package_model(model: CataloguedModel, built: Path | None = None) -> Artefact:
    """Package a model as its files are now; `built` is the folder with `model.onnx` where that is not committed."""
    return package({MODEL_FILE: (built or model.path) / MODEL_FILE, GOLDEN_FILE: model.path / GOLDEN_FILE})


def digest_of(content: bytes) -> str:
    """The OCI digest of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _layer(title: str, file: Path) -> Layer:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Layer(title, file, f"sha256:{digest}", file.stat().st_size)
