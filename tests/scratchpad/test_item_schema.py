"""``item_schema`` of items that differ from one to the next."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.scratchpad import addresses
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.item_schema import Tally

_scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(-1e9, 1e9), st.text(max_size=4))
_keys = st.one_of(st.sampled_from(["a", "b", "a.b", "", 'q"', "b\\", "\n", "é"]), st.text(max_size=3))
_values = st.recursive(
    _scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keys, inner, max_size=4))
)


def counted(items: list[Any]) -> Counter[tuple[str, str]]:
    kinds = {str: "string", int: "number", float: "number", bool: "bool", type(None): "null", list: "array"}
    seen: Counter[tuple[str, str]] = Counter()

    def walk(item: dict[str, Any], prefix: str) -> None:
        for key, value in item.items():
            dotted = f"{prefix}{addresses.join('$', key)[1:].removeprefix('.')}"
            seen[dotted, kinds.get(type(value), "object")] += 1
            if isinstance(value, dict):
                walk(value, f"{dotted}.")

    for item in items:
        if isinstance(item, dict):
            walk(item, "")
    return seen


def tallied(data: bytes, path: str = "") -> Tally:
    text = Document(data).json
    assert text is not None
    array = text.root.member(path) if path else text.root
    assert array is not None
    tally = Tally()
    tally.add(array)
    return tally


@given(st.lists(_values, max_size=20))
@settings(max_examples=150, deadline=None)
def test_every_key_of_every_item_is_counted_with_its_kind(items: list[Any]) -> None:
    tally = tallied(json.dumps({"items": items}).encode(), "items")
    assert tally.items == len(items)
    assert tally.seen == counted(items)


@pytest.mark.parametrize("odd", ["1e400", "[" * 3000 + "]" * 3000])
def test_items_that_python_cannot_hold_are_counted_too(odd: str) -> None:
    items = [{f"key-{n % 300}": {"n": n, "s": str(n)}, "x": None} for n in range(9000)]
    text = json.dumps(items)[:-1] + f', {{"odd": {odd}, "x": {{"y": 1}}}}]'
    tally = tallied(text.encode())
    assert tally.items == 9001
    kind = "number" if odd == "1e400" else "array"
    assert tally.seen == counted(items) + Counter({("odd", kind): 1, ("x", "object"): 1, ("x.y", "number"): 1})


@given(st.lists(st.dictionaries(_keys, _values, max_size=4), min_size=2, max_size=80))
@settings(max_examples=80, deadline=None)
def test_records_on_lines_of_their_own_are_counted_like_any_items(items: list[dict[str, Any]]) -> None:
    for written in (json.dumps, lambda item: json.dumps(item, separators=(",", ":"))):
        tally = tallied("\n".join(map(written, items * 2)).encode())
        assert tally.items == 2 * len(items)
        assert tally.seen == counted(items * 2)
