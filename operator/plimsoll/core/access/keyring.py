"""The keys by which callers are known. Only their SHA-256 digests are kept.

A Secret has an entry for each caller: its name is the name by which people know the key, its value is the key, or
`sha256:` and the key's digest in hex. Several lines are several keys of one name, so that an old and a new one are
valid side by side while they are exchanged.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

LEAST_CHARACTERS: Final = 16
"""Of a key: below, guessing over the network is within reach."""
MOST_CHARACTERS: Final = 4096
_BUCKET_BYTES: Final = 8

_KEY = re.compile(rb"[\x21-\x7e]+")
_DIGEST = re.compile(rb"sha256:([0-9a-f]{64})", re.IGNORECASE)


@dataclass(slots=True)
class Key:
    """One key.

    Attributes:
        name: Its entry in the Secret.
        digest: SHA-256 of the key.
        used: Requests that showed it since this key ring was made.
    """

    name: str
    digest: bytes
    used: int = 0


class KeyRing:
    """All keys that are valid now.

    Args:
        keys: The keys; of two with the same digest the first counts.
    """

    __slots__ = ("_buckets", "keys")

    def __init__(self, keys: tuple[Key, ...] = ()) -> None:
        self._buckets: dict[bytes, list[Key]] = {}
        self.keys: list[Key] = []
        for key in keys:
            if self.find(key.digest) is None:
                self._buckets.setdefault(key.digest[:_BUCKET_BYTES], []).append(key)
                self.keys.append(key)

    def find(self, digest: bytes) -> Key | None:
        """Returns the key with that digest, None where there is none.

        A quarter of the digest finds the bucket, which hardly ever has a second key; the whole is compared in constant
        time. What the look-up's duration could tell is about digests, from which no key can be found.
        """
        for key in self._buckets.get(digest[:_BUCKET_BYTES], ()):
            if hmac.compare_digest(key.digest, digest):
                return key
        return None


@dataclass(frozen=True, slots=True)
class ReadKeys:
    """What a Secret held.

    Attributes:
        ring: The keys that can be used.
        problems: A sentence for each line that cannot; none has a key or a part of one.
    """

    ring: KeyRing
    problems: tuple[str, ...]


def digest_of_key(key: bytes) -> bytes:
    """Returns what is kept of a key."""
    return hashlib.sha256(key).digest()


def read_keys(entries: Mapping[str, bytes]) -> ReadKeys:
    """Reads a Secret's entries. What cannot be used is left out: one bad line must not lock everybody out."""
    keys: list[Key] = []
    problems: list[str] = []
    for name, value in sorted(entries.items()):
        found = list(_lines(name, value))
        keys += [line for line in found if isinstance(line, Key)]
        problems += [line for line in found if isinstance(line, str)]
        if not found:
            problems.append(f"Entry {name} is empty.")
    return ReadKeys(KeyRing(tuple(keys)), tuple(problems))


def _lines(name: str, value: bytes) -> Iterator[Key | str]:
    for number, raw in enumerate(value.splitlines(), start=1):
        line = raw.strip(b" \t")
        if not line:
            continue
        digest = _DIGEST.fullmatch(line)
        if digest is not None:
            yield Key(name, bytes.fromhex(digest[1].decode()))
        elif fault := _fault(line):
            yield f"Entry {name}, line {number}: {fault}"
        else:
            yield Key(name, digest_of_key(line))


def _fault(line: bytes) -> str:
    if line[:7].lower() == b"sha256:":
        return "after sha256: come 64 hexadecimal digits, as sha256sum prints them."
    if _KEY.fullmatch(line) is None:
        return "a key has visible ASCII characters only, and no spaces."
    if not LEAST_CHARACTERS <= len(line) <= MOST_CHARACTERS:
        return f"a key has {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters, this one has {len(line)}."
    return ""
