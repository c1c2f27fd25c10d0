"""From status and spec to what requests are compared with."""

from fractions import Fraction
from typing import Any

from plimsoll.api.preflight_report import Outcome
from plimsoll.api.preflight_status import MAX_TENSORS, PreflightStatus
from plimsoll.api.requests_validation import InputChecks
from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.schema import Check, Checks, Declared, checks_of, schema_of


def status(**more: Any) -> PreflightStatus:
    return PreflightStatus(
        revision="digits-1", outcome=Outcome.PASSED, reason="Passed", key="k", at="2026-01-01T00:00:00Z", **more
    )


def listed(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "dataType": "FP32", "dims": [4, -1]} for name in names]


def test_a_batching_model_has_one_dimension_more() -> None:
    schema = schema_of(status(inputs=listed("x"), outputs=listed("y"), max_batch_size=8))
    assert schema is not None
    assert schema.inputs == {"x": Declared(DataType.FP32, (-1, 4, -1))}
    assert schema.outputs == {"y": Declared(DataType.FP32, (-1, 4, -1))}
    assert (schema.max_batch_size, schema.knows_all_inputs) == (8, True)


def test_one_that_does_not_batch_has_not() -> None:
    for size in (0, None):
        schema = schema_of(status(inputs=listed("x"), outputs=listed("y"), max_batch_size=size))
        assert schema is not None
        assert schema.inputs["x"].shape == (4, -1)


def test_an_input_may_be_optional() -> None:
    inputs = [*listed("x"), {**listed("y")[0], "optional": True}]
    schema = schema_of(status(inputs=inputs, outputs=listed("z")))
    assert schema is not None
    assert [declared.is_optional for declared in schema.inputs.values()] == [False, True]


def test_without_an_interface_nothing_is_checked() -> None:
    assert schema_of(status()) is None
    assert schema_of(status(inputs=listed("x"))) is None


def test_status_holds_so_many_tensors_that_more_may_exist() -> None:
    names = [f"i{n}" for n in range(MAX_TENSORS)]
    schema = schema_of(status(inputs=listed(*names), outputs=listed("y")))
    assert schema is not None
    assert not schema.knows_all_inputs


def test_what_the_owner_says_of_inputs() -> None:
    spec = InputChecks.model_validate(
        {
            "inputs": [
                {"name": "age", "min": "-0.5", "max": 120, "default": "35"},
                {"name": "x", "notFinite": "Allow"},
            ]
        }
    )
    assert checks_of(spec) == Checks(
        {
            "age": Check(Fraction(-1, 2), Fraction(120), "35"),
            "x": Check(takes_not_finite=True),
        }
    )
    assert checks_of(InputChecks()).of("anything") == Check()
