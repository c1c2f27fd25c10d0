"""Protobuf text, written and read."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.triton.pbtxt import quote, write_config
from plimsoll.core.triton.pbtxt_reader import known_fields, parse, rename, to_config
from plimsoll.errors import Invalid

OTHER_SPELLINGS = """
# a comment
name: 'di' "gits"   max_batch_size: 0x8;
input [ { name: "x", data_type: TYPE_FP32, dims: [ -1, 4 ] }, { name: "t" data_type: TYPE_STRING dims: 1 dims: 2 } ]
output < name: "y" data_type: TYPE_INT64 dims: [ 1 ] reshape: { shape: [ ] } >
parameters: { key: "k" value: { string_value: "a\\tb\\"c\\303\\244\\x41" } }
dynamic_batching { }
model_transaction_policy { decoupled: True }
sequence_batching { direct { minimum_slot_utilization: 0.5f } }
"""


def test_all_spellings_are_read() -> None:
    assert to_config(parse(OTHER_SPELLINGS)) == {
        "name": "digits",
        "max_batch_size": 8,
        "input": [
            {"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 4]},
            {"name": "t", "data_type": "TYPE_STRING", "dims": [1, 2]},
        ],
        "output": [{"name": "y", "data_type": "TYPE_INT64", "dims": [1], "reshape": {}}],
        "parameters": {"k": {"string_value": 'a\tb"cäA'}},
        "dynamic_batching": {},
        "model_transaction_policy": {"decoupled": True},
        "sequence_batching": {"direct": {"minimum_slot_utilization": 0.5}},
    }


CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(),
        "max_batch_size": st.integers(0, 2**31 - 1),
        "input": st.lists(
            st.fixed_dictionaries({"name": st.text(), "dims": st.lists(st.integers(-1, 2**63 - 1), min_size=1)}),
            min_size=1,
        ),
        "parameters": st.dictionaries(st.text(), st.fixed_dictionaries({"string_value": st.text()}), min_size=1),
        "dynamic_batching": st.fixed_dictionaries(
            {}, optional={"preserve_ordering": st.booleans(), "max_queue_delay_microseconds": st.integers(0, 2**64 - 1)}
        ),
        "optimization": st.just({"priority": "PRIORITY_MAX"}),
    },
)


@given(CONFIGS)
def test_what_is_written_is_read_back(config: dict[str, Any]) -> None:
    assert to_config(parse(write_config(config))) == config


@given(CONFIGS)
def test_equal_configurations_are_equal_bytes(config: dict[str, Any]) -> None:
    assert write_config(dict(reversed(config.items()))) == write_config(config)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name", "ends in the middle"),
        ('name: "x', "line 1"),
        ("input {", "ends in the middle"),
        ("a: 1\nb: @", "line 2 holds '@'"),
        ("name: }", "stands where the value"),
        ('"name": 1', "stands where a field's name belongs"),
        ("a 1", "has no value"),
        ("a { " * 40, "levels deep"),
    ],
)
def test_malformed_text(text: str, says: str) -> None:
    with pytest.raises(Invalid) as error:
        parse(text)
    assert says in error.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max_batch_sise: 1", "'max_batch_sise' is not known"),
        ("max_batch_size: many", "is not a number"),
        ('max_batch_size: "1"', "wrong kind"),
        ("input { data_type: TYPE_FLOAT }", "has the value 'TYPE_FLOAT'"),
        ('parameters { key: "k" }', "lacks its key or value"),
    ],
)
def test_text_that_is_no_model_config(text: str, says: str) -> None:
    with pytest.raises(Invalid) as error:
        to_config(parse(text))
    assert says in error.value.message


def test_fields_of_a_newer_server_do_not_matter_until_they_would_be_rewritten() -> None:
    assert known_fields(parse('name: "a" brand_new { x: 1 }')) == {"name": "a"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name: "a"  # kept\nbackend: "x"', 'name: "digits"  # kept\nbackend: "x"'),
        ("input { name: 'name' }\nname: 'a' \"b\"\n", "input { name: 'name' }\nname: \"digits\"\n"),
        ('backend: "x"', 'backend: "x"'),
    ],
)
def test_renaming_changes_nothing_else(text: str, expected: str) -> None:
    assert rename(text, "digits") == expected


def test_quoting() -> None:
    assert quote('a"\\\n\x00ä') == r'"a\"\\\n\000\303\244"'
