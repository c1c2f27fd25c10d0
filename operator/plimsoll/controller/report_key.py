"""The key pair by which the controller fetches reports, kept in a Secret of its own namespace.

Kept, so that a Job that was made before a restart still hands out its report after it. The chart makes the Secret empty
and the first leader fills it: the controller may then read and change this one object, and create no Secret at all.
"""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
from dataclasses import dataclass, field
from typing import Any

from plimsoll.kube.client import Client
from plimsoll.kube.clock import Clock
from plimsoll.kube.errors import ApiError, Conflict, Forbidden, NotFound
from plimsoll.kube.resources import SECRETS, JsonObject, Key

_log = logging.getLogger(__name__)

_PRIVATE, _PUBLIC = "ed25519.seed", "ed25519.pub"
_SEED_BYTES = 32
_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class ReportKey:
    """An Ed25519 key pair.

    Attributes:
        seed: The private key, 32 bytes.
        public: The public key in base64url, as Jobs get it.
    """

    seed: bytes = field(repr=False)
    public: str


async def load_report_key(client: Client, secret: Key, clock: Clock) -> ReportKey:
    """Returns the key pair, made anew where the Secret has none; waits for an API server that does not answer.

    Without a Secret, or without the right to it, the pair lives as long as this process: reports of Jobs that outlive
    it cannot be fetched, and their termination messages have to do.
    """
    while True:
        try:
            return await _kept(client, secret)
        except (NotFound, Forbidden) as error:
            _log.warning("report_key.not_kept", extra={"secret": "/".join(secret), "error": str(error)})
            return _new_key()
        except Conflict:
            continue  # another controller filled it in between
        except ApiError as error:
            _log.warning("report_key.unanswered", extra={"error": str(error), "retry_in_s": _RETRY_S})
            await clock.sleep(_RETRY_S)


async def _kept(client: Client, secret: Key) -> ReportKey:
    found = await client.get(SECRETS, *secret)
    kept = _read(found)
    if kept:
        return kept
    made = _new_key()
    data = {_PRIVATE: _encoded(made.seed), _PUBLIC: _encoded(made.public.encode())}
    version = {"resourceVersion": found["metadata"]["resourceVersion"]}
    await client.merge_patch(SECRETS, *secret, {"metadata": version, "data": data})
    _log.info("report_key.made", extra={"secret": "/".join(secret)})
    return made


def _read(secret: JsonObject) -> ReportKey | None:
    data: dict[str, Any] = secret.get("data") or {}
    try:
        seed, public = base64.b64decode(data[_PRIVATE]), base64.b64decode(data[_PUBLIC]).decode("ascii")
    except (KeyError, binascii.Error, UnicodeDecodeError):
        return None
    return ReportKey(seed, public) if len(seed) == _SEED_BYTES and public else None


def _new_key() -> ReportKey:
    # Imported late: the cryptography package is 8 MB, and a controller with nothing to examine needs none of it.
    from plimsoll.core.tokens import public_key  # noqa: PLC0415

    seed = secrets.token_bytes(_SEED_BYTES)
    return ReportKey(seed, public_key(seed))


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
