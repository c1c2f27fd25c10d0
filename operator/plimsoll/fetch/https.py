"""Models behind a URL (`https://`): one file, or one archive."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from plimsoll.fetch import digests
from plimsoll.fetch.archives import archive_kind, unpack
from plimsoll.fetch.credentials import Credential
from plimsoll.fetch.download import Wanted, download
from plimsoll.fetch.paths import SafeNames
from plimsoll.fetch.references import HttpsReference
from plimsoll.fetch.report import Progress
from plimsoll.fetch.transport import Transient, Transport, check_status
from plimsoll.fetch.workspace import Work

if TYPE_CHECKING:
    import httpx


class HttpsSource:
    """One file behind a URL.

    Args:
        transport: Carries the requests.
        reference: Where it is.
        digest: Of its content.
        credential: For the URL's host.
    """

    def __init__(self, transport: Transport, reference: HttpsReference, digest: str, credential: Credential) -> None:
        self._transport = transport
        self._reference = reference
        self._digest = digest
        self._authorization = credential.authorization()

    def fetch(self, work: Work) -> int:
        """Bring the file, and unpack it when its name says that it is an archive."""
        blob = download(self._open, Wanted(self._reference.shown, self._digest, None), work)
        size = blob.stat().st_size
        kind = archive_kind(self._reference.file_name)
        if kind is not None:
            unpack(blob, kind, SafeNames("the archive"), work)
        else:
            blob.rename(work.workspace.tree / SafeNames("the URL").file(self._reference.file_name or "model"))
        return size

    def _open(self, headers: Mapping[str, str]) -> AbstractContextManager[httpx.Response]:
        return self._transport.get(self._reference.url, headers, self._authorization)


def resolve_url(transport: Transport, reference: HttpsReference, credential: Credential, progress: Progress) -> str:
    """Return the digest of what a URL answers with now, reading all of it and keeping nothing.

    Raises:
        Invalid: What `check_status` raises.
        NotYet: `RegistryUnavailable`.
    """
    hasher = hashlib.sha256()
    try:
        with transport.get(reference.url, {}, credential.authorization()) as response:
            check_status(response, reference.shown)
            for chunk in response.iter_raw():
                hasher.update(chunk)
                progress.add(len(chunk))
    except Transient as failure:
        raise failure.not_yet() from failure
    return digests.PREFIX + hasher.hexdigest()
