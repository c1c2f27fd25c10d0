"""An output that states no confidence is told to whoever named it, with the ones that could."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import children_of, digits, observed, revision_of, verdict_of

from plimsoll.api.preflight_report import ServedTensor
from plimsoll.api.vocabulary import DataType
from plimsoll.core.confidence.warning import confidence_warning

OWNER = digits("a", requests={"confidence": {"output": "p", "threshold": "0.8"}})
REVISION = revision_of(OWNER, 1)


def outputs(**kinds: DataType) -> tuple[ServedTensor, ...]:
    return tuple(ServedTensor(name=name, data_type=kind, dims=[3]) for name, kind in kinds.items())


MANY = outputs(**{f"y{number}": DataType.INT64 for number in range(64)})


@pytest.mark.parametrize(
    ("why", "served", "said"),
    [
        ("as it should be", outputs(p=DataType.FP32, label=DataType.INT64), ""),
        ("nothing is known of its outputs", (), ""),
        ("there are more than a preflight tells of", MANY, ""),
        (
            "a name that is misspelt",
            outputs(probabilities=DataType.FP16, label=DataType.INT64),
            (
                f"No answer of revision {REVISION.name} is judged by its confidence, because it has no output 'p'; "
                "name an output of floating-point numbers: 'probabilities'"
            ),
        ),
        (
            "the label",
            outputs(p=DataType.INT64),
            (
                f"No answer of revision {REVISION.name} is judged by its confidence, because its output 'p' is INT64; "
                "remove requests.confidence"
            ),
        ),
    ],
)
def test_the_warning(why: str, served: tuple[ServedTensor, ...], said: str) -> None:
    verdict = verdict_of(REVISION, "key", outputs=served)
    world = observed(OWNER, *children_of(OWNER, REVISION), REVISION, verdict)
    assert confidence_warning(world, REVISION.name) == said, why


@pytest.mark.parametrize("requests", [None, {}])
def test_who_asks_for_nothing_is_told_nothing(requests: Any) -> None:
    owner = digits("a", **({} if requests is None else {"requests": requests}))
    world = observed(owner, REVISION, verdict_of(REVISION, "key", outputs=outputs(y=DataType.INT64)))
    assert confidence_warning(world, REVISION.name) == ""


def test_a_revision_that_was_never_examined_is_not_spoken_of() -> None:
    assert confidence_warning(observed(OWNER, REVISION), REVISION.name) == ""
