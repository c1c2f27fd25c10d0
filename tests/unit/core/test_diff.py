"""What counts as drift, and what is none of our business."""

from typing import Any

import pytest

from plimsoll.core.diff import contains, needs_apply
from plimsoll.core.names import DIGEST_ANNOTATION

SAME = [
    ("an equal value", {"a": 1}, {"a": 1}),
    ("a defaulted field", {"a": 1, "dnsPolicy": "ClusterFirst"}, {"a": 1}),
    ("an injected annotation", {"annotations": {"ours": "x", "mesh": "y"}}, {"annotations": {"ours": "x"}}),
    ("an injected label", {"labels": {"ours": "x", "team": "y"}}, {"labels": {"ours": "x"}}),
    ("an injected sidecar", [{"name": "triton"}, {"name": "mesh"}], [{"name": "triton"}]),
    ("a sidecar before ours", [{"name": "mesh"}, {"name": "triton", "image": "i"}], [{"name": "triton", "image": "i"}]),
    ("named things in another order", [{"name": "b"}, {"name": "a"}], [{"name": "a"}, {"name": "b"}]),
    ("defaults in a port", [{"port": 8000, "protocol": "TCP"}], [{"port": 8000}]),
    ("an injected variable", [{"name": "A", "value": "1"}, {"name": "B"}], [{"name": "A", "value": "1"}]),
    ("a quantity in another spelling", {"cpu": "1"}, {"cpu": "1000m"}),
    ("a quantity of bytes in another spelling", {"memory": "2Gi"}, {"memory": "2048Mi"}),
    ("a large quantity that was shortened", {"memory": "1E"}, {"memory": "1000P"}),
    ("defaults beside a selector", {"selector": {"a": "1"}, "sessionAffinity": "None"}, {"selector": {"a": "1"}}),
    ("a node selector that we do not state", {"nodeSelector": {"pool": "gpu"}}, {}),
    ("an absent field for an empty selector", {}, {"nodeSelector": {}}),
    ("an absent field for an empty text", {}, {"value": ""}),
    ("an absent field for an empty map", {}, {"emptyDir": {}}),
    ("an absent field for an empty list", {}, {"args": []}),
    ("an absent field for false", {}, {"readOnly": False}),
    ("a null for an empty map", None, {}),
]

DRIFT = [
    ("another value", {"a": 2}, {"a": 1}),
    ("a missing field", {}, {"a": 1}),
    ("a missing map", {}, {"labels": {"ours": "x"}}),
    ("a changed label", {"labels": {"ours": "y"}}, {"labels": {"ours": "x"}}),
    ("a further label in a selector", {"selector": {"a": "1", "x": "y"}}, {"selector": {"a": "1"}}),
    ("a further label to match", {"matchLabels": {"a": "1", "x": "y"}}, {"matchLabels": {"a": "1"}}),
    ("a further expression to match", {"selector": {"matchLabels": {}, "x": []}}, {"selector": {"matchLabels": {}}}),
    ("a further node label", {"spec": {"nodeSelector": {"a": "1", "x": "y"}}}, {"spec": {"nodeSelector": {"a": "1"}}}),
    ("no selector", {}, {"selector": {"a": "1"}}),
    ("a removed container", [{"name": "mesh"}], [{"name": "triton"}]),
    ("a changed image", [{"name": "triton", "image": "j"}], [{"name": "triton", "image": "i"}]),
    ("a longer command", ["serve", "--debug"], ["serve"]),
    ("arguments in another order", ["-b", "-a"], ["-a", "-b"]),
    ("a further toleration", [{"key": "gpu"}, {"key": "x"}], [{"key": "gpu"}]),
    ("another quantity", {"cpu": "2"}, {"cpu": "1"}),
    ("text in place of a list", "serve", ["serve"]),
    ("a list in place of text", ["serve"], "serve"),
    ("a list in place of a map", [], {"a": 1}),
    ("a number in place of text", 1, "1"),
    ("true in place of false", {"readOnly": True}, {"readOnly": False}),
]


@pytest.mark.parametrize(("have", "want"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_is_no_drift(have: Any, want: Any) -> None:
    assert contains(have, want)


@pytest.mark.parametrize(("have", "want"), [row[1:] for row in DRIFT], ids=[row[0] for row in DRIFT])
def test_is_drift(have: Any, want: Any) -> None:
    assert not contains(have, want)


def _manifest(digest: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"annotations": {DIGEST_ANNOTATION: digest}}, "spec": spec}


@pytest.mark.parametrize(
    ("have", "want", "needed"),
    [
        pytest.param(_manifest("1", a=1, status=2), _manifest("1", a=1), False, id="as applied"),
        pytest.param(_manifest("1", a=1, b=2), _manifest("2", a=1), True, id="a field was removed from what we want"),
        pytest.param(_manifest("1", a=2), _manifest("1", a=1), True, id="somebody changed our field"),
        pytest.param({"metadata": {}, "spec": {"a": 1}}, _manifest("1", a=1), True, id="the digest was removed"),
        pytest.param({"metadata": {"annotations": None}, "spec": {}}, _manifest("1"), True, id="no annotations at all"),
    ],
)
def test_needs_apply(have: dict[str, Any], want: dict[str, Any], needed: bool) -> None:  # noqa: FBT001 - a column
    assert needs_apply(want, have) is needed
