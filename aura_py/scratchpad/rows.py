"""Reading a few fields of every item of a large array, a piece at a time (§6.9, S-11)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec
import orjson

from aura_py.messages import Json
from aura_py.scratchpad.addresses import Step
from aura_py.scratchpad.jsontext import JsonText, Node
from aura_py.scratchpad.pretty import pretty

_PIECE = 4 << 20
_MEMORY = 20_000


class Missing:
    """Stands for a field that an item does not have."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()
Value = Json | Missing


def values(text: JsonText, array: Node, fields: list[tuple[Step, ...]]) -> Iterator[list[Value]]:
    """For each item the values of the fields, in order."""
    tops = list(dict.fromkeys(steps[0].text for steps in fields if steps))
    names = {f"f{number}": top for number, top in enumerate(tops)}
    struct = msgspec.defstruct("Item", [(name, msgspec.Raw, None) for name in names], rename=names, gc=False)
    decoder = msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]
    positions = [(tops.index(steps[0].text) if steps else -1, steps[1:]) for steps in fields]
    known: dict[bytes, Value] = {}
    for piece in _pieces(text, array):
        try:
            items = decoder.decode(piece) if -1 not in [top for top, _ in positions] else None
        except (msgspec.MsgspecError, RecursionError):
            items = None
        if items is None:
            yield from _slowly(piece, fields)
            continue
        for item in items:
            row: list[Value] = []
            for top, rest in positions:
                raw = getattr(item, f"f{top}")
                row.append(MISSING if raw is None else _decoded(bytes(raw), rest, known))
            yield row


def _decoded(raw: bytes, rest: tuple[Step, ...], known: dict[bytes, Value]) -> Value:
    if rest:
        return descend(_parsed(raw), rest)
    value = known.get(raw)
    if value is None:
        value = _parsed(raw)
        if len(known) < _MEMORY and len(raw) < 256:
            known[raw] = value
    return value


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


def _slowly(piece: bytes, fields: list[tuple[Step, ...]]) -> Iterator[list[Value]]:
    laid_out = pretty(piece)
    assert laid_out is not None  # a part of a valid array is a valid array
    text = JsonText(laid_out)
    for _, item in text.children(text.root):
        row: list[Value] = []
        for steps in fields:
            node: Node | None = item
            for step in steps:
                if node is None:
                    break
                kind = text.kind(node)
                if kind == "array" and step.kind in ("index", "either"):
                    node = text.element(node, step.index)
                else:
                    node = text.member(node, step.text) if kind == "object" else None
            row.append(MISSING if node is None else _parsed(text.raw(node)))
        yield row


def _pieces(text: JsonText, array: Node) -> Iterator[bytes]:
    """The array as smaller arrays of some megabytes."""
    data = text.data
    start, end = array.start + 1, text.end(array) - 1
    margin = 2 * (array.depth + 1)
    between = re.compile(rb",\n {%d}(?! )" % margin)
    block = array.stop < 0 and data[start : start + 1] == b"\n"
    while start < end:
        cut = between.search(data, start + _PIECE, end) if block and end - start > _PIECE else None
        stop = end if cut is None else cut.start()
        yield b"[" + data[start:stop] + b"]"
        start = stop + 1
