"""The one layout of JSON texts, and walking it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.scratchpad.addresses import parse
from aura_py.scratchpad.columns import columns
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.json_layout import laid_out
from aura_py.scratchpad.json_values import JsonText, JsonValue

_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=12)
)
values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=6), inner, max_size=5)),
    max_leaves=20,
)
containers = st.one_of(st.lists(values, max_size=6), st.dictionaries(st.text(max_size=6), values, max_size=6))


def walked(node: JsonValue) -> Any:
    if node.kind == "object":
        found = {name: walked(child) for name, child in node.children()}
        assert node.size == len(found)
        return found
    if node.kind == "array":
        items = [walked(child) for _, child in node.children()]
        assert node.size == len(items)
        return items
    return json.loads(node.raw)


@settings(max_examples=150, deadline=None)
@given(containers, st.booleans(), st.sampled_from([None, 1, 4]))
def test_any_value_is_walked_as_it_was_written(value: Any, ascii_only: bool, indent: int | None) -> None:
    source = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    layout = laid_out(source)
    assert layout is not None
    assert json.loads(layout) == value
    assert laid_out(layout) == layout
    assert walked(JsonText(layout).root) == value


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', "[Infinity]", "[1,]", "[1 2]", '{"a" 1}', "[01]", "{1: 2}", "[1] x", '"text"', "12", "[", "", "[}"],
)
def test_what_is_not_one_object_or_array_is_not_json(text: str) -> None:
    assert laid_out(text.encode()) is None


def test_numbers_keep_their_text_and_keys_their_order() -> None:
    layout = laid_out(
        b'{"z": 123456789012345678901234567890, "a": [1e400, 1.50, 0.1000000000000000055511151231257827]}'
    )
    assert layout is not None
    assert re.findall(rb"[0-9][0-9.e]+", layout) == [
        b"123456789012345678901234567890", b"1e400", b"1.50", b"0.1000000000000000055511151231257827",
    ]  # fmt: skip
    assert layout.index(b'"z"') < layout.index(b'"a"')


@pytest.mark.parametrize("inner", ["1", "[]", '{"a":\n[1, "]"],\n "b": {}}'])
def test_what_is_nested_very_deep_stays_folded(inner: str) -> None:
    text = '{"n": 0, "deep": ' * 10_000 + inner + ', "after": [1]}' * 10_000
    layout = laid_out(text.encode())
    assert layout is not None
    assert len(layout) < len(text) + 400_000
    assert layout.replace(b" ", b"").replace(b"\n", b"").decode() == text.replace(" ", "").replace("\n", "")
    assert laid_out(layout) == layout
    node = JsonText(layout).root
    while (child := node.member("deep")) is not None:
        node = child
    assert (node.kind, node.depth, node.is_folded, node.size) == ("object", 256, True, 0)
    assert laid_out(b"[" * 10_000 + b"]" * 9_999) is None


def test_texts_that_would_swell_beyond_memory_are_no_json() -> None:
    assert laid_out(b"[" * 60 + b"1," * 3_000_000 + b"1" + b"]" * 60) is None
    assert laid_out(b"[" * 5_000_000 + b"]" * 5_000_000) is None
    assert laid_out(b"[" + b"1," * 3_000_000 + b"1]") is not None


def test_escapes_become_the_characters_they_stand_for_unless_json_needs_them() -> None:
    layout = laid_out(rb'["\u00e9\ud83d\ude00", "\u0022\u0000\ud800", "\\u00e9"]')
    assert layout == b'[\n  "\xc3\xa9\xf0\x9f\x98\x80",\n  "\\u0022\\u0000\xef\xbf\xbd",\n  "\\\\u00e9"\n]'


@settings(max_examples=60, deadline=None)
@given(containers, st.sampled_from([None, 1, 3]))
def test_lines_of_a_foreign_layout_are_the_lines_of_the_file(value: Any, indent: int | None) -> None:
    source = "\n\n" + json.dumps(value, indent=indent)
    text = Document(source.encode()).json
    assert text is not None
    lines = source.split("\n")

    def check(node: JsonValue) -> None:
        first, last = node.line_range
        spanned = "\n".join(lines[first - 1 : last])
        if not node.is_container:
            assert json.dumps(json.loads(node.raw)) in spanned
        for _, child in node.children():
            check(child)

    check(text.root)


def test_a_large_array_is_reached_at_any_index() -> None:
    items: list[Any] = [
        number if number % 7 == 0 else {"n": number, "s": ["x"] * (number % 4)} for number in range(9000)
    ]
    layout = laid_out(json.dumps({"items": items, "after": 1}).encode())
    assert layout is not None
    array = JsonText(layout).root.member("items")
    assert array is not None
    assert array.size == 9000
    for index in (0, 1, 6, 7, 4321, 8999, -1):
        node = array.element(index)
        assert node is not None
        assert json.loads(node.raw) == items[index]
    assert array.element(9000) is None


@pytest.mark.parametrize("every", [7, 10_000])
def test_after_a_walk_over_a_large_array_its_elements_are_reached_in_any_order(every: int) -> None:
    items: list[Any] = [
        f"}},\n    {{ {number}" if number % every == 1 else {"n": number, "s": [{}] * (number % 4), "o": {"x": [[1]]}}
        for number in range(20_000)
    ]
    layout = laid_out(json.dumps({"items": items, "after": 1}).encode())
    assert layout is not None
    array = JsonText(layout).root.member("items")
    assert array is not None
    assert sum(len(piece[0]) for piece in columns(array, [parse("n")])) == 20_000
    for index in (19_999, 0, 1, 2, 12_345, 12_346, 5, *range(19_000, 18_000, -13)):
        node = array.element(index)
        assert node is not None
        assert json.loads(node.raw) == items[index]
    assert array.element(20_000) is None
