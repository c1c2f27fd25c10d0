"""Credentials as Kubernetes mounts them: which form the Secret has, and what it offers to one host.

Whoever may create a ModelDeployment may write any URI into it and name any Secret of the namespace, also one they may
not read. So the Secret itself, which they cannot change, says which host it is for, and no other host is shown any of
it.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from plimsoll.errors import Invalid
from plimsoll.fetch.references import authority
from plimsoll.fetch.transport import SECRET_FIELD

_DOCKER_CONFIG: Final = ".dockerconfigjson"
_HOSTS: Final = "host"
_SERVICE_ACCOUNT_KEYS: Final = ("ca.crt", "namespace", "token")
_API_VERSIONS: Final = ("v1", "v2")


@dataclass(frozen=True, slots=True)
class Credential:
    """What may be shown to one host; `repr` holds no secret."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)  # exchanged for a bearer token at the registry's token service

    def authorization(self) -> str | None:
        """Return the value of the Authorization header; None when there is only an identity token, or nothing."""
        if self.bearer:
            return f"Bearer {self.bearer}"
        if self.username or self.password:
            return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return None


NOTHING: Final = Credential()


def read_credential(folder: Path, host: str, repository: str = "", *, bound: bool = True) -> Credential:
    """Read the Secret mounted at a folder (or a docker configuration file) for one host.

    A docker configuration is searched for the longest entry that covers `host/repository`. The other forms hold one
    credential, and beside it the key `host`: the hosts it is for, `HOST` or `HOST:PORT`, one per line.

    Args:
        folder: Need not exist.
        host: As `references.authority` writes it.
        repository: Of the registry.
        bound: Whether the key `host` is asked for; False only where one person states URI and credential together.

    Raises:
        Invalid: `Unauthorized` when the Secret cannot be read or has none of the known keys, `CredentialsNotForHost`
            when it is not for this host, or is a service account's.
    """
    if folder.is_file():
        return _from_docker_config(folder, host, repository)
    if not folder.is_dir():
        return NOTHING
    keys = {path.name for path in folder.iterdir()}
    if keys.issuperset(_SERVICE_ACCOUNT_KEYS):
        raise _service_account(host)
    if _DOCKER_CONFIG in keys:
        return _from_docker_config(folder / _DOCKER_CONFIG, host, repository)
    if bound and keys & {"token", "username", "password"}:
        _require_host(folder, keys, host)
    if "token" in keys:
        return Credential(bearer=_text(folder / "token"))
    if keys & {"username", "password"}:
        return Credential(username=_text(folder / "username"), password=_text(folder / "password"))
    raise Invalid(
        "Unauthorized",
        f"The Secret in {SECRET_FIELD} has none of the keys {_DOCKER_CONFIG}, token, or username and password.",
    )


def _require_host(folder: Path, keys: set[str], host: str) -> None:
    named = _text(folder / _HOSTS).splitlines() if _HOSTS in keys else []
    if any(_covers(line.strip(), host, "") for line in named):
        return
    needed = ("token",) if "token" in keys else ("username", "password")
    literals = " ".join(f"--from-literal={key}=..." for key in needed)
    raise Invalid(
        "CredentialsNotForHost",
        f"The Secret in {SECRET_FIELD} does not name {host} in its key '{_HOSTS}', so nothing of it was sent there. "
        f"If it is meant for that host, create it with: kubectl create secret generic NAME "
        f"--from-literal={_HOSTS}={host} {literals}",
    )


def _service_account(host: str) -> Invalid:
    return Invalid(
        "CredentialsNotForHost",
        f"The Secret in {SECRET_FIELD} holds a service account's token (keys {', '.join(_SERVICE_ACCOUNT_KEYS)}), "
        f"which is for the API server alone, so nothing of it was sent to {host}. Name a Secret made for that host: "
        f"kubectl create secret generic NAME --from-literal={_HOSTS}={host} --from-literal=token=...",
    )


def _from_docker_config(path: Path, host: str, repository: str) -> Credential:
    try:
        entries = json.loads(path.read_text())["auths"].items()
        covering = [(key, entry) for key, entry in entries if _covers(key, host, repository)]
        chosen: dict[str, Any] = max(covering, key=lambda item: len(_named(item[0])[1]))[1] if covering else {}
        return _entry(chosen)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, binascii.Error) as error:
        raise Invalid(
            "Unauthorized", f"The key {_DOCKER_CONFIG} of the Secret in {SECRET_FIELD} is not a docker configuration."
        ) from error


def _entry(entry: dict[str, Any]) -> Credential:
    username, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth") and not (username or password):
        username, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    return Credential(username, password, entry.get("registrytoken", ""), entry.get("identitytoken", ""))


def _covers(key: str, host: str, repository: str) -> bool:
    """Compare an entry's key, `HOST[:PORT][/PATH]`, exactly; no wildcards, and no port stands for 443 alone."""
    named, path = _named(key)
    return named == host and (not path or f"{repository}/".startswith(f"{path}/"))


def _named(key: str) -> tuple[str | None, str]:
    """Split a key into host and path; `https://host/v1/`, as docker writes it, and `host` mean the same."""
    try:
        parts = urlsplit(f"https://{key.removeprefix('https://')}")
    except ValueError:
        return None, ""
    path = parts.path.strip("/")
    return authority(parts), "" if path in _API_VERSIONS else path


def _text(path: Path) -> str:
    try:
        return path.read_text().strip("\r\n")
    except (OSError, ValueError) as error:
        raise Invalid("Unauthorized", f"The key {path.name} of the Secret in {SECRET_FIELD} cannot be read.") from error
