"""In which form an object is asked for: whole, or its metadata only (`as=PartialObjectMetadata`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import orjson
from aiohttp import web

Form: TypeAlias = Callable[[bytes], bytes]


def form_of(request: web.Request) -> Form:
    """What the Accept header asks for."""
    return metadata_only if "as=PartialObjectMetadata" in request.headers.get("Accept", "") else whole


def whole(raw: bytes) -> bytes:
    """The object as it is stored."""
    return raw


def metadata_only(raw: bytes) -> bytes:
    """The object as the metadata client of client-go sees it."""
    head = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
    return orjson.dumps({**head, "metadata": orjson.loads(raw)["metadata"]})
