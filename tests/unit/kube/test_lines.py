"""Lines out of chunks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.kube import lines
from plimsoll.kube.lines import LineSplitter


@given(st.lists(st.binary(min_size=1, max_size=30).filter(lambda line: b"\n" not in line)), st.data())
def test_the_same_lines_wherever_the_stream_is_cut(wanted: list[bytes], data: Any) -> None:
    stream = b"".join(line + b"\n" for line in wanted)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    splitter = LineSplitter()
    found = [line for chunk in chunks for line in splitter.feed(chunk)]
    assert found == [line for line in wanted if line.strip()]


def test_an_unfinished_line_waits() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b'{"a"') == []
    assert splitter.feed(b":1}\n{") == [b'{"a":1}']


def test_blank_lines_are_keep_alives() -> None:
    assert LineSplitter().feed(b"\n\r\n\n{}\n") == [b"{}"]


def test_a_line_of_three_megabytes_in_small_chunks() -> None:
    splitter, line = LineSplitter(), b"x" * 3_000_000
    found = [out for start in range(0, len(line), 4096) for out in splitter.feed(line[start : start + 4096])]
    assert found == []
    assert splitter.feed(b"\n") == [line]


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    splitter = LineSplitter()
    splitter.feed(b"x" * 60)
    with pytest.raises(ValueError, match="longer than 100 bytes"):
        splitter.feed(b"x" * 60)
