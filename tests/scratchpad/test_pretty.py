"""The one layout of JSON texts, and walking it (``scratchpad.md`` §5.3, S-9, S-22)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.scratchpad import pretty as layout
from aura_py.scratchpad.addresses import parse
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.jsontext import JsonText, Node
from aura_py.scratchpad.pretty import pretty
from aura_py.scratchpad.rows import columns

_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=12)
)
values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=6), inner, max_size=5)),
    max_leaves=20,
)
containers = st.one_of(st.lists(values, max_size=6), st.dictionaries(st.text(max_size=6), values, max_size=6))


def walked(text: JsonText, node: Node) -> Any:
    if text.kind(node) == "object":
        found = {name: walked(text, child) for name, child in text.children(node)}
        assert text.size(node) == len(found)
        return found
    if text.kind(node) == "array":
        items = [walked(text, child) for _, child in text.children(node)]
        assert text.size(node) == len(items)
        return items
    return json.loads(text.raw(node))


@settings(max_examples=150, deadline=None)
@given(containers, st.booleans(), st.sampled_from([None, 1, 4]))
def test_any_value_is_walked_as_it_was_written(value: Any, ascii_only: bool, indent: int | None) -> None:
    source = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    laid_out = pretty(source)
    assert laid_out is not None
    assert json.loads(laid_out) == value
    assert pretty(laid_out) == laid_out
    text = JsonText(laid_out)
    assert walked(text, text.root) == value
    inline = JsonText(json.dumps(value).encode())
    assert walked(inline, Node(0, 0, len(inline.data))) == value


@settings(max_examples=100, deadline=None)
@given(containers, st.sampled_from([None, 1, 3]))
def test_the_slow_way_lays_out_like_the_fast_one(value: Any, indent: int | None) -> None:
    source = json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "surrogatepass")
    assert layout._lay_out(source) == pretty(source)


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', "[Infinity]", "[1,]", "[1 2]", '{"a" 1}', "[01]", "{1: 2}", "[1] x", '"text"', "12", "[", "", "[}"],
)
def test_what_is_not_one_object_or_array_is_not_json(text: str) -> None:
    assert pretty(text.encode()) is None


def test_numbers_keep_their_text_and_keys_their_order() -> None:
    laid_out = pretty(
        b'{"z": 123456789012345678901234567890, "a": [1e400, 1.50, 0.1000000000000000055511151231257827]}'
    )
    assert laid_out is not None
    assert re.findall(rb"[0-9][0-9.e]+", laid_out) == [
        b"123456789012345678901234567890", b"1e400", b"1.50", b"0.1000000000000000055511151231257827",
    ]  # fmt: skip
    assert laid_out.index(b'"z"') < laid_out.index(b'"a"')


def test_ten_thousand_levels_neither_overflow_nor_swell() -> None:
    source = b'{"deep": ' * 10_000 + b'"bottom"' + b"}" * 10_000
    laid_out = pretty(source)
    assert laid_out is not None
    assert len(laid_out) < len(source) + 20_000
    text, node = JsonText(laid_out), JsonText.root
    for _ in range(200):
        child = text.member(node, "deep")
        assert child is not None
        node = child
    assert text.kind(node) == "object"


def test_escapes_become_the_characters_they_stand_for_unless_json_needs_them() -> None:
    laid_out = pretty(rb'["\u00e9\ud83d\ude00", "\u0022\u0000\ud800", "\\u00e9"]')
    assert laid_out == b'[\n  "\xc3\xa9\xf0\x9f\x98\x80",\n  "\\u0022\\u0000\\ud800",\n  "\\\\u00e9"\n]'


@settings(max_examples=60, deadline=None)
@given(containers, st.sampled_from([None, 1, 3]))
def test_lines_of_a_foreign_layout_are_the_lines_of_the_file(value: Any, indent: int | None) -> None:
    source = "\n\n" + json.dumps(value, indent=indent)
    view = Document(source.encode()).json
    assert view is not None
    lines = source.split("\n")

    def check(node: Node) -> None:
        first, last = (view.file_line(line) for line in view.text.line_range(node))
        spanned = "\n".join(lines[first - 1 : last])
        if not view.text.is_container(node):
            assert json.dumps(json.loads(view.text.raw(node))) in spanned
        for _, child in view.text.children(node):
            check(child)

    check(view.text.root)


def test_a_large_array_is_reached_at_any_index() -> None:
    items: list[Any] = [
        number if number % 7 == 0 else {"n": number, "s": ["x"] * (number % 4)} for number in range(9000)
    ]
    laid_out = pretty(json.dumps({"items": items, "after": 1}).encode())
    assert laid_out is not None
    text = JsonText(laid_out)
    array = text.member(text.root, "items")
    assert array is not None
    assert text.size(array) == 9000
    for index in (0, 1, 6, 7, 4321, 8999, -1):
        node = text.element(array, index)
        assert node is not None
        assert json.loads(text.raw(node)) == items[index]
        assert text.index_at(array, node.start) == (index % 9000, node.start)
    assert text.element(array, 9000) is None


@pytest.mark.parametrize("every", [7, 10_000])
def test_after_a_walk_over_a_large_array_its_elements_are_reached_in_any_order(every: int) -> None:
    items: list[Any] = [
        f"}},\n    {{ {number}" if number % every == 1 else {"n": number, "s": [{}] * (number % 4), "o": {"x": [[1]]}}
        for number in range(20_000)
    ]
    laid_out = pretty(json.dumps({"items": items, "after": 1}).encode())
    assert laid_out is not None
    text = JsonText(laid_out)
    array = text.member(text.root, "items")
    assert array is not None
    assert sum(len(piece[0]) for piece in columns(text, array, [parse("n")])) == 20_000
    for index in (19_999, 0, 1, 2, 12_345, 12_346, 5, *range(19_000, 18_000, -13)):
        node = text.element(array, index)
        assert node is not None
        assert json.loads(text.raw(node)) == items[index]
    assert text.element(array, 20_000) is None
