"""Models in a registry (`oci://`): a manifest by digest, and its layers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.fetch import digests
from plimsoll.fetch.archives import unpack
from plimsoll.fetch.credentials import Credential
from plimsoll.fetch.download import Waits, Wanted, download
from plimsoll.fetch.limits import MAX_MANIFEST_BYTES, Patience
from plimsoll.fetch.oci_auth import RegistrySession, read_bounded
from plimsoll.fetch.oci_manifest import ACCEPT, Layer, parse_manifest
from plimsoll.fetch.paths import SafeNames
from plimsoll.fetch.references import OciReference
from plimsoll.fetch.transport import Transient, Transport, check_status
from plimsoll.fetch.workspace import Work

if TYPE_CHECKING:
    import httpx


class OciSource:
    """One artefact of a registry.

    Args:
        transport: Carries the requests.
        reference: Where it is.
        digest: Of its manifest.
        credential: For the registry.
    """

    def __init__(self, transport: Transport, reference: OciReference, digest: str, credential: Credential) -> None:
        self._session = RegistrySession(transport, reference.host, reference.repository, credential)
        self._name = f"{reference.host}/{reference.repository}"
        self._digest = digest

    def fetch(self, work: Work) -> int:
        """Bring every layer, then give the files their names."""
        layers = parse_manifest(self._manifest(work))
        distinct = {layer.digest: layer for layer in layers}.values()
        total = sum(layer.size for layer in distinct)
        work.progress.expect(total)
        work.storage.require(sum(layer.size - _present(layer, work.workspace.blobs) for layer in distinct))
        blobs = {layer.digest: self._blob(layer, work) for layer in distinct}
        names = SafeNames("the layers")
        for layer in layers:
            _place(layer, blobs[layer.digest], names, work)
        return total

    def _manifest(self, work: Work) -> bytes:
        """Read the manifest; an earlier attempt's copy does, so that a finished download needs no registry."""
        kept = work.workspace.blobs / self._digest.removeprefix(digests.PREFIX)
        if kept.exists() and digests.of_file(kept) == self._digest:
            return kept.read_bytes()
        data = read_manifest(self._session, self._digest, f"The manifest of {self._name}", work.patience)
        found = digests.of_bytes(data)
        if found != self._digest:
            raise digests.mismatch(f"The manifest of {self._name}", self._digest, found)
        kept.write_bytes(data)
        return data

    def _blob(self, layer: Layer, work: Work) -> Path:
        def opener(headers: Mapping[str, str]) -> AbstractContextManager[httpx.Response]:
            return self._session.get(f"blobs/{layer.digest}", headers)

        shown = layer.path or "an archive"
        return download(opener, Wanted(f"The layer '{shown}' of {self._name}", layer.digest, layer.size), work)


def read_manifest(session: RegistrySession, tag_or_digest: str, what: str, patience: Patience) -> bytes:
    """Read a manifest into memory, waiting out what may pass.

    Raises:
        Invalid: What `check_status` raises.
        NotYet: `RegistryUnavailable`.
    """
    waits = Waits(patience)
    while True:
        try:
            with session.get(f"manifests/{tag_or_digest}", {"Accept": ACCEPT}) as response:
                check_status(response, what)
                return read_bounded(response, MAX_MANIFEST_BYTES, what)
        except Transient as failure:
            waits.after(failure)


def resolve_tag(transport: Transport, reference: OciReference, credential: Credential, patience: Patience) -> str:
    """Return the digest of the manifest a tag names now; refuse what fetch would refuse."""
    session = RegistrySession(transport, reference.host, reference.repository, credential)
    wanted = reference.digest or reference.tag or "latest"
    data = read_manifest(session, wanted, f"The manifest {reference.host}/{reference.repository}:{wanted}", patience)
    parse_manifest(data)
    return digests.of_bytes(data)


def _present(layer: Layer, blobs: Path) -> int:
    """Count the bytes of a layer that an earlier attempt left."""
    whole = blobs / layer.digest.removeprefix(digests.PREFIX)
    part = whole.with_suffix(".part")
    return min(next((path.stat().st_size for path in (whole, part) if path.exists()), 0), layer.size)


def _place(layer: Layer, blob: Path, names: SafeNames, work: Work) -> None:
    """Link a file (two layers may be the same blob), or unpack an archive and give its space back."""
    if layer.archive is not None:
        unpack(blob, layer.archive, names, work)
        return
    target = work.workspace.tree / names.file(layer.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(blob, target)
