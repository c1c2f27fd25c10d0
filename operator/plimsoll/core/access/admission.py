"""Whether a request is let in, and what it is told where it is not."""

from __future__ import annotations

from enum import StrEnum

from plimsoll.core.access.credential import Credential, Fault
from plimsoll.core.access.keyring import KeyRing


class Denial(StrEnum):
    """Why a request is not let in: label values of a metric."""

    NO_KEY = "no_key"
    UNREADABLE = "unreadable"
    UNKNOWN_KEY = "unknown_key"

    @property
    def sentence(self) -> str:
        """What the caller is told: never the key, nor how near it came."""
        match self:
            case Denial.NO_KEY:
                return "This gateway wants a key: send Authorization: Bearer KEY, or X-API-Key: KEY."
            case Denial.UNREADABLE:
                return "Send one key, once: Authorization: Bearer KEY, or X-API-Key: KEY."
            case Denial.UNKNOWN_KEY:
                return "This key is not valid here. It may have been replaced: ask who gave it to you for the new one."


def denial_of(credential: Credential, ring: KeyRing) -> Denial | None:
    """Returns why the request is not let in, None where it is; counts the use of its key."""
    if isinstance(credential, bytes):
        key = ring.find(credential)
        if key is None:
            return Denial.UNKNOWN_KEY
        key.used += 1
        return None
    return Denial.NO_KEY if credential is Fault.NONE else Denial.UNREADABLE
