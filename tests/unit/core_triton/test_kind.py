"""Whether a model keeps a state, from the configuration that its server tells."""

from __future__ import annotations

import pytest

from plimsoll.core.triton.kind import keeps_state


@pytest.mark.parametrize(
    ("config", "stateful"),
    [
        pytest.param(b'{"name":"digits","dynamic_batching":{}}', False, id="plain"),
        pytest.param(b'{"name":"digits","ensemble_scheduling":{"step":[]}}', False, id="ensemble"),
        pytest.param(b'{"name":"talk","sequence_batching":{"direct":{}}}', True, id="sequences"),
        pytest.param(b'{"name":"talk","sequence_batching":{}}', True, id="sequences, with nothing said of them"),
        pytest.param(b'{"error":"not ready"}', None, id="no configuration"),
        pytest.param(b"[]", None, id="no object"),
        pytest.param(b"<html>", None, id="no JSON"),
    ],
)
def test_kind(config: bytes, stateful: bool | None) -> None:  # noqa: FBT001 - a column of the table
    assert keeps_state(config) is stateful
