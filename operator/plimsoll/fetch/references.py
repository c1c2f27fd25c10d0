"""Model URIs: what each scheme may say, and what is refused before anything is asked of a network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from plimsoll.api.vocabulary import DIGEST_PATTERN
from plimsoll.errors import Invalid

SCHEMES: Final = ("oci", "https", "pvc")
# Python's and httpx's parsers read other characters differently, and credentials are bound to what is read here.
_HOST: Final = re.compile(r"[a-z0-9_]+(?:[.-]+[a-z0-9_]+)*\.?|[0-9a-f:]*:[0-9a-f:.]*")
_HTTPS_PORT: Final = 443
_DIGEST: Final = re.compile(DIGEST_PATTERN)
_REPOSITORY: Final = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class OciReference:
    """An artefact in a registry; `host` as `authority` writes it; exactly one of tag and digest is set."""

    host: str
    repository: str
    tag: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class HttpsReference:
    """A file behind a URL, which may carry a signature in its query: never show `url` to people."""

    url: str
    host: str  # as `authority` writes it, in `url` and `shown` too
    shown: str
    file_name: str


@dataclass(frozen=True, slots=True)
class ClaimReference:
    """A file or folder in a PersistentVolumeClaim, as a relative path ("" for all of it)."""

    claim: str
    path: str


Reference = OciReference | HttpsReference | ClaimReference


def parse_reference(uri: str) -> Reference:
    """Read a model URI.

    Raises:
        Invalid: `UnknownScheme` or `InvalidUri`.
    """
    scheme, separator, _ = uri.partition("://")
    if not separator or scheme not in SCHEMES:
        raise Invalid(
            "UnknownScheme",
            f"The scheme of spec.model.uri must be one of {', '.join(f'{known}://' for known in SCHEMES)}, "
            f"not '{scheme[:20] if separator else ''}'.",
        )
    parts = _split(uri)
    match scheme:
        case "oci":
            return _oci(parts)
        case "https":
            return _https(uri, parts)
        case _:
            return _claim(parts)


def authority(parts: SplitResult) -> str | None:
    """Write host and port in the one form in which hosts are compared: lower case, port 443 left out.

    Everything here speaks https, and httpx writes hosts the same way. None for a host that is malformed or not ASCII,
    or has a user beside it.
    """
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if "@" in parts.netloc or not _HOST.fullmatch(host):
        return None
    name = f"[{host}]" if ":" in host else host
    return name if port in (None, _HTTPS_PORT) else f"{name}:{port}"


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise _malformed_host() from error
    if "@" in parts.netloc:
        raise Invalid(
            "InvalidUri",
            "spec.model.uri carries a user or password: put them into a Secret and name it in "
            "spec.model.credentials.secretRef.",
        )
    if not parts.hostname:
        raise Invalid("InvalidUri", "spec.model.uri names no host or claim.")
    if any(character <= " " or character == "\x7f" for character in uri):
        raise Invalid("InvalidUri", "spec.model.uri holds a space or control character.")
    return parts


def _malformed_host() -> Invalid:
    return Invalid(
        "InvalidUri",
        "spec.model.uri has a malformed host or port; a host outside ASCII is written in its xn-- form.",
    )


def _host(parts: SplitResult) -> str:
    host = authority(parts)
    if host is None:
        raise _malformed_host()
    return host


def _oci(parts: SplitResult) -> OciReference:
    host = _host(parts)
    path = parts.path.removeprefix("/")
    name, at, digest = path.partition("@")
    repository, colon, tag = name.partition(":")
    if parts.query or parts.fragment or not _REPOSITORY.fullmatch(repository):
        raise Invalid("InvalidUri", "spec.model.uri must read oci://host[:port]/repository@sha256:digest.")
    if (at and not _DIGEST.fullmatch(digest)) or (colon and not _TAG.fullmatch(tag)):
        raise Invalid(
            "InvalidUri", "spec.model.uri has a malformed tag or digest; a digest is sha256: and 64 hex digits."
        )
    if at:
        return OciReference(host, repository, None, digest)
    return OciReference(host, repository, tag or "latest", None)


def _https(uri: str, parts: SplitResult) -> HttpsReference:
    host = _host(parts)
    after_host = uri.partition("#")[0].removeprefix(f"https://{parts.netloc}")  # as written: it may be signed
    file_name = parts.path.rsplit("/", 1)[-1]
    return HttpsReference(f"https://{host}{after_host}", host, f"https://{host}{parts.path}", file_name)


def _claim(parts: SplitResult) -> ClaimReference:
    path = parts.path.strip("/")
    if ".." in path.split("/") or parts.query or parts.fragment:
        raise Invalid("InvalidUri", "spec.model.uri must read pvc://claim/path, without '..'.")
    return ClaimReference(parts.netloc, path)
