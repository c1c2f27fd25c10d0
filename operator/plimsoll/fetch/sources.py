"""Choose the source a URI names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from plimsoll.errors import Invalid
from plimsoll.fetch.credentials import read_credential
from plimsoll.fetch.limits import Patience
from plimsoll.fetch.references import ClaimReference, HttpsReference, OciReference, parse_reference
from plimsoll.fetch.workspace import Source


@dataclass(frozen=True, slots=True)
class Mounts:
    """Where Kubernetes mounts what fetch reads; none of them need exist."""

    credentials: Path
    authorities: Path
    claim: Path


@contextmanager
def opened_source(uri: str, digest: str, mounts: Mounts, patience: Patience) -> Iterator[Source]:
    """Open the source of a URI; its connections are closed at the end of the block.

    Raises:
        Invalid: `UnknownScheme`, `InvalidUri`, or what reading credentials and authorities raises.
    """
    reference = parse_reference(uri)
    match reference:
        case ClaimReference():
            from plimsoll.fetch.pvc import ClaimSource  # noqa: PLC0415 - each source loads what it alone needs

            yield ClaimSource(mounts.claim, reference, digest)
        case OciReference():
            if reference.digest not in (None, digest):
                raise Invalid("InvalidUri", "spec.model.uri and spec.model.digest name different digests.")
            from plimsoll.fetch.oci import OciSource  # noqa: PLC0415 - as above
            from plimsoll.fetch.transport import Transport  # noqa: PLC0415 - as above

            credential = read_credential(mounts.credentials, reference.host, reference.repository)
            with closing(Transport(mounts.authorities, patience)) as transport:
                yield OciSource(transport, reference, digest, credential)
        case HttpsReference():
            from plimsoll.fetch.https import HttpsSource  # noqa: PLC0415 - as above
            from plimsoll.fetch.transport import Transport  # noqa: PLC0415 - as above

            credential = read_credential(mounts.credentials, reference.host)
            with closing(Transport(mounts.authorities, patience)) as transport:
                yield HttpsSource(transport, reference, digest, credential)
