import asyncio
import selectors

from plimsoll.preflight.event_loop import precise_loop, run_precisely


def test_it_waits_for_less_than_a_millisecond() -> None:
    """epoll and poll count in milliseconds, and the loop rounds up for them."""
    loop = precise_loop()
    try:
        assert isinstance(loop._selector, selectors.SelectSelector)  # type: ignore[attr-defined]  # noqa: SLF001
    finally:
        loop.close()


def test_work_runs_to_its_end() -> None:
    assert run_precisely(asyncio.sleep(0.001, "awake")) == "awake"
