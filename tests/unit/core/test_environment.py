"""What stands in a container's environment reaches the process as it was meant."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.environment import literal, literal_json


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """What the kubelet makes of a value: `$$` is `$`, `$(NAME)` the variable if there is one, all else is kept."""
    out, rest = "", text
    while rest:
        if rest.startswith("$$"):
            out, rest = out + "$", rest[2:]
        elif rest.startswith("$(") and ")" in rest:
            name, _, after = rest[2:].partition(")")
            out, rest = out + variables.get(name, f"$({name})"), after
        else:
            out, rest = out + rest[0], rest[1:]
    return out


AWKWARD = [
    "",
    "$",
    "$$",
    "$$$",
    "$(HOME)",
    "$$(HOME)",
    "a$(NONE)b",
    "${HOME}",
    "$HOME",
    "5$ and 6$$",
    "$(",
    "\\$(HOME)",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_text_is_taken_literally(text: str) -> None:
    assert expanded(literal(text), {"HOME": "/root"}) == text


@given(st.text(st.sampled_from("$()HOME{}\\ ")))
def test_any_text_is_taken_literally(text: str) -> None:
    assert expanded(literal(text), {"HOME": "/root", "": "x", "H": "y"}) == text


@given(st.recursive(st.text(st.sampled_from('$()HO"\\')), lambda inner: st.dictionaries(st.text("$(H)"), inner)))
def test_json_is_taken_literally(value: Any) -> None:
    written = literal_json(value)
    assert expanded(written, {"HO": "x"}) == written
    assert json.loads(written) == value
