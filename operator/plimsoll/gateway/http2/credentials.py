"""Keys of gRPC calls: metadata `authorization` or `x-api-key`.

They are read with the head, judged for each call, and never passed on. What asks whether a server is live or ready
wants none, as over HTTP.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from plimsoll.core.access.credential import CREDENTIAL_FIELDS, read_credential
from plimsoll.core.records.grpc_status import Status
from plimsoll.gateway.access import Access
from plimsoll.gateway.http2.headers import Field
from plimsoll.gateway.http2.heads import RequestHead, request_head
from plimsoll.gateway.http2.methods import Refused

_PROTOCOL: Final = "grpc"
_OPEN: Final = frozenset(
    {
        b"/inference.GRPCInferenceService/ServerLive",
        b"/inference.GRPCInferenceService/ServerReady",
        b"/grpc.health.v1.Health/Check",
    }
)


def guarded_head(fields: list[Field]) -> RequestHead:
    """Reads the head of a call as `request_head` does, and the key that it shows; that field is not forwarded.

    Raises:
        Malformed: As `request_head`.
    """
    head = request_head([field for field in fields if field[0] not in CREDENTIAL_FIELDS])
    if any(name == b":path" and value in _OPEN for name, value in fields):
        return head
    return dataclasses.replace(head, credential=read_credential(fields))


def admitted(head: RequestHead, access: Access) -> RequestHead:
    """Returns the head, or one that asks for nothing but its refusal."""
    if head.credential is None:
        return head
    denial = access.judge(head.credential, _PROTOCOL)
    if denial is None:
        return head
    return dataclasses.replace(head, method=Refused(Status.UNAUTHENTICATED, denial.sentence))
