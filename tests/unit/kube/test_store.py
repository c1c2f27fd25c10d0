"""The store: newest wins, deletions stay deleted, owners are told of real changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.kube.store import MAX_TOMBSTONES, Change, Store, itself, owner_by_label

KEY = ("ns", "a")
OWNER = ("ns", "digits")


def thing(
    version: int, value: str = "x", *, name: str = "a", owner: str | None = "digits", uid: str = "u1"
) -> dict[str, Any]:
    labels = {"labels": {"model": owner}} if owner else {}
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version), **labels},
        "v": value,
    }


class Told:
    """A store with a list of what it told."""

    def __init__(self) -> None:
        self.store: Store[str] = Store(lambda obj: obj["v"], owner_by_label("model"))
        self.changes: list[Change] = []
        self.store.subscribe(self.changes.append)

    def taken(self) -> list[Change]:
        changes, self.changes[:] = list(self.changes), []
        return changes


@pytest.fixture
def told() -> Told:
    return Told()


def test_an_object_is_found_by_key_and_by_owner(told: Told) -> None:
    told.store.put_if_newer(thing(1, "b-value", name="b"))
    told.store.put_if_newer(thing(2, "a-value", name="a"))
    assert told.store.get(KEY) == "a-value"
    assert told.store.owned_by(OWNER) == ["a-value", "b-value"]
    assert told.store.version_of(KEY) == 2
    assert list(told.store.owners()) == [OWNER]
    assert (len(told.store), sorted(told.store)) == (2, ["a-value", "b-value"])
    assert sorted(told.store.keys()) == [("ns", "a"), ("ns", "b")]


def test_what_was_never_seen(told: Told) -> None:
    assert told.store.get(KEY) is None
    assert told.store.version_of(KEY) == 0
    assert told.store.owned_by(OWNER) == []
    assert told.store.delete(KEY, "5") is False


@pytest.mark.parametrize(("version", "kept"), [(4, False), (5, False), (6, True)])
def test_only_a_newer_version_is_kept(told: Told, version: int, *, kept: bool) -> None:
    told.store.put_if_newer(thing(5, "old"))
    assert told.store.put_if_newer(thing(version, "new")) is kept
    assert told.store.get(KEY) == ("new" if kept else "old")


@pytest.mark.parametrize("version", ["", "abc", "-1", None])
def test_a_version_nobody_can_read_is_kept(told: Told, version: str | None) -> None:
    told.store.put_if_newer(thing(5, "old"))
    odd = thing(1, "odd")
    odd["metadata"]["resourceVersion"] = version
    assert told.store.put_if_newer(odd) is True
    assert told.store.get(KEY) == "odd"


def test_versions_are_compared_as_numbers(told: Told) -> None:
    told.store.put_if_newer(thing(9))
    assert told.store.put_if_newer(thing(10)) is True


def test_the_late_response_of_a_write_does_not_bring_a_deleted_object_back(told: Told) -> None:
    told.store.put_if_newer(thing(5))
    assert told.store.delete(KEY, "8") is True
    assert told.store.put_if_newer(thing(7)) is False
    assert told.store.get(KEY) is None
    assert told.store.version_of(KEY) == 8


def test_the_object_made_anew_is_kept(told: Told) -> None:
    told.store.put_if_newer(thing(5, "old"))
    told.store.delete(KEY, "8")
    assert told.store.put_if_newer(thing(9, "new", uid="u2")) is True
    assert told.store.get(KEY) == "new"


def test_a_late_deletion_does_not_remove_the_object_made_anew(told: Told) -> None:
    told.store.put_if_newer(thing(9, "new", uid="u2"))
    assert told.store.delete(KEY, "8") is False
    assert told.store.get(KEY) == "new"


def test_tombstones_are_bounded(told: Told) -> None:
    for number in range(MAX_TOMBSTONES + 10):
        told.store.delete(("ns", f"n{number}"), str(number + 1))
    assert told.store.version_of(("ns", "n0")) == 0
    assert told.store.version_of(("ns", f"n{MAX_TOMBSTONES + 9}")) == MAX_TOMBSTONES + 10


class TestTelling:
    def test_of_a_new_a_changed_and_a_deleted_object(self, told: Told) -> None:
        told.store.put_if_newer(thing(1))
        told.store.put_if_newer(thing(2, "y"))
        told.store.delete(KEY, "3")
        assert told.taken() == [Change("ns", "a", OWNER)] * 3

    def test_nothing_when_the_projection_is_the_same(self, told: Told) -> None:
        told.store.put_if_newer(thing(1))
        told.taken()
        assert told.store.put_if_newer(thing(2)) is True
        assert told.taken() == []
        assert told.store.version_of(KEY) == 2

    def test_when_another_object_took_the_name(self, told: Told) -> None:
        told.store.put_if_newer(thing(1))
        told.taken()
        told.store.put_if_newer(thing(2, uid="u2"))
        assert told.taken() == [Change("ns", "a", OWNER)]

    def test_both_owners_when_an_object_changes_hands(self, told: Told) -> None:
        told.store.put_if_newer(thing(1))
        told.taken()
        told.store.put_if_newer(thing(2, owner="other"))
        assert told.taken() == [Change("ns", "a", OWNER), Change("ns", "a", ("ns", "other"))]
        assert told.store.owned_by(OWNER) == []
        assert told.store.owned_by(("ns", "other")) == ["x"]

    def test_the_old_owner_when_the_label_is_removed(self, told: Told) -> None:
        told.store.put_if_newer(thing(1))
        told.taken()
        told.store.put_if_newer(thing(2, owner=None))
        assert told.taken() == [Change("ns", "a", OWNER)]
        assert list(told.store.owners()) == []

    def test_an_object_of_nobody(self, told: Told) -> None:
        told.store.put_if_newer(thing(1, owner=None))
        assert told.taken() == [Change("ns", "a", None)]

    def test_the_primary_kind_owns_itself(self) -> None:
        store: Store[str] = Store(lambda obj: obj["v"], itself)
        store.put_if_newer(thing(1, owner=None))
        assert store.owned_by(KEY) == ["x"]


class TestReplacing:
    def replace(self, told: Told, version: int, *objects: dict[str, Any]) -> int:
        told.store.begin_replace(str(version))
        for obj in objects:
            told.store.put_if_newer(obj)
        return told.store.finish_replace({("ns", obj["metadata"]["name"]) for obj in objects}, str(version))

    def test_deletions_in_the_gap_are_noticed(self, told: Told) -> None:
        told.store.put_if_newer(thing(1, name="a"))
        told.store.put_if_newer(thing(2, name="b"))
        told.taken()
        assert self.replace(told, 10, thing(1, name="a")) == 1
        assert told.taken() == [Change("ns", "b", OWNER)]
        assert told.store.get(("ns", "b")) is None

    def test_unchanged_objects_are_skipped(self, told: Told) -> None:
        told.store.put_if_newer(thing(1))
        told.taken()
        assert self.replace(told, 10, thing(1)) == 0
        assert told.taken() == []

    def test_an_object_we_created_during_the_list_stays(self, told: Told) -> None:
        told.store.begin_replace("10")
        told.store.put_if_newer(thing(11, name="mine"))
        assert told.store.finish_replace(set(), "10") == 0
        assert told.store.get(("ns", "mine")) == "x"

    def test_a_newer_version_of_ours_is_not_undone_by_the_list(self, told: Told) -> None:
        told.store.put_if_newer(thing(11, "ours"))
        self.replace(told, 10, thing(9, "listed"))
        assert told.store.get(KEY) == "ours"

    def test_a_cluster_restored_from_a_backup_wins(self, told: Told) -> None:
        self.replace(told, 100, thing(90, "lost"), thing(95, name="b"))
        told.store.delete(("ns", "c"), "99")
        assert self.replace(told, 50, thing(40, "restored"), thing(45, name="c")) == 1
        assert told.store.get(KEY) == "restored"
        assert told.store.get(("ns", "b")) is None
        assert told.store.get(("ns", "c")) == "x"


_NAMES = st.sampled_from(["a", "b", "c"])
_OWNERS = st.sampled_from(["p", "q", None])


@given(
    st.lists(st.tuples(_NAMES, _OWNERS, st.sampled_from("xy"), st.booleans()), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_any_order_of_delivery_ends_in_the_newest_state(
    history: list[tuple[str, str | None, str, bool]], chance: Any
) -> None:
    """Watch and responses race: events come twice and out of order, and the end is the same, owners included."""
    events = [(number + 1, *step) for number, step in enumerate(history)]
    delivered = [*events, *events]
    chance.shuffle(delivered)
    store: Store[str] = Store(lambda obj: obj["v"], owner_by_label("model"))
    for version, name, owner, value, deleted in delivered:
        if deleted:
            store.delete(("ns", name), str(version))
        else:
            store.put_if_newer(thing(version, value, name=name, owner=owner))
    newest = {name: (owner, value, deleted) for _, name, owner, value, deleted in events}
    alive = {("ns", name): (owner, value) for name, (owner, value, deleted) in newest.items() if not deleted}
    assert {key: store.get(key) for key in list(store.keys())} == {key: value for key, (_, value) in alive.items()}
    for owner in ("p", "q"):
        owned = [value for _, (of, value) in sorted(alive.items()) if of == owner]
        assert store.owned_by(("ns", owner)) == owned
    assert set(store.owners()) == {("ns", owner) for owner, _ in alive.values() if owner}
