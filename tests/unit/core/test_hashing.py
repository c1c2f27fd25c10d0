from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.hashing import canonical_json, digest_of, manifest_digest_of
from plimsoll.core.packing import pack, unpack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=4), children, max_size=4),
    max_leaves=12,
)


def reversed_keys(value: Any) -> Any:
    """The same value, every map built in the opposite order."""
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(list(value))}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_the_order_of_keys_does_not_count(value: Any) -> None:
    assert digest_of(value) == digest_of(reversed_keys(value))


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_the_fast_digest_of_a_manifest_is_the_digest(value: dict[str, Any]) -> None:
    assert manifest_digest_of(value) == digest_of(value)


@given(JSON, JSON)
def test_different_values_have_different_spellings(one: Any, other: Any) -> None:
    # True == 1 in Python but not in JSON, so the spellings are compared with the values' own.
    assert (canonical_json(one) == canonical_json(other)) == (repr(_ordered(one)) == repr(_ordered(other)))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_packing_keeps_the_value(value: dict[str, Any]) -> None:
    assert unpack(pack(value)) == value
    assert pack(value) == pack(reversed_keys(value))


def test_only_what_is_large_is_compressed() -> None:
    small, large = {"spec": "x" * 100}, {"spec": "x" * 10_000}
    assert (len(pack(small)), unpack(pack(small))) == (111, small)
    assert len(pack(large)) < 1_000
    assert unpack(pack(large)) == large


def test_pinned_because_names_of_revisions_hang_on_it() -> None:
    assert canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'
    assert digest_of({"b": [1, "é"], "a": None}) == "f8f17faab95c0248"


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest_of(float("nan"))
