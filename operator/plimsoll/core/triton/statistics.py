"""What a model server's statistics say."""

from __future__ import annotations

import orjson


def last_inference_s(statistics: bytes) -> float | None:
    """Returns when any version last computed, in seconds since 1970 by the server's clock; 0 where none ever did.

    Source: the `last_inference` of Triton's statistics extension, in milliseconds since 1970.

    Args:
        statistics: The answer to `GET /v2/models/NAME/stats`.

    Returns:
        None where it does not say.
    """
    try:
        read = orjson.loads(statistics)
    except orjson.JSONDecodeError:
        return None
    listed = read.get("model_stats") if isinstance(read, dict) else None
    if not isinstance(listed, list) or not listed:
        return None
    times = [one.get("last_inference") if isinstance(one, dict) else None for one in listed]
    known = [time for time in times if type(time) is int and time >= 0]
    return max(known) / 1000 if len(known) == len(times) else None
