"""``item_schema`` of items that differ from one to the next (``scratchpad.md`` §6.7)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.scratchpad import addresses
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.mixtures import Mixture, UnreadableError
from aura_py.scratchpad.shapes import Tally, count

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


@given(st.lists(st.lists(_values, max_size=6), max_size=4))
@settings(max_examples=150, deadline=None)
def test_every_key_of_every_item_is_counted_with_its_kind(pieces: list[list[Any]]) -> None:
    mixture = Mixture()
    for piece in pieces:
        mixture.add(json.dumps(piece).encode())
    assert mixture.items == sum(map(len, pieces))
    assert mixture.seen == counted([item for piece in pieces for item in piece])


def test_items_with_keys_of_their_own_are_counted_too() -> None:
    pieces = [[{f"key-{part}-{n}": {"n": n}} for n in range(300)] for part in range(10)]
    mixture = Mixture()
    for piece in pieces:
        mixture.add(json.dumps(piece).encode())
    assert mixture.seen == counted([item for piece in pieces for item in piece])


@pytest.mark.parametrize("piece", [b"[1e400]", b"[" * 100_000 + b"]" * 100_000])
def test_a_piece_that_cannot_be_read_is_refused_whole(piece: bytes) -> None:
    mixture = Mixture()
    mixture.add(b'[{"a": 1}]')
    with pytest.raises(UnreadableError):
        mixture.add(piece)
    assert (mixture.items, mixture.seen) == (1, {("a", "number"): 1})


@given(st.lists(st.dictionaries(_keys, _values, max_size=4), min_size=2, max_size=80))
@settings(max_examples=80, deadline=None)
def test_records_on_lines_of_their_own_are_counted_like_any_items(items: list[dict[str, Any]]) -> None:
    for written in (json.dumps, lambda item: json.dumps(item, separators=(",", ":"))):
        view = Document("\n".join(map(written, items * 2)).encode()).json
        assert view is not None
        tally = Tally()
        count(view.text, view.text.root, tally, 0, -1)
        assert tally.items == 2 * len(items)
        wanted = counted(items * 2)
        assert {(key, kind) for key, kinds in tally.types.items() for kind in kinds} == set(wanted)
        present: Counter[str] = Counter()
        for (key, _), times in wanted.items():
            present[key] += times
        assert tally.present == present
