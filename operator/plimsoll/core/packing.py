"""Small form of a child for the cache: 5,000 ModelDeployments keep 15,000 children in memory.

Measured on a Deployment as the API server returns it: 13 KB as a dict, 4.5 KB as JSON, 1.8 KB compressed, for 60
microseconds more. A Service is 1 KB of JSON: there compression would save 0.5 KB for 40 microseconds.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import orjson

_FASTEST = 1
_WORTH_COMPRESSING = 2000
"""Bytes. Two Services a ModelDeployment, so compressing those too would be a twentieth of a warm start for 5 MB."""
_JSON_STARTS_WITH = b"{"
"""No compressed value does: zlib's own header is `x`."""


def pack(value: Mapping[str, Any]) -> bytes:
    """Returns `value` as JSON, compressed where that is worth it; equal values give equal bytes."""
    packed = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return zlib.compress(packed, _FASTEST) if len(packed) > _WORTH_COMPRESSING else packed


def unpack(packed: bytes) -> dict[str, Any]:
    """Returns what was packed."""
    value: dict[str, Any] = orjson.loads(packed if packed.startswith(_JSON_STARTS_WITH) else zlib.decompress(packed))
    return value
