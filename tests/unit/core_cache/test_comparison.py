"""When a re-check says that the cache is wrong, and when it is only rounding."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from plimsoll.api.vocabulary import DataType
from plimsoll.core.cache.comparison import difference
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.elements import texts
from plimsoll.core.inference.request import Tensor

NAN, INF = float("nan"), float("inf")


def answer(code: str, *values: Any, name: str = "y", data_type: DataType | None = None) -> InferAnswer:
    kinds = {"f": DataType.FP32, "d": DataType.FP64, "e": DataType.FP16, "q": DataType.INT64, "?": DataType.BOOL}
    data = struct.pack(f"<{len(values)}{code}", *values)
    return InferAnswer("digits", "1", (Tensor(name, data_type or kinds[code], (len(values),), data),))


def words(*values: bytes) -> InferAnswer:
    return InferAnswer("digits", "1", (Tensor("y", DataType.BYTES, (len(values),), texts(values)),))


@pytest.mark.parametrize(
    ("kept", "fresh"),
    [
        (answer("f", 1, 2), answer("f", 1, 2)),
        (answer("f", 1, 2), answer("f", 1, 2.0009)),
        (answer("f", 0.0), answer("f", -0.0)),
        (answer("f", 0), answer("f", 9e-6)),
        (answer("d", 1e300), answer("d", 1.0009e300)),
        (answer("e", 1), answer("e", 1 + 2**-10)),
        (answer("H", 0x3F80, data_type=DataType.BF16), answer("H", 0x3F81, data_type=DataType.BF16)),
        (answer("f", NAN, INF), answer("f", NAN, INF)),
        (answer("q", 7), answer("q", 7)),
        (words(b"a", b""), words(b"a", b"")),
    ],
)
def test_same(kept: InferAnswer, fresh: InferAnswer) -> None:
    assert difference(kept, fresh) == difference(fresh, kept) == ""


@pytest.mark.parametrize(
    ("kept", "fresh", "told"),
    [
        (answer("f", 1, 2), answer("f", 1, 2.01), "element 1"),
        (answer("f", 1), answer("f", NAN), "element 0"),
        (answer("f", INF), answer("f", -INF), "element 0"),
        (answer("H", 0x3F80, data_type=DataType.BF16), answer("H", 0x3F90, data_type=DataType.BF16), "element 0"),
        (answer("q", 1, 7), answer("q", 1, 8), "element 1"),
        (answer("?", True), answer("?", False), "element 0"),
        (words(b"a", b"bc"), words(b"ab", b"c"), "element 0"),
        (answer("f", 1), answer("f", 1, 2), "shapes"),
        (answer("f", 1), answer("d", 1), "shapes"),
        (answer("f", 1), answer("f", 1, name="z"), "shapes"),
        (answer("f", 1), InferAnswer("digits", "1", ()), "shapes"),
    ],
)
def test_different(kept: InferAnswer, fresh: InferAnswer, told: str) -> None:
    assert told in difference(kept, fresh)
    assert difference(fresh, kept)
