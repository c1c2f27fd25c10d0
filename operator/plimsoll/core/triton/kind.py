"""What the configuration that a model server tells says about the kind of its model."""

from __future__ import annotations

import orjson


def keeps_state(config: bytes) -> bool | None:
    """Tells whether answers depend on the requests before, from the answer to `GET /v2/models/NAME/config`.

    An ensemble tells nothing of the models within it: one that has a sequence model inside is not found out here.

    Returns:
        None where the answer is no configuration.
    """
    try:
        read = orjson.loads(config)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(read, dict) or "name" not in read:
        return None
    return "sequence_batching" in read
