"""Counting the keys of items whose shapes change from one to the next (§6.7).

Whole pieces of the array are read into structures that hold just the known keys; a key that is not known yet is
learnt from the piece it turns up in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from types import NoneType
from typing import Any, cast

import msgspec

from aura_py.scratchpad import addresses
from aura_py.scratchpad.rows import MISSING, Missing

TRUNCATED = "<...truncated>"
DEEPEST = 32
_MOST_KEYS = 2000
_KINDS: dict[type, str] = {
    str: "string", int: "number", float: "number", bool: "bool", NoneType: "null", list: "array", dict: "object",
}  # fmt: skip

Known = dict[str, "Known | None"]
"""Keys with the keys below them; ``None`` below one that never was an object."""
Seen = Counter[tuple[str, str]]
"""How often each dotted key had a value of each kind."""


class UnreadableError(Exception):
    """A piece that cannot be read into objects: numbers too large, levels too deep."""


class Mixture:
    """Reads piece after piece, each an array of items. ``seen`` and ``items`` are the result."""

    def __init__(self) -> None:
        self.items = 0
        self.seen: Seen = Counter()
        self._known: Known = {}
        self._size = 0
        self._item: type[msgspec.Struct] | None = None
        self._decoder: msgspec.json.Decoder[list[object]] | None = None
        self._prepare()

    def add(self, piece: bytes) -> None:
        """Raises ``UnreadableError``; nothing of the piece is counted then."""
        try:
            found = self._decoder.decode(piece) if self._decoder is not None else None
        except (msgspec.MsgspecError, RecursionError):
            found = self._learn(piece)
        if found is None:
            items = _decoded(piece)
            for item in items:
                if isinstance(item, dict):
                    _walk(item, "", 0, self.seen)
            self.items += len(items)
            return
        self.items += len(found)
        self._count([item for item in found if type(item) is self._item], self._known, "")

    def _learn(self, piece: bytes) -> list[object] | None:
        """The items in structures that know the piece's keys too; ``None`` when that is not to be had."""
        for item in _decoded(piece):
            if isinstance(item, dict):
                self._size += _extend(self._known, item, 0)
        self._prepare()
        try:
            return self._decoder.decode(piece) if self._decoder is not None else None
        except (msgspec.MsgspecError, RecursionError):
            return None

    def _prepare(self) -> None:
        self._decoder = None
        if self._size <= _MOST_KEYS:
            try:
                self._item = _structure(self._known)
            except ValueError:  # a key that msgspec takes for no name of a field
                self._size = _MOST_KEYS + 1
            else:
                self._decoder = msgspec.json.Decoder(list[self._item | _Other])  # type: ignore[name-defined]

    def _count(self, items: Sequence[object], known: Known, prefix: str) -> None:
        for name, below in known.items():
            dotted = _dotted(prefix, name)
            column = list(map(attrgetter(_name(name)), items))
            kinds = Counter(map(type, column))
            kinds.pop(Missing, None)
            for kind, times in kinds.items():
                self.seen[dotted, _KINDS.get(kind, "object")] += times
            if below:
                inner = [value for value in column if isinstance(value, msgspec.Struct)]
                self._count(inner, below, f"{dotted}.")


_Other = None | bool | int | float | str | list[msgspec.Raw]


def _structure(known: Known) -> type[msgspec.Struct]:
    names = {_name(key): key for key in known}
    members = [
        (_name(key), _Other if below is None else _structure(below) | _Other, MISSING) for key, below in known.items()
    ]
    return msgspec.defstruct("Item", cast("list[Any]", members), rename=names, gc=False, forbid_unknown_fields=True)


def _name(key: str) -> str:
    return "f" + key.encode("utf-8", "surrogatepass").hex()


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}{addresses.join('$', name)[1:].removeprefix('.')}"


def _decoded(piece: bytes) -> list[object]:
    try:
        return msgspec.json.decode(piece, type=list[object])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise UnreadableError from error


def _extend(known: Known, item: dict[str, object], level: int) -> int:
    """Takes in the keys of an item; how many levels and keys were new."""
    if level >= DEEPEST:
        return _MOST_KEYS + 1  # rare enough for the slow way
    new = 0
    for key, value in item.items():
        if key not in known:
            known[key] = None
            new += 1
        if isinstance(value, dict):
            below = known[key]
            if below is None:
                below = known[key] = {}
            new += _extend(below, value, level + 1)
    return new


def _walk(item: dict[str, object], prefix: str, level: int, seen: Seen) -> None:
    if level >= DEEPEST:
        if item:
            seen[TRUNCATED, "object"] += 1
        return
    for key, value in item.items():
        dotted = _dotted(prefix, key)
        seen[dotted, _KINDS[type(value)]] += 1
        if isinstance(value, dict):
            _walk(value, f"{dotted}.", level + 1, seen)
