"""Reading a few fields of every item of a large array, a piece at a time (§6.9, S-11)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, cast

import msgspec
import orjson

from aura_py.messages import Json
from aura_py.scratchpad.addresses import Step
from aura_py.scratchpad.jsontext import JsonText, Node
from aura_py.scratchpad.pretty import pretty

_PIECE = 1 << 18
_ODD = re.compile(r'[\\"\x00-\x1f]')


class Missing:
    """Stands for a field that an item does not have."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()
Value = Json | Missing


def columns(text: JsonText, array: Node, fields: list[tuple[Step, ...]]) -> Iterator[list[list[Value]]]:
    """The values of the fields, a column each, for some thousand items at a time."""
    decoder = None
    if fields and all(steps and all(map(_is_plain, steps)) for steps in fields):
        decoder = msgspec.json.Decoder(list[_struct([tuple(s.text for s in steps) for steps in fields])])  # type: ignore[misc]
    waypoints: list[tuple[int, int]] = []
    passed = 0
    for start, piece in pieces(text, array):
        try:
            items = None if decoder is None else decoder.decode(piece)
        except (msgspec.MsgspecError, RecursionError):
            items = None
        found = _slowly(piece, fields) if items is None else [_column(items, steps) for steps in fields]
        waypoints.append((passed, start))
        passed += len(found[0])
        yield found
    text.learn(array, waypoints, passed)


def _column(items: list[object], steps: tuple[Step, ...]) -> list[Value]:
    names = [_name(step.text) for step in steps]
    try:
        return list(map(attrgetter(".".join(names)), items))
    except AttributeError:
        return [_value(item, steps, names) for item in items]


def _value(item: object, steps: tuple[Step, ...], names: list[str]) -> Value:
    for position, name in enumerate(names):
        if not isinstance(item, msgspec.Struct):
            return MISSING if item is None or item is MISSING else descend(cast("Value", item), steps[position:])
        item = getattr(item, name)
    return cast("Value", item)


def _struct(paths: list[tuple[str, ...]]) -> type[msgspec.Struct]:
    """A type that holds just these paths; everything else is skipped while reading."""
    names: dict[str, str] = {}
    members: list[tuple[str, object, object]] = []
    for top in dict.fromkeys(path[0] for path in paths):
        below = [path[1:] for path in paths if path[0] == top and len(path) > 1]
        whole = any(path == (top,) for path in paths)
        name = _name(top)
        names[name] = top
        # A field asked for both whole and in part is read whole; parts are then found in the value.
        members.append((name, Any if whole or not below else _struct(below) | None, MISSING))
    return msgspec.defstruct("Item", members, rename=names, gc=False)


def _is_plain(step: Step) -> bool:
    """Whether msgspec takes it as the name of a field."""
    return step.kind in ("key", "either") and _ODD.search(step.text) is None


def _name(key: str) -> str:
    return "f" + key.encode("utf-8", "surrogatepass").hex()


def descend(value: Value, steps: tuple[Step, ...]) -> Value:
    """Follows steps inside a parsed value."""
    for step in steps:
        if isinstance(value, dict) and step.kind != "every":
            value = value.get(step.text, MISSING)
        elif isinstance(value, list) and step.kind in ("index", "either"):
            value = value[step.index] if -len(value) <= step.index < len(value) else MISSING
        else:
            return MISSING
    return value


def _parsed(raw: bytes) -> Value:
    """Whole numbers stay exact whatever their size; deep or odd values are given as their text."""
    if raw[:1] in (b"-", *(b"%d" % digit for digit in range(10))):
        text = raw.decode()
        return float(text) if re.search(r"[.eE]", text) else int(text) if len(text) < 4000 else text
    try:
        value: Value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            value = raw.decode("utf-8", "replace")
    return value


def _slowly(piece: bytes, fields: list[tuple[Step, ...]]) -> list[list[Value]]:
    laid_out = pretty(piece)
    assert laid_out is not None  # a part of a valid array is a valid array
    text = JsonText(laid_out)
    found: list[list[Value]] = [[] for _ in fields]
    for _, item in text.children(text.root):
        for column, steps in zip(found, fields, strict=True):
            node: Node | None = item
            for step in steps:
                if node is None:
                    break
                kind = text.kind(node)
                if kind == "array" and step.kind in ("index", "either"):
                    node = text.element(node, step.index)
                else:
                    node = text.member(node, step.text) if kind == "object" else None
            column.append(MISSING if node is None else _parsed(text.raw(node)))
    return found


def pieces(
    text: JsonText, array: Node, first: int | None = None, end: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """The array as small arrays, each with the offset of its first element.

    ``first`` is where the element to begin with starts, ``end`` where the first one left out does; both in a block.
    """
    data = text.data
    margin = 2 * (array.depth + 1)
    whole = text.end(array)
    start = array.start + 1 if first is None else first - margin - 1
    stop_all = whole - 1 if end is None or end >= whole else end - margin - 2
    between = re.compile(rb",\n {%d}(?! )" % margin)
    block = array.stop < 0 and data[start : start + 1] == b"\n"
    while start < stop_all:
        cut = between.search(data, start + _PIECE, stop_all) if block and stop_all - start > _PIECE else None
        stop = stop_all if cut is None else cut.start()
        yield start + 1 + margin if block else start, b"[" + data[start:stop] + b"]"
        start = stop + 1
