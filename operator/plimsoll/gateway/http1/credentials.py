"""Keys of HTTP requests: read with the head, judged for each request, never passed on.

`/v2/health/live` and `/v2/health/ready` want none: load balancers ask them and have no key to show.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from plimsoll.core.access.admission import Denial
from plimsoll.core.access.credential import CREDENTIAL_FIELDS, Fault, read_credential
from plimsoll.gateway.access import Access
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import Reason, Refusal
from plimsoll.gateway.http1.request_head import RequestHead, read_request

_PROTOCOL: Final = "http"
_OPEN: Final = re.compile(rb"/v2/health/(?:live|ready)")
_REASONS: Final = {
    Denial.NO_KEY: Reason.NO_KEY,
    Denial.UNREADABLE: Reason.UNREADABLE_KEY,
    Denial.UNKNOWN_KEY: Reason.UNKNOWN_KEY,
}


def read_guarded(head: bytes, limits: Limits) -> RequestHead:
    """Reads a whole head as `read_request` does, and the key that it shows; that line is not forwarded.

    Raises:
        Refused: As `read_request`.
    """
    read = read_request(head, limits)
    if _OPEN.fullmatch(read.target):
        return _without_key(read, is_open=True)
    shown = [(name.lower(), value) for name, value in map(_field, head.split(b"\r\n")[1:])]
    return dataclasses.replace(_without_key(read, is_open=False), credential=read_credential(shown))


def admitted(head: RequestHead, access: Access) -> RequestHead:
    """Returns the head, or one that asks for nothing but its refusal."""
    if head.credential is None:
        return head
    denial = access.judge(head.credential, _PROTOCOL)
    if denial is None:
        return head
    return dataclasses.replace(head, call=Refusal(401, _REASONS[denial], denial.sentence))


def _without_key(head: RequestHead, *, is_open: bool) -> RequestHead:
    lines = head.forward.split(b"\r\n")
    kept = [line for line in lines if _field(line)[0].lower() not in CREDENTIAL_FIELDS]
    credential = None if is_open else Fault.NONE
    if len(kept) == len(lines):
        return dataclasses.replace(head, credential=credential)
    return dataclasses.replace(head, forward=b"\r\n".join(kept), as_received=False, credential=credential)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name, value
