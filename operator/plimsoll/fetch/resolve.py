"""Find the digest a URI stands for now, for people who write manifests."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from plimsoll.errors import Invalid
from plimsoll.fetch.credentials import read_credential
from plimsoll.fetch.https import resolve_url
from plimsoll.fetch.limits import PATIENCE, Patience
from plimsoll.fetch.oci import resolve_tag
from plimsoll.fetch.references import ClaimReference, HttpsReference, OciReference, parse_reference
from plimsoll.fetch.report import Progress
from plimsoll.fetch.transport import Transport

_NOWHERE: Final = Path("/nonexistent")


def resolve(uri: str, credentials: Path = _NOWHERE, authorities: Path = _NOWHERE, patience: Patience = PATIENCE) -> str:
    """Return the digest of what a URI names now: of the manifest for oci, of the content for https.

    Args:
        uri: With a tag for oci.
        credentials: A folder as a Secret is mounted, the key `host` left out or ignored, or a docker configuration
            file; need not exist. Whoever runs this states where the credential goes in the same breath.
        authorities: A folder with `*.crt` and `*.pem`; need not exist.
        patience: Time-outs.

    Raises:
        Invalid: As fetch does; `InvalidUri` for a pvc, which only a pod can read.
        NotYet: `RegistryUnavailable`.
    """
    reference = parse_reference(uri)
    match reference:
        case ClaimReference():
            raise Invalid(
                "InvalidUri",
                "Only a pod can read a claim. Compute the digest where it is mounted: sha256sum of the file, or of the "
                "sorted lines '<sha256>  <size>  <path>' of a folder.",
            )
        case OciReference():
            credential = read_credential(credentials, reference.host, reference.repository, bound=False)
            with closing(Transport(authorities, patience)) as transport:
                return resolve_tag(transport, reference, credential, patience)
        case HttpsReference():
            credential = read_credential(credentials, reference.host, bound=False)
            progress = Progress(None, patience.report_every)
            with closing(Transport(authorities, patience)) as transport:
                return resolve_url(transport, reference, credential, progress)
