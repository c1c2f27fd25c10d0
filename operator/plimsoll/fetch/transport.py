"""HTTPS for fetch: redirects, certificates and errors, with credentials that never leave their host."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from plimsoll.errors import Invalid, NotYet
from plimsoll.fetch.limits import MAX_REDIRECTS, Patience
from plimsoll.fetch.references import authority

if TYPE_CHECKING:
    import httpx  # imported where it is used: it takes 0.2 to 0.4 s, which pvc sources and finished folders save

SECRET_FIELD: Final = "spec.model.credentials.secretRef"  # noqa: S105 - the name of a field
CA_FIELD: Final = "spec.model.credentials.caConfigMapRef"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRANSIENT: Final = frozenset({408, 425, 429})
_CA_SUFFIXES: Final = frozenset({".crt", ".pem"})
_LONGEST_RETRY_AFTER: Final = 3600


class Transient(Exception):  # noqa: N818 - an event to wait out, not a failure
    """An attempt that failed for a reason that may pass; `retry_after` in seconds when the server said so."""

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after

    def not_yet(self) -> NotYet:
        """Give up for now."""
        return NotYet("RegistryUnavailable", f"{self.message} Fetching is tried again.")


class Transport:
    """One connection pool with the system's certificate authorities and the user's.

    Args:
        ca_folder: Holds `*.crt` and `*.pem`; need not exist.
        patience: Time-outs.
    """

    def __init__(self, ca_folder: Path, patience: Patience) -> None:
        import httpx  # noqa: PLC0415 - see above

        self._httpx = httpx
        self._client = httpx.Client(
            verify=trusted_authorities(ca_folder),
            timeout=httpx.Timeout(patience.read, connect=patience.connect),
            headers={"User-Agent": "plimsoll", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str], authorization: str | None = None) -> Iterator[httpx.Response]:
        """Open a GET and yield its response with the body unread, redirects followed.

        Args:
            url: Must be https, its host as `references.authority` writes it.
            headers: Sent to every host on the way.
            authorization: Sent to the URL's own host and port only.

        Raises:
            Transient: The network or the server failed in a way that may pass; also while the body is read.
            Invalid: `CertificateNotTrusted`, `InsecureRedirect` or `TooManyRedirects`.
        """
        origin = urlsplit(url).netloc
        with self._mapped_errors(origin):
            for _ in range(MAX_REDIRECTS + 1):
                sent = dict(headers)
                if authorization and urlsplit(url).netloc == origin:
                    sent["Authorization"] = authorization
                with self._client.stream("GET", url, headers=sent) as response:
                    if response.status_code not in _REDIRECTS:
                        yield response
                        return
                    url = _redirected(url, response.headers.get("Location", ""))
        raise Invalid("TooManyRedirects", f"The server {origin} redirects more than {MAX_REDIRECTS} times.")

    def post_form(self, url: str, form: Mapping[str, str]) -> httpx.Response:
        """Send a form without following redirects."""
        with self._mapped_errors(urlsplit(url).netloc):
            return self._client.post(url, data=dict(form))

    @contextmanager
    def _mapped_errors(self, host: str) -> Iterator[None]:
        try:
            yield
        except self._httpx.TimeoutException as error:
            raise Transient(f"The server {host} did not answer in time.") from error
        except self._httpx.HTTPError as error:
            raise _explained(host, error) from error


def check_status(response: httpx.Response, what: str) -> None:
    """Raise for every answer that is not content.

    Args:
        response: Any answer.
        what: Names what was asked for and where, without secrets.

    Raises:
        Invalid: `Unauthorized`, `NotFound` or `RequestRefused`.
        Transient: 408, 425, 429 and 5xx.
    """
    status = response.status_code
    first_error = 400
    if status < first_error or status == 416:  # noqa: PLR2004 - range not satisfiable is the download's business
        return
    if status in (401, 403):
        raise Invalid(
            "Unauthorized",
            f"{what} was refused with HTTP {status}. Name a Secret that may read it in {SECRET_FIELD}, or correct the "
            f"one that is named.",
        )
    if status in (404, 410):
        raise Invalid("NotFound", f"{what} does not exist (HTTP {status}). Correct spec.model.uri, or publish it.")
    if status in _TRANSIENT or status >= 500:  # noqa: PLR2004 - the protocol's server errors
        raise Transient(f"{what} was answered with HTTP {status}.", _retry_after(response))
    raise Invalid("RequestRefused", f"{what} was refused with HTTP {status}. Check spec.model.uri.")


def trusted_authorities(ca_folder: Path) -> ssl.SSLContext:
    """Trust the system's authorities, certifi's where the system has none, and those of a folder.

    Raises:
        Invalid: `CertificateNotTrusted` for a file that holds no certificate.
    """
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):
        import certifi  # noqa: PLC0415 - needed only in images without authorities

        context.load_verify_locations(certifi.where())
    for path in sorted(ca_folder.glob("*")) if ca_folder.is_dir() else ():
        if path.suffix in _CA_SUFFIXES:
            try:
                context.load_verify_locations(path)
            except ssl.SSLError as error:
                raise Invalid(
                    "CertificateNotTrusted",
                    f"The key '{path.name}' of the ConfigMap in {CA_FIELD} holds no PEM certificate.",
                ) from error
    return context


def _redirected(url: str, location: str) -> str:
    """Resolve a redirect, its host written so that it equals our own where it is our own."""
    try:
        parts = urlsplit(urljoin(url, location))
    except ValueError:
        parts = urlsplit("")
    host = authority(parts)
    if parts.scheme != "https" or host is None:
        raise Invalid(
            "InsecureRedirect",
            f"The server {urlsplit(url).netloc} redirects to {parts.scheme or 'an unknown scheme'}://"
            f"{host or ''}; only https to a well-formed host, without a user or password, is followed.",
        )
    return parts._replace(netloc=host).geturl()


def _explained(host: str, error: BaseException) -> Invalid | Transient:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Invalid(
                "CertificateNotTrusted",
                f"The certificate of {host} is not trusted ({cause.verify_message}). Put the authority's certificate "
                f"into a ConfigMap and name it in {CA_FIELD}.",
            )
        if isinstance(cause, ssl.SSLError):
            return Transient(f"The server {host} does not complete a TLS handshake ({cause.reason}).")
        cause = cause.__cause__ or cause.__context__
    return Transient(f"The connection to {host} failed ({type(error).__name__}).")


def _retry_after(response: httpx.Response) -> float:
    """Read Retry-After in seconds; its date form is left to our own backoff."""
    value = response.headers.get("Retry-After", "")
    return min(float(value), _LONGEST_RETRY_AFTER) if value.isascii() and value.isdigit() else 0
