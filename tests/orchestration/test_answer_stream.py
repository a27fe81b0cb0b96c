from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from aura_py.llm.contract import ToolCallFragment
from aura_py.orchestration.answer_stream import AnswerStream, ArgumentReader
from aura_py.orchestration.routing import DirectDecision

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def _pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(places)]


@given(
    st.dictionaries(st.text(max_size=5), _VALUES, max_size=4),
    st.text(),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_the_decoded_response_is_always_a_growing_beginning_of_the_whole(
    others: dict[str, object], response: str, cuts: list[int], ascii_only: bool, indent: int | None
) -> None:
    value = {**others, "response": response, "z": 1}
    reader, seen = ArgumentReader(), ""
    for piece in _pieces(json.dumps(value, ensure_ascii=ascii_only, indent=indent), cuts):
        reader.feed(piece)
        now = reader.values.get("response", "")
        assert now.startswith(seen)
        seen = now
    assert seen == response


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_raise(text: str) -> None:
    ArgumentReader().feed(text)


def test_what_follows_the_object_is_not_read() -> None:
    reader = ArgumentReader()
    reader.feed('{"a": 1}{"b": 1, "response": "no"}')
    assert reader.values == {}


class _Screen:
    def __init__(self) -> None:
        self.sent: list[str] = []

    def _begin(self, answer: DirectDecision) -> None:
        self.sent.append(f"<{answer.rationale}>")
        self.known = answer

    def stream(self, *, allowed: bool = True) -> AnswerStream:
        return AnswerStream(self._begin, self.sent.append, allowed=allowed)


def _fragment(text: str, *, position: int = 0, name: str = "respond_directly", call: str = "c") -> ToolCallFragment:
    return ToolCallFragment(position, call, name, text)


def test_the_announcement_comes_before_the_first_piece() -> None:
    screen = _Screen()
    stream = screen.stream()
    for text in ('{"routing_rationale": "known", "resp', 'onse": "Hel', "lo \\u00", 'e9"}'):
        stream.fragments([_fragment(text)])
    assert screen.sent == ["<known>", "Hel", "lo ", "é"]


def test_a_blank_beginning_is_held_back() -> None:
    screen = _Screen()
    stream = screen.stream()
    stream.fragments([_fragment('{"response": "  \\n')])
    assert screen.sent == []
    stream.fragments([_fragment("x")])
    assert screen.sent == ["<>", "  \nx"]


def test_only_the_first_call_of_a_response_is_streamed() -> None:
    screen = _Screen()
    stream = screen.stream()
    stream.fragments([_fragment('{"response": "a"}', position=1)])
    stream.fragments([_fragment('{"goal": "a"}', name="create_plan")])
    screen.stream(allowed=False).fragments([_fragment('{"response": "a"}')])
    assert screen.sent == []


def test_what_was_not_streamed_is_told_at_the_end() -> None:
    screen = _Screen()
    stream = screen.stream()
    stream.fragments([_fragment('{"response": "Hel')])
    stream.finish("Hello")
    assert screen.sent == ["<>", "Hel", "lo"]


def test_of_a_response_that_comes_twice_the_first_counts() -> None:
    screen = _Screen()
    stream = screen.stream()
    stream.fragments([_fragment('{"response": "one", "response": "two"}')])
    assert stream.finish("two") == "one"
    assert screen.sent == ["<>", "one"]


def test_a_long_answer_in_tiny_pieces_is_handed_on_piece_by_piece() -> None:
    screen = _Screen()
    stream = screen.stream()
    stream.fragments([_fragment('{"response": "')])
    for _ in range(100_000):
        stream.fragments([_fragment("a\\nb")])
    assert screen.sent[1:] == ["a\nb"] * 100_000


def test_the_announcement_carries_what_came_with_the_first_piece() -> None:
    screen = _Screen()
    stream = screen.stream()
    stream.fragments([_fragment('{"routing_rationale": "known", "response": "Hel'), _fragment("lo wo")])
    stream.fragments([_fragment('rld"}')])
    assert screen.known == DirectDecision("Hello wo", "known", streamed=True)
    assert screen.sent == ["<known>", "Hello wo", "rld"]


def test_an_answer_that_came_at_once_is_announced_whole() -> None:
    screen = _Screen()
    screen.stream().fragments([_fragment('{"response": "Hello '), _fragment('world", "routing_rationale": "known"}')])
    assert screen.known == DirectDecision("Hello world", "known")
    assert screen.sent == ["<known>", "Hello world"]
