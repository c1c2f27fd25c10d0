"""What is published to gateways: the epoch only grows, whatever was lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.api.routing import RoutedRevision, Routing
from plimsoll.core.routing.publish import next_routing


def routing(epoch: int, stable: str | None, candidate: str | None = None) -> Routing:
    return Routing(
        epoch=epoch,
        revisions=[
            *([RoutedRevision(name=stable, weight_permille=1000)] if stable else []),
            *([RoutedRevision(name=candidate, weight_permille=0)] if candidate else []),
        ],
    )


@pytest.mark.parametrize(
    ("before", "mirrored", "stable", "candidate", "published"),
    [
        pytest.param(None, 0, None, None, routing(1, None), id="the first, with nothing to serve"),
        pytest.param(routing(1, None), 1, "r1", None, routing(2, "r1"), id="the first revision serves"),
        pytest.param(routing(2, "r1"), 2, "r1", None, routing(2, "r1"), id="no change"),
        pytest.param(routing(2, "r1"), 1, "r1", None, routing(2, "r1"), id="the mirror is behind"),
        pytest.param(routing(2, "r1"), 2, "r1", "r2", routing(3, "r1", "r2"), id="a candidate without weight"),
        pytest.param(routing(3, "r1", "r2"), 3, "r2", "r2", routing(4, "r2"), id="promoted"),
        pytest.param(None, 7, "r1", None, routing(8, "r1"), id="status was lost"),
        pytest.param(routing(3, "r1"), 7, "r1", None, routing(8, "r1"), id="status was restored from a backup"),
        pytest.param(routing(4, "r1"), 5, "r2", None, routing(6, "r2"), id="a crash between mirror and status"),
    ],
)
def test_published(
    before: Routing | None, mirrored: int, stable: str | None, candidate: str | None, published: Routing
) -> None:
    assert next_routing(before, mirrored, stable, candidate) == published


def test_whose_answers_may_be_kept_is_published() -> None:
    plain = next_routing(None, 0, "r1", "r2")
    assert [one.cacheable for one in plain.revisions] == [None, None]
    cached = next_routing(plain, 1, "r1", "r2", cacheable={"r1"})
    assert (cached.epoch, [one.cacheable for one in cached.revisions]) == (2, [True, False])
    assert next_routing(cached, 2, "r1", "r2", cacheable={"r1", "r0"}) == cached


def test_the_share_of_copies_is_the_candidates_and_ends_with_it() -> None:
    plain = next_routing(None, 0, "r1", "r2")
    copied = next_routing(plain, 1, "r1", "r2", shadow=50)
    assert (copied.epoch, [one.shadow_permille for one in copied.revisions]) == (2, [None, 50])
    promoted = next_routing(copied, 2, "r2", "r2", shadow=50)
    assert (promoted.epoch, promoted.revisions) == (3, [RoutedRevision(name="r2", weight_permille=1000)])
    alone = next_routing(None, 0, None, "r2", shadow=50)
    assert alone.revisions == [RoutedRevision(name="r2", weight_permille=0)], "there is nothing to copy"


_NAMES = st.sampled_from(["r1", "r2", "r3"])


_FATES = st.sampled_from(["kept", "lost", "restored", "not written"])


@given(st.lists(st.tuples(st.none() | _NAMES, st.none() | _NAMES, _FATES)))
def test_no_epoch_ever_says_two_things(steps: list[tuple[str | None, str | None, str]]) -> None:
    """Whatever happens to status, and where the controller dies between the mirror and status."""
    said: dict[int, list[RoutedRevision]] = {}
    status: Routing | None = None
    oldest: Routing | None = None
    mirrored = 0
    for stable, candidate, fate in steps:
        status = {"lost": None, "restored": oldest}.get(fate, status)
        published = next_routing(status, mirrored, stable, candidate)
        mirrored = published.epoch
        if fate == "not written":
            continue
        assert said.setdefault(published.epoch, published.revisions) == published.revisions
        assert published.epoch == max(said)
        status, oldest = published, oldest or published
