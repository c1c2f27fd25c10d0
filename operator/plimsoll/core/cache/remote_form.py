"""An answer as it lies in a store that several gateways share, and the name under which it does.

name     plimsoll:1:UID:KEY   the ModelDeployment's uid, and the key in hexadecimal digits
value    magic, lengths of name and answer, seconds it took; the name; the answer as a `ModelInferResponse`

Others may write there, too: a value is read as if an enemy had written it, and it has to repeat its name, so that no
value can answer another question than the one it was kept for.
"""

from __future__ import annotations

import struct
from typing import Final

from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.grpc_answer import read_grpc_answer, write_grpc_answer
from plimsoll.core.inference.limits import Limits
from plimsoll.core.inference.malformed import Fault, Malformed

MOST_BYTES: Final = 320 << 10
"""A value; longer ones are neither written nor read. Answers of up to 256 KiB are kept, and their names."""
_MAGIC: Final = b"plimsoll-kept-1\n"
"""It changes with the form; the digit in the name as well, so that gateways of two versions do not overwrite each
other's answers in turns."""
_NAMES: Final = "plimsoll:1"
_HEAD: Final = struct.Struct("<16sHId")
_LIMITS: Final = Limits(body_bytes=MOST_BYTES, looked_at=1 << 16)
_LONGEST_S: Final = 86_400.0


def remote_name(uid: str, key: bytes) -> bytes:
    """Returns the name of an answer.

    Args:
        uid: Of the ModelDeployment: no two clusters or namespaces have the same.
        key: As `cache_key` makes it, which has the revision in it.
    """
    return f"{_NAMES}:{uid}:{key.hex()}".encode()


def write_remote(name: bytes, answer: InferAnswer, took_s: float) -> bytes:
    """Returns a value.

    Args:
        name: Under which it will lie.
        answer: What it says.
        took_s: What the model took for it, in seconds.
    """
    message = write_grpc_answer(answer, "")
    return _HEAD.pack(_MAGIC, len(name), len(message), took_s) + name + message


def read_remote(name: bytes, value: bytes) -> tuple[InferAnswer, float]:
    """Returns what lies under a name: the answer, and what the model took for it in seconds.

    Raises:
        Malformed: It is none of ours, damaged, or another question's.
    """
    if not _HEAD.size <= len(value) <= MOST_BYTES:
        raise Malformed(Fault.TOO_LARGE, f"A kept answer has {_HEAD.size} to {MOST_BYTES} bytes, not {len(value)}.")
    magic, of_name, of_message, took_s = _HEAD.unpack_from(value)
    if magic != _MAGIC or _HEAD.size + of_name + of_message != len(value):
        raise Malformed(Fault.BAD_ENCODING, "This is no kept answer.")
    if value[_HEAD.size : _HEAD.size + of_name] != name:
        raise Malformed(Fault.BAD_ENCODING, "This answer was kept for another question.")
    if not 0 <= took_s <= _LONGEST_S:
        raise Malformed(Fault.OUT_OF_RANGE, "No answer takes that long.")
    return read_grpc_answer(value[_HEAD.size + of_name :], _LIMITS), took_s
