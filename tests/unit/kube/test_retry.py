"""Which failures the client repeats by itself."""

from __future__ import annotations

import pytest

from plimsoll.kube.errors import ApiError, Conflict, Forbidden, NotFound, ServerError, Throttled, Unreachable
from plimsoll.kube.retry import retry_wait_s


def throttled(after: float | None) -> ApiError:
    return Throttled(429, "TooManyRequests", "", retry_after=after)


def unavailable(after: float | None) -> ApiError:
    return ServerError(503, "ServiceUnavailable", "", retry_after=after)


SENT, UNSENT = Unreachable("", sent=True), Unreachable("", sent=False)


@pytest.mark.parametrize(
    ("error", "repeatable", "wait"),
    [
        pytest.param(throttled(2.0), False, 2.0, id="429: nothing was done, so even a create is repeated"),
        pytest.param(throttled(None), False, 0.125, id="429 without Retry-After: own back-off"),
        pytest.param(throttled(30.0), True, None, id="too long to sleep on: the caller schedules it"),
        pytest.param(unavailable(1.0), False, 1.0, id="503 with Retry-After: nothing was done"),
        pytest.param(unavailable(None), True, None, id="503 of a proxy: the caller decides"),
        pytest.param(UNSENT, False, 0.125, id="never sent: even a create is repeated"),
        pytest.param(SENT, True, 0.125, id="perhaps done, and harmless to do twice"),
        pytest.param(SENT, False, None, id="perhaps done: a create is not repeated"),
        pytest.param(ServerError(500, "InternalError", ""), True, None, id="500"),
        pytest.param(Conflict(409, "Conflict", ""), True, None, id="conflict"),
        pytest.param(NotFound(404, "NotFound", ""), True, None, id="not found"),
        pytest.param(Forbidden(403, "Forbidden", ""), True, None, id="forbidden"),
    ],
)
def test_first_failure(error: ApiError, *, repeatable: bool, wait: float | None) -> None:
    assert retry_wait_s(error, attempt=0, repeatable=repeatable, longest_s=5, chance=0) == wait


def test_the_pause_doubles_with_jitter_on_top() -> None:
    waits = [retry_wait_s(UNSENT, attempt=n, repeatable=True, longest_s=9, chance=1) for n in range(4)]
    assert waits == [0.25, 0.5, 1.0, 2.0]


def test_the_server_is_never_asked_earlier_than_it_said() -> None:
    for chance in (0.0, 0.5, 0.99):
        wait = retry_wait_s(throttled(3.0), attempt=0, repeatable=True, longest_s=9, chance=chance)
        assert wait is not None
        assert wait >= 3.0
