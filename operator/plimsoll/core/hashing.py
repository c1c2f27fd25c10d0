"""Stable digests of JSON values: equal content gives an equal digest, whatever the key order or the Python version."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import orjson


def canonical_json(value: Any) -> str:
    """Returns the one spelling of a JSON value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any, length: int = 16) -> str:
    """Returns the first `length` hexadecimal digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def manifest_digest_of(manifest: dict[str, Any], length: int = 16) -> str:
    """Returns the digest of a manifest, ten times as fast: 15,000 of them took an eighth of a warm start.

    The same digest as that of `digest_of` where there is no float. How orjson spells a float may change with its
    version, so this one must never name a revision or reach a pod; on a child it costs one write that restarts nothing.
    """
    return hashlib.sha256(orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS)).hexdigest()[:length]
