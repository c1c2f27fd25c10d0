"""In which form an object is asked for: whole, or its metadata only (`as=PartialObjectMetadata`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import orjson
from aiohttp import web
from tests.support.fakeapi.answers import Refusal

_METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"

Form: TypeAlias = Callable[[bytes], bytes]


def form_of(request: web.Request, *, listed: bool = False) -> Form:
    """What the Accept header asks for, of an object or of a list, whose forms have different names."""
    accept = request.headers.get("Accept", "")
    if "as=" not in accept:
        return whole
    if accept != _METADATA.format("List" if listed else ""):
        raise Refusal(406, "NotAcceptable", "only the following media types are accepted: application/json")
    return metadata_only


def whole(raw: bytes) -> bytes:
    """The object as it is stored."""
    return raw


def metadata_only(raw: bytes) -> bytes:
    """The object as the metadata client of client-go sees it."""
    head = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
    return orjson.dumps({**head, "metadata": orjson.loads(raw)["metadata"]})
