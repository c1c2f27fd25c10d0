"""From pydantic to a structural schema: what is translated, and what is refused as it would mean something else."""

from typing import Annotated, Any

import pytest
from pydantic import Field

from plimsoll.api.base import ApiModel, Quantity, Rule, list_map, parse_duration, to_wire
from plimsoll.api.crd import structural_schema
from plimsoll.api.v1alpha1 import DRAIN_LIMIT, ModelDeployment


class Inner(ApiModel):
    """An inner object."""

    rules = (Rule(cel="self.size > 0", message="size: must be above 0", holds=lambda inner: inner.size > 0),)

    size: int = 1
    """How large."""


class Outer(ApiModel):
    """An outer object."""

    first_part: Inner | None = None
    """The field's own
    words."""
    amount: Quantity = "1"
    """How much."""
    parts: Annotated[list[Inner] | None, Field(max_length=2, json_schema_extra=list_map("size"))] = None
    """Some."""
    limits: dict[str, Quantity] | None = None
    """Bounds."""
    inner: dict[str, Quantity] | None = None
    """Named as a class and not one."""


PROPERTIES = structural_schema(Outer)["properties"]


def test_references_are_inlined_and_the_fields_own_words_win() -> None:
    part = PROPERTIES["firstPart"]
    assert part["type"] == "object"
    assert part["properties"]["size"] == {"type": "integer", "default": 1, "description": "How large."}
    assert part["description"] == "The field's own words."


def test_an_optional_field_is_an_absent_one_not_a_nullable_one() -> None:
    assert "default" not in PROPERTIES["firstPart"]
    assert "anyOf" not in PROPERTIES["firstPart"]
    assert "required" not in structural_schema(Outer)


def test_rules_stand_at_every_use_of_their_object() -> None:
    rule = [{"rule": "self.size > 0", "message": "size: must be above 0"}]
    assert PROPERTIES["firstPart"]["x-kubernetes-validations"] == rule
    assert PROPERTIES["parts"]["items"]["x-kubernetes-validations"] == rule
    assert "x-kubernetes-validations" not in PROPERTIES["inner"]


def test_a_quantity_is_a_number_or_a_text_with_a_pattern() -> None:
    for node in (PROPERTIES["amount"], PROPERTIES["limits"]["additionalProperties"]):
        assert "type" not in node
        assert node["x-kubernetes-int-or-string"] is True
        assert {"pattern", "maxLength", "minimum"} <= node.keys()


@pytest.mark.parametrize(
    "annotation",
    [int | str, Annotated[int, Field(gt=0)], Annotated[int, Field(lt=9)], tuple[int, str]],
    ids=["a union", "an exclusive minimum", "an exclusive maximum", "a fixed tuple"],
)
def test_what_kubernetes_cannot_express_is_refused(annotation: Any) -> None:
    class Odd(ApiModel):
        """An object with an odd field."""

        field: annotation
        """The field."""

    with pytest.raises(ValueError, match=r"field.* cannot be expressed in a structural schema"):
        structural_schema(Odd)


def test_the_wire_form_leaves_out_what_was_not_said() -> None:
    assert to_wire(Outer(first_part=Inner(size=3))) == {"firstPart": {"size": 3}}


def test_an_older_operator_reads_what_a_newer_api_admitted() -> None:
    digest = "sha256:" + "0" * 64
    data = {"metadata": {"name": "m"}, "spec": {"model": {"uri": f"oci://r/m@{digest}", "fromTomorrow": 1}}}
    assert ModelDeployment.model_validate(data).spec.model.uri.endswith(digest)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("30s", 30), ("1m30s", 90), ("2h", 7200), ("1500ms", 1.5), ("1h1ms", 3600.001)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


def test_the_limit_of_drain_is_what_its_message_says() -> None:
    assert DRAIN_LIMIT.total_seconds() == 3600
