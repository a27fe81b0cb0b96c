"""Reading the items of an array as Python values, some dozens at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import msgspec

from aura_py.messages import Json
from aura_py.scratchpad.addresses import Step
from aura_py.scratchpad.json_values import JsonValue
from aura_py.scratchpad.locate import follow

# Larger batches are slower: their values leave the processor's cache before they are looked at.
_BATCH = 1 << 15
_LARGEST = 1 << 23
Path = tuple[Step, ...]


class Missing:
    """Stands for a field that an item does not have."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()
Value = Json | Missing


def batches(array: JsonValue, first: int = 0, last: int | None = None) -> Iterator[list[Json] | list[JsonValue]]:
    """The items from ``first`` up to ``last`` (excluded) as Python values, some dozens at a time.

    They are ``JsonValue`` where Python cannot hold them: an item of many megabytes, a number beyond a float.
    """
    if not array.has_members:
        return
    data = array.text.data
    size = None if last is None else array.size
    at = array.first if first == 0 else array.elements[first] if first < array.size else array.end
    stop = array.end - 1 if size is None or last is None or last >= size else array.elements[last]
    while at < stop:
        cut = array.separator.search(data, at + _BATCH, stop)
        end = stop if cut is None else cut.start()
        items = _decoded(data[at:end])
        yield list(array.between(at, end)) if items is None else items
        at = stop if cut is None else cut.end() - 1


def _decoded(raw: bytes) -> list[Json] | None:
    if len(raw) > _LARGEST:
        return None
    try:
        items: list[Json] = msgspec.json.decode(b"[" + raw.rstrip(b" \n,") + b"]")
    except (msgspec.MsgspecError, RecursionError):
        return None
    return items


def columns(array: JsonValue, fields: list[Path]) -> Iterator[list[list[Value]]]:
    """The values of the fields, a column each, batch after batch."""
    for items in batches(array):
        yield [_column(items, path) for path in fields]


def _column(items: Sequence[Json | JsonValue], path: Path) -> list[Value]:
    if items and isinstance(items[0], JsonValue):
        found = [follow("", item, path) for item in items if isinstance(item, JsonValue)]
        return [MISSING if place is None else place[1].parsed for place in found]
    values: list[Value] = cast("list[Value]", items)
    for step in path:
        key = step.text
        values = [value.get(key, MISSING) if type(value) is dict else _element(value, step) for value in values]
    return values


def _element(value: Value, step: Step) -> Value:
    if isinstance(value, list) and step.is_index and -len(value) <= step.index < len(value):
        found: Json = value[step.index]
        return found
    return MISSING
