"""Which edits ask another question, and which do not."""

from typing import Any

import pytest
from tests.support.builders import digits, revision_of

from plimsoll.core.preflight.key import data_names, verdict_key

OWNER = digits("a", preflight={})


def key(model: str = "a", stable: str | None = "digits-old", data: dict[str, str] | None = None, **spec: Any) -> str:
    owner = digits(model, **{"preflight": {}, **spec})
    return verdict_key(owner.spec, revision_of(owner), stable, data or {})


@pytest.mark.parametrize(
    "more",
    [
        {"replicas": 5},
        {"runtime": {"drain": "1m"}},
        {"runtime": {"pod": {"nodeSelector": {"pool": "gpu"}}}},
        {"preflight": {"mode": "Enforce", "budget": "2m", "repeats": 10}},
        {"preflight": {"enforce": ["Load", "Golden", "Accuracy"]}},
    ],
    ids=str,
)
def test_the_same_question(more: dict[str, Any]) -> None:
    assert key(**more) == key()


@pytest.mark.parametrize(
    "more",
    [
        {"model": "b"},
        {"stable": None},
        {"stable": "digits-other"},
        {"data": {"cases": "1"}},
        {"objective": {"latency": [{"percentile": "99", "max": "200ms"}]}},
        {"preflight": {"mode": "Warn"}},
        {"preflight": {"budget": "5m"}},
        {"preflight": {"accuracy": {"maxLoss": "1%"}}},
        {"runtime": {"accelerator": "Nvidia"}},
    ],
    ids=str,
)
def test_another_question(more: dict[str, Any]) -> None:
    assert key(**more) != key()


def test_the_names_of_data() -> None:
    data = {
        "golden": {"name": "cases", "key": "k"},
        "accuracy": {"dataset": {"name": "rows", "key": "k"}, "reference": {"name": "fp32"}},
    }
    assert data_names(digits(preflight=data).spec) == {"cases", "rows"}
    assert data_names(digits(preflight={}).spec) == set()
