"""`plimsoll resolve URI`: prints the digest that a URI stands for now, so that a manifest can name it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from plimsoll.cli.exit_codes import ExitCode
from plimsoll.errors import PlimsollError
from plimsoll.fetch.resolve import resolve


@dataclass(frozen=True, slots=True)
class Access:
    """How the source is reached.

    Attributes:
        ca: PEM file with certificates of a private authority.
        username: User name; its password comes from standard input.
        docker_config: Docker configuration file; the user's own when None.
    """

    ca: str | None = None
    username: str | None = None
    docker_config: str | None = None


def run_resolve(uri: str, access: Access, *, password_stdin: bool) -> ExitCode:
    """Prints the digest."""
    if (access.username is None) == password_stdin:
        print("--username and --password-stdin are given together, or neither", file=sys.stderr)
        return ExitCode.UNUSABLE
    password = sys.stdin.read().rstrip("\r\n") if password_stdin else ""
    try:
        with mounted(access, password) as (credentials, authorities):
            print(resolve(uri, credentials, authorities))
    except PlimsollError as error:
        print(f"{error.message} ({error.reason})", file=sys.stderr)
        return ExitCode.REFUSED
    except OSError as error:
        print(f"Cannot be read: {error}", file=sys.stderr)
        return ExitCode.UNUSABLE
    return ExitCode.OK


@contextmanager
def mounted(access: Access, password: str) -> Iterator[tuple[Path, Path]]:
    """Lays credentials and authorities out as a pod would see them mounted, readable by this user alone."""
    with TemporaryDirectory(prefix="plimsoll-") as folder:
        authorities = Path(folder) / "ca"
        authorities.mkdir()
        if access.ca:
            shutil.copyfile(access.ca, authorities / "ca.crt")
        credentials = _docker_config(access)
        if access.username is not None:
            credentials = Path(folder) / "credentials"
            credentials.mkdir()
            (credentials / "username").write_text(access.username, encoding="utf-8")
            (credentials / "password").write_text(password, encoding="utf-8")
        yield credentials, authorities


def _docker_config(access: Access) -> Path:
    """Returns the docker configuration; a stated one must exist, the user's own need not."""
    if access.docker_config:
        path = Path(access.docker_config)
        path.stat()
        return path
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
