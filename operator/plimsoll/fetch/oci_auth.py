"""Signing in to a registry: the token flow of the distribution specification."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from plimsoll.errors import Invalid
from plimsoll.fetch.credentials import Credential
from plimsoll.fetch.limits import MAX_TOKEN_BYTES
from plimsoll.fetch.references import authority
from plimsoll.fetch.transport import Transient, Transport, check_status

if TYPE_CHECKING:
    import httpx

_UNAUTHORIZED: Final = 401
_PARAMETER: Final = re.compile(r'([a-zA-Z_]+)=(?:"([^"]*)"|([^",\s]+))')


class RegistrySession:
    """Asks one repository of one registry, and signs in when the registry demands it.

    Args:
        transport: Carries the requests.
        host: As `references.authority` writes it.
        repository: Decides what a token must allow.
        credential: Shown to the registry, or to the token service it names, never to a redirect's target.
    """

    def __init__(self, transport: Transport, host: str, repository: str, credential: Credential) -> None:
        self._transport = transport
        self._host = host
        self._repository = repository
        self._credential = credential
        self._authorization: str | None = f"Bearer {credential.bearer}" if credential.bearer else None

    @contextmanager
    def get(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Open a GET below `/v2/<repository>/`; a token that ran out is renewed once per request."""
        url = f"https://{self._host}/v2/{self._repository}/{path}"
        with self._transport.get(url, headers, self._authorization) as response:
            if response.status_code != _UNAUTHORIZED or response.url.netloc.decode() != self._host:
                yield response
                return
            challenge = response.headers.get("WWW-Authenticate", "")
        self._authorization = self._answer(challenge)
        with self._transport.get(url, headers, self._authorization) as response:
            yield response

    def _answer(self, challenge: str) -> str | None:
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            return self._credential.authorization()
        if scheme.lower() != "bearer" or self._credential.bearer:
            return self._authorization
        parameters = {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(rest)}
        return f"Bearer {self._token(parameters)}"

    def _token(self, parameters: Mapping[str, str]) -> str:
        realm, service = self._token_service(parameters.get("realm", ""))
        query = {
            "service": parameters.get("service", ""),
            "scope": parameters.get("scope") or f"repository:{self._repository}:pull",
        }
        what = f"A token of {service} for {self._host}/{self._repository}"
        if self._credential.identity_token:
            form = {
                **query,
                "grant_type": "refresh_token",
                "client_id": "plimsoll",
                "refresh_token": self._credential.identity_token,
            }
            answer = self._transport.post_form(realm, form)
            check_status(answer, what)
            return _token_in(answer.content, what)
        separator = "&" if "?" in realm else "?"
        url = f"{realm}{separator}{urlencode({key: value for key, value in query.items() if value})}"
        with self._transport.get(url, {}, self._credential.authorization()) as answer:
            check_status(answer, what)
            return _token_in(read_bounded(answer, MAX_TOKEN_BYTES, what), what)

    def _token_service(self, realm: str) -> tuple[str, str]:
        """Return the URL and the host of the token service the registry names.

        Public registries keep it on another host, so it gets the credential wherever it is. That gives nothing away:
        only an answer of the registry's own host is asked for it, never one that a redirect led to, over a connection
        whose certificate was verified; and that host is whom the credential is for, so it could hand it on anyway.
        """
        try:
            parts = urlsplit(realm)
        except ValueError:
            parts = urlsplit("")
        host = authority(parts)
        if parts.scheme != "https" or host is None:
            raise Invalid(
                "InsecureRedirect", f"The registry {self._host} names a token service that does not speak https."
            )
        return parts._replace(netloc=host).geturl(), host


def read_bounded(response: httpx.Response, limit: int, what: str) -> bytes:
    """Read a small body into memory.

    Raises:
        Invalid: `UnsupportedArtifact` when it is larger than the limit.
    """
    data = bytearray()
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > limit:
            raise Invalid("UnsupportedArtifact", f"{what} is larger than {limit} bytes.")
    return bytes(data)


def _token_in(body: bytes, what: str) -> str:
    try:
        answer: Any = json.loads(body)
        token = answer.get("token") or answer.get("access_token")
    except (ValueError, AttributeError) as error:
        raise Transient(f"{what} was answered with something that is not JSON.") from error
    if not isinstance(token, str) or not token.isprintable() or not token:
        raise Transient(f"{what} was answered without a token.")
    return token
