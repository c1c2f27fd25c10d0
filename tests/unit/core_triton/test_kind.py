"""Whether a model keeps a state, and what it is made of, from the configuration that its server tells."""

from __future__ import annotations

import pytest

from plimsoll.core.triton.kind import Kind, kind_of


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        pytest.param(b'{"name":"digits","dynamic_batching":{}}', Kind(keeps_state=False), id="plain"),
        pytest.param(b'{"name":"talk","sequence_batching":{"direct":{}}}', Kind(keeps_state=True), id="sequences"),
        pytest.param(b'{"name":"talk","sequence_batching":{}}', Kind(keeps_state=True), id="with nothing said of them"),
        pytest.param(
            b'{"name":"all","ensemble_scheduling":{"step":[{"model_name":"b"},{"model_name":"a"},{"model_name":"b"}]}}',
            Kind(keeps_state=False, parts=("b", "a")),
            id="ensemble",
        ),
        pytest.param(b'{"name":"all","ensemble_scheduling":{}}', Kind(keeps_state=False), id="of nothing"),
        pytest.param(b'{"name":"all","ensemble_scheduling":{"step":[{}]}}', None, id="a step without a model"),
        pytest.param(b'{"name":"all","ensemble_scheduling":{"step":{"a":1}}}', None, id="steps that are no list"),
        pytest.param(b'{"name":"all","ensemble_scheduling":{"step":7}}', None, id="steps that are a number"),
        pytest.param(b'{"name":"all","ensemble_scheduling":{"step":[7]}}', None, id="a step that is a number"),
        pytest.param(
            b'{"name":"all","ensemble_scheduling":{"step":[{"model_name":[]}]}}', None, id="a name of nothing"
        ),
        pytest.param(b'{"name":"all","ensemble_scheduling":7}', None, id="an ensemble that is a number"),
        pytest.param(b'{"error":"not ready"}', None, id="no configuration"),
        pytest.param(b"[]", None, id="no object"),
        pytest.param(b"<html>", None, id="no JSON"),
    ],
)
def test_kind(config: bytes, kind: Kind | None) -> None:
    assert kind_of(config) == kind
