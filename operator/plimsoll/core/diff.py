"""Would applying `want` change `have`? Decided without a request.

Two questions, because each alone misses something: the digest annotation tells that our intent changed (also when a
field was removed from it), containment tells that somebody changed a field we own. What others added is none of our
business: an injected annotation, a defaulted field, a status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plimsoll.api.quantity import parse_quantity
from plimsoll.core.names import DIGEST_ANNOTATION

_ATOMIC_MAPS = frozenset({"selector", "matchLabels", "nodeSelector"})
"""Maps that server-side apply replaces as a whole: one key more selects other pods, or none."""
_MERGE_KEYS = ("name", "containerPort", "port", "mountPath", "topologyKey", "uid", "ip")
"""Fields by which lists of objects are merged under server-side apply, in the order they are tried."""


def needs_apply(want: Mapping[str, Any], have: Mapping[str, Any]) -> bool:
    """Tells whether applying `want` would change `have`; both carry the digest annotation."""
    return _digest(want) != _digest(have) or not contains(have, want)


def _digest(manifest: Mapping[str, Any]) -> str | None:
    annotations: Mapping[str, str] = manifest.get("metadata", {}).get("annotations") or {}
    return annotations.get(DIGEST_ANNOTATION)


def contains(have: Any, want: Any) -> bool:
    """Tells whether every field of `want` has its value in `have`.

    Maps are compared by the keys of `want`, lists of named things by their merge key, other lists exactly and in order,
    quantities by value; selectors hold nothing else. An empty map, list or string equals an absent field, as the API
    server drops them.
    """
    if have == want:  # nearly always, and compared in C: the warm start asks this about every child
        return True
    match want:
        case dict():
            if not isinstance(have, dict):
                return have is None and not want
            return all(
                have.get(key) == value or _field_contains(key, have.get(key), value) for key, value in want.items()
            )
        case str():
            return _same_text(have, want)
        case list():
            return isinstance(have, list) and _list_contains(have, want)
        case _:
            return False


def _field_contains(key: str, have: Any, want: Any) -> bool:
    """Compares the values of one field that are not equal."""
    if have is None:
        return want is None or want in ("", [], {}, False)
    return key not in _ATOMIC_MAPS and contains(have, want)


def _list_contains(have: Sequence[Any], want: Sequence[Any]) -> bool:
    key = _merge_key(want)
    if key is None:
        return len(have) == len(want) and all(contains(h, w) for h, w in zip(have, want, strict=True))
    by_key = {item.get(key): item for item in have if isinstance(item, dict)}
    return all(item[key] in by_key and contains(by_key[item[key]], item) for item in want)


def _merge_key(items: Sequence[Any]) -> str | None:
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    return next((key for key in _MERGE_KEYS if all(key in item for item in items)), None)


def _same_text(have: Any, want: str) -> bool:
    if not isinstance(have, str):
        return False
    wanted = parse_quantity(want)
    return wanted is not None and parse_quantity(have) == wanted
