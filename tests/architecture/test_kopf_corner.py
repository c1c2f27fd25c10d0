"""kopf is a trigger and nothing more: it stores nothing, writes nothing, and decides nothing (ADR 0002)."""

from itertools import islice
from typing import Any

import kopf

from plimsoll.controller.handlers import build_registry
from plimsoll.controller.kopf_settings import EndlessBackoffs, NoDiffBase, NoProgress, configure

ALLOWED_ACTIVITIES = {"startup", "cleanup", "authentication", "probe"}


def handlers(registry: kopf.OperatorRegistry, part: str) -> list[Any]:
    return list(getattr(registry, part).get_all_handlers())


async def login() -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(server="https://api.example.com")


def test_there_are_only_event_and_life_cycle_handlers() -> None:
    """With null storages, a create, update, resume, timer or daemon handler would see a creation at every event."""
    registry = build_registry(lambda _key: None, login)
    for part in ("_changing", "_spawning", "_indexing", "_webhooks"):
        assert handlers(registry, part) == []
    assert len(handlers(registry, "_watching")) == 1
    assert {handler.activity.value for handler in handlers(registry, "_activities")} <= ALLOWED_ACTIVITIES


def test_every_part_of_a_registry_is_known_here() -> None:
    assert vars(kopf.OperatorRegistry()).keys() == {
        *("_activities", "_indexing", "_watching", "_spawning", "_changing", "_webhooks")
    }


async def test_an_event_puts_the_key_into_the_queue_and_nothing_else() -> None:
    queued: list[tuple[str, str]] = []
    (handler,) = handlers(build_registry(queued.append, login), "_watching")
    assert await handler.fn(namespace="vision", name="digits", type="MODIFIED", body={}) is None
    assert await handler.fn(namespace=None, name="digits", type="MODIFIED") is None
    assert queued == [("vision", "digits")]


def test_what_is_listed_at_the_start_is_left_to_our_own_caches() -> None:
    (handler,) = handlers(build_registry(lambda _: None, login), "_watching")
    kinds = ("ADDED", "MODIFIED", "DELETED", None)
    assert [kind for kind in kinds if handler.when(type=kind, namespace="vision", name="digits")] == [*kinds[:3]]


def test_the_storages_keep_and_write_nothing() -> None:
    body = kopf.Body({"metadata": {"name": "digits"}, "spec": {"x": 1}})
    patch = kopf.Patch()
    base, progress = NoDiffBase(), NoProgress()
    base.store(body=body, patch=patch, essence=kopf.BodyEssence({}))
    progress.store(key="k", record={}, body=body, patch=patch)
    progress.purge(key="k", body=body, patch=patch)
    progress.touch(body=body, patch=patch, value="now")
    assert patch == {}
    assert base.fetch(body=body) is None
    assert base.build(body=body) == {}
    assert progress.fetch(key="k", body=body) is None
    assert progress.clear(essence={"spec": {"x": 1}}) == {"spec": {"x": 1}}


def test_the_settings_that_keep_it_there() -> None:
    settings = configure(kopf.OperatorSettings())
    assert isinstance(settings.persistence.diffbase_storage, NoDiffBase)
    assert isinstance(settings.persistence.progress_storage, NoProgress)
    assert settings.peering.standalone
    assert settings.scanning.disabled
    assert not settings.posting.enabled


def test_pauses_never_run_out_and_start_again_for_every_request() -> None:
    backoffs = EndlessBackoffs()
    assert list(islice(backoffs, 8)) == [1, 2, 4, 8, 16, 30, 30, 30]
    assert list(islice(backoffs, 2)) == [1, 2]
