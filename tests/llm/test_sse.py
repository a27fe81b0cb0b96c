"""Server-sent events from bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.llm import sse
from aura_py.llm.sse import SseReader


def read(*chunks: bytes) -> list[bytes]:
    reader = SseReader()
    return [payload for chunk in chunks for payload in reader.feed(chunk)] + reader.close()


def test_all_events_of_one_read_come_together() -> None:
    assert SseReader().feed(b"data: a\n\ndata: b\n\ndata: c") == [b"a", b"b"]


def test_names_ids_and_comments_are_skipped() -> None:
    assert read(b": hi\nevent: x\nid: 7\nretry: 3\ndata: a\n\n: ping\n\n") == [b"a"]


def test_one_space_after_the_colon_belongs_to_the_format() -> None:
    assert read(b"data:a\n\ndata:  b\n\ndata\n\n") == [b"a", b" b", b""]


def test_lines_of_one_event_are_joined() -> None:
    assert read(b"data: a\ndata: b\n\n") == [b"a\nb"]


def test_a_byte_order_mark_is_skipped() -> None:
    assert read(b"\xef\xbb", b"\xbfdata: a\n\n") == [b"a"]


def test_a_last_event_without_its_blank_line_is_read_at_the_end() -> None:
    assert read(b"data: a\n\ndata: [DONE]\n") == [b"a", b"[DONE]"]


def test_lines_of_no_event_stream_are_remembered() -> None:
    reader = SseReader()
    assert reader.feed(b"<html>\n\n: fine\n\n") == []
    assert reader.junk.startswith(b"<html>")
    assert reader.feed(b"data: a\n\n") == [b"a"]
    assert reader.junk == b"<html>"


def test_an_event_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_LIMIT", 100)
    reader = SseReader()
    assert reader.feed(b"data: " + b"x" * 200) == []
    assert reader.damage is not None


_line = st.binary(max_size=12).filter(lambda line: not set(line) & set(b"\r\n"))


@given(
    payloads=st.lists(st.lists(_line, min_size=1, max_size=3), max_size=6),
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_packets_and_line_ends_change_nothing(payloads: list[list[bytes]], end: bytes, cuts: list[int]) -> None:
    stream = b"".join(b"".join(b"data: " + line + end for line in lines) + end for lines in payloads)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    chunks = [stream[start:stop] for start, stop in pairwise(places)]
    assert read(*chunks) == [b"\n".join(lines) for lines in payloads]
