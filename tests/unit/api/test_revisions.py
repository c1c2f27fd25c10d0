"""What every field of spec says about revisions: its own word, that of the field around it, or that of those below."""

from typing import Any

import pytest

from plimsoll.api.crd import custom_resource_definition
from plimsoll.api.revisions import MakesRevision, said_by, say_revisions, without_sentence
from plimsoll_dev.generate.schema_fields import fields_of

YES, NO, BY_FIELD = MakesRevision.YES, MakesRevision.NO, MakesRevision.BY_FIELD
SAYS_YES, SAYS_NO = ("A field. Makes a new revision: yes.", "A field. Makes a new revision: no.")


def node(description: str = "A field.", **below: Any) -> dict[str, Any]:
    return {"type": "object", "description": description, **({"properties": below} if below else {})}


def listed(description: str, **below: Any) -> dict[str, Any]:
    return {"type": "array", "description": description, "items": node("An item.", **below)}


def mapped(description: str, **below: Any) -> dict[str, Any]:
    return {"type": "object", "description": description, "additionalProperties": listed("A value.", **below)}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        pytest.param(node(SAYS_YES), {"": YES}, id="its own word"),
        pytest.param(node(SAYS_NO, a=node(b=node())), {"": NO, "a": NO, "a.b": NO}, id="that of the field around it"),
        pytest.param(listed(SAYS_NO, a=node()), {"": NO, "[].a": NO}, id="through a list"),
        pytest.param(mapped(SAYS_NO, a=node()), {"": NO, "{}[].a": NO}, id="through a map of lists"),
        pytest.param(node(a=node(SAYS_NO), b=node(SAYS_NO)), {"": NO, "a": NO, "b": NO}, id="that of all below"),
        pytest.param(
            node(a=node(b=node(SAYS_YES), c=node(SAYS_NO)), d=node(SAYS_YES)),
            {"": BY_FIELD, "a": BY_FIELD, "a.b": YES, "a.c": NO, "d": YES},
            id="those below differ",
        ),
    ],
)
def test_what_is_said(schema: dict[str, Any], said: dict[str, MakesRevision]) -> None:
    say_revisions(schema, "field")
    told = {"": said_by(schema["description"])} | {field.path: field.makes_revision for field in fields_of(schema)}
    assert {path: word for path, word in told.items() if word} == said


def test_it_is_said_once_after_the_fields_own_words() -> None:
    schema = node("What is wanted.", a=node("A part. Makes a new revision: no."))
    say_revisions(schema, "spec")
    assert schema["description"] == "What is wanted. Makes a new revision: no."
    assert schema["properties"]["a"]["description"] == "A part. Makes a new revision: no."
    assert without_sentence(schema["description"]) == "What is wanted."


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        (node(a=node(SAYS_YES), b=node()), "field.b does not say whether it makes a new revision"),
        (node(SAYS_YES, a=node(SAYS_NO)), "field says that it makes a new revision: yes; a field below it says other"),
    ],
    ids=["nobody says", "a contradiction"],
)
def test_what_cannot_be_said(schema: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        say_revisions(schema, "field")


def test_every_field_of_spec_says_it() -> None:
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    named = [field for field in fields_of(schema) if not field.path.endswith(("[]", "{}"))]
    assert {field.path.partition(".")[0] for field in named if field.makes_revision} == {"spec"}
    assert [field.path for field in named if field.path.startswith("spec") and not field.makes_revision] == []
    assert {field.path for field in named if field.makes_revision is BY_FIELD} == {
        "spec",
        "spec.model",
        "spec.runtime",
        "spec.runtime.pod",
    }
