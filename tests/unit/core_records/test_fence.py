"""Each cut once, and every gap seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.records.fence import Admission, Fence, Gap

AT = 1000.0


def admitted(*cuts: tuple[str, int], fence: Fence | None = None) -> list[Admission]:
    """Admissions of cuts, as (boot, seq), of one gateway, one second apart."""
    fence = fence or Fence()
    return [fence.admit("gw", boot, seq, AT + second) for second, (boot, seq) in enumerate(cuts)]


NEXT = Admission(fresh=True)
USED = Admission(fresh=False)


def after(since: float | None, until: float, cuts: int | None) -> Admission:
    return Admission(fresh=True, gap=Gap("gw", since, until, cuts))


@pytest.mark.parametrize(
    ("cuts", "wanted"),
    [
        pytest.param([("a", 1), ("a", 2)], [NEXT, NEXT], id="in order from the start"),
        pytest.param([("a", 1), ("a", 1)], [NEXT, USED], id="a duplicate"),
        pytest.param([("a", 1), ("a", 4)], [NEXT, after(AT, AT + 1, 2)], id="two are missing"),
        pytest.param([("a", 1), ("a", 3), ("a", 2)], [NEXT, after(AT, AT + 1, 1), USED], id="overtaken: stays a gap"),
        pytest.param([("a", 9)], [after(None, AT, 8)], id="heard for the first time in the middle of its life"),
        pytest.param([("a", 5), ("b", 1)], [after(None, AT, 4), after(AT, AT + 1, None)], id="started anew"),
        pytest.param([("a", 1), ("b", 1), ("a", 2)], [NEXT, after(AT, AT + 1, None), USED], id="the former life"),
    ],
)
def test_admissions(cuts: list[tuple[str, int]], wanted: list[Admission]) -> None:
    assert admitted(*cuts) == wanted


def test_what_was_used_before_a_restart_of_the_controller_stays_used() -> None:
    before = Fence()
    admitted(("a", 1), ("a", 2), fence=before)
    assert admitted(("a", 2), ("a", 3), fence=Fence(before.last)) == [USED, NEXT]


def test_gateways_do_not_know_each_other() -> None:
    fence = Fence()
    assert [fence.admit(gateway, gateway, 1, AT) for gateway in ("one", "two")] == [NEXT, NEXT]
    assert fence.last == {"one": 1, "two": 1}


def test_a_gateway_that_is_gone_is_forgotten() -> None:
    fence = Fence()
    admitted(("a", 1), fence=fence)
    fence.forget("gw")
    assert fence.last == {}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), max_size=60))
def test_however_cuts_come_none_is_used_twice_and_none_after_a_later_one(cuts: list[tuple[str, int]]) -> None:
    used = [told for told, admission in zip(cuts, admitted(*cuts), strict=True) if admission.fresh]
    assert len(set(used)) == len(used)
    for boot in "abc":
        of_boot = [seq for life, seq in used if life == boot]
        assert of_boot == sorted(of_boot)


@given(st.lists(st.integers(1, 40), max_size=60))
def test_what_is_used_and_what_is_missing_make_the_whole(seqs: list[int]) -> None:
    found = admitted(*(("a", seq) for seq in seqs))
    used = sum(admission.fresh for admission in found)
    missing = sum(admission.gap.cuts or 0 for admission in found if admission.gap)
    assert used + missing == max(seqs, default=0)
