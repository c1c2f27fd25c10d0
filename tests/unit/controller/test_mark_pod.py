"""A mark on a pod: who writes it, and what happens where the pod has gone."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.controller.writer import Belonging, Writer
from plimsoll.core.actions import MarkPod
from plimsoll.core.names import MARK_MANAGER
from plimsoll.kube.client import Client
from plimsoll.kube.errors import ApiError, Conflict, NotFound, Unreachable
from plimsoll.kube.resources import PODS, JsonObject, Resource
from plimsoll.kube.writes import OwnWrites

MANIFEST: JsonObject = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "namespace": "vision", "uid": "uid-a", "annotations": {"x": "y"}},
}
MARK = MarkPod(MANIFEST, "it is to go")
OWNER = ("vision", "digits")


class Api(Client):
    """Answers an apply with one thing."""

    def __init__(self, answer: ApiError | JsonObject) -> None:
        self.answer = answer
        self.applied: list[tuple[Resource, JsonObject, str]] = []

    async def apply(self, resource: Resource, obj: JsonObject, *, manager: str, **_: Any) -> JsonObject:
        self.applied.append((resource, obj, manager))
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


def writer(api: Api) -> Writer:
    return Writer(api, {}, OwnWrites({}), Belonging(lambda _have, _want: True, lambda _kind, name: name))


async def test_it_is_applied_to_that_very_pod_under_a_manager_of_its_own() -> None:
    written = {"metadata": {**MANIFEST["metadata"], "resourceVersion": "7"}}
    api = Api(written)
    assert await writer(api).perform(OWNER, MARK) == written
    assert api.applied == [(PODS, MANIFEST, MARK_MANAGER)]


@pytest.mark.parametrize("gone", [NotFound, Conflict])
async def test_a_pod_that_has_gone_is_no_failure(gone: type[ApiError]) -> None:
    assert await writer(Api(gone(409, "Gone", "gone"))).perform(OWNER, MARK) is None


async def test_an_outage_is_one() -> None:
    with pytest.raises(Unreachable):
        await writer(Api(Unreachable("no answer", sent=True))).perform(OWNER, MARK)
