"""Walking a JSON text where it lies, by its layout: nothing is parsed but what is asked for.

In the layout every member of a container begins a line, two spaces deeper than the container, and strings hold no line
ends. So where a value ends, and where the next begins, is found by searching for bytes.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain, islice
from typing import Literal

import orjson

from aura_py.messages import Json
from aura_py.scratchpad import linear
from aura_py.scratchpad.lines import Lines

Kind = Literal["object", "array", "string", "number", "bool", "null"]
_KINDS: dict[int, Kind] = {
    **dict.fromkeys(b"-0123456789", "number"),
    **dict.fromkeys(b"tf", "bool"),
    ord("{"): "object", ord("["): "array", ord('"'): "string", ord("n"): "null",
}  # fmt: skip
_KEY = re.compile(rb'("(?:[^"\\]|\\.)*+"): ?')
_COMMA = ord(",")
_WORTH_KEEPING = 64
_STEPPED = 64
_NEAR = 1 << 12
_LARGE = 1 << 16


@cache
def _line_start(text: bytes) -> linear.Pattern:
    """Finds the beginning of a line: over megabytes several times faster than ``bytes.find``."""
    return linear.structure(re.escape(text), memory=1 << 20)


class JsonText:
    """A text in Aura's layout. ``file_line`` turns its line numbers into those of the file that it was made from.

    ``is_file`` says that both have the same lines.
    """

    def __init__(
        self, data: bytes, file_line: Callable[[int], int] = lambda line: line, *, is_file: bool = True
    ) -> None:
        self.data = data
        self.file_line = file_line
        self.is_file = is_file
        self.known_ends = {0: len(data)}
        self.known_elements: dict[int, array[int]] = {}

    @cached_property
    def lines(self) -> Lines:
        return Lines(self.data)

    @property
    def root(self) -> JsonValue:
        return JsonValue(self, 0, 0)

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        return len(self.data) + sum(8 * len(starts) for starts in list(self.known_elements.values()))


@dataclass(slots=True, frozen=True)
class JsonValue:
    """The value that begins at an offset of a text, ``depth`` containers down."""

    text: JsonText
    start: int
    depth: int

    @property
    def kind(self) -> Kind:
        return _KINDS[self.text.data[self.start]]

    @property
    def is_container(self) -> bool:
        return self.text.data[self.start] in b"{["

    @property
    def has_members(self) -> bool:
        """Whether it is a container that is not empty."""
        start = self.start
        return self.text.data[start] in b"{[" and self.text.data[start + 1 : start + 2] == b"\n"

    @property
    def is_folded(self) -> bool:
        """Whether it is a container nested so deep that the layout leaves it on one line; nothing leads into it."""
        return self.is_container and self.text.data[self.start + 1] not in b"\n]}"

    @property
    def end(self) -> int:
        data, start = self.text.data, self.start
        if self.has_members:
            return self.text.known_ends.get(start) or self._closing()
        stop = data.find(b"\n", start)
        stop = len(data) if stop < 0 else stop
        return stop - 1 if data[stop - 1] == _COMMA else stop

    @property
    def raw(self) -> bytes:
        return self.text.data[self.start : self.end]

    @property
    def string(self) -> str:
        """The text of a string."""
        return _decoded(self.raw)

    @property
    def parsed(self) -> Json:
        """The value for Python; whole numbers stay exact, and what is folded stays text."""
        if self.is_folded:
            return self.raw.decode("utf-8", "replace")
        value: Json = self.string if self.kind == "string" else json.loads(self.raw)
        return value

    @property
    def line_range(self) -> tuple[int, int]:
        """First and last line of the value in the file."""
        text = self.text
        first = text.lines.number(self.start)
        last = text.lines.number(self.end - 1) if self.has_members else first
        return text.file_line(first), text.file_line(last)

    @property
    def size(self) -> int:
        """How many members a container has."""
        if not self.has_members:
            return 0
        data, end = self.text.data, self.end
        if self.kind == "array":
            if JsonValue(self.text, self.first, self.depth + 1).has_members:
                return len(self.elements)
            # Counting takes longer, but no time and memory for each of what may be millions of numbers.
            between = b"," + self._margin
            return data.count(between, self.start, end) - data.count(between + b" ", self.start, end) + 1
        stepped = sum(1 for _ in islice(self._members(), _STEPPED))
        if stepped < _STEPPED:
            return stepped
        return data.count(self._margin + b'"', self.start, end)

    @property
    def first(self) -> int:
        """Where the first member of a block begins."""
        return self.start + 1 + len(self._margin)

    @property
    def separator(self) -> re.Pattern[bytes]:
        """From the end of an element of a block array to the first byte of the next.

        Behind a comma, and with no more spaces than these, a line can only be the next element.
        """
        return re.compile(b"," + self._margin + b"[^ ]")

    @property
    def elements(self) -> array[int]:
        """Where the elements of a block array begin."""
        known = self.text.known_elements.get(self.start)
        if known is None:
            following = self.separator.finditer(self.text.data, self.first, self.end)
            known = array("Q", chain((self.first,), (match.end() - 1 for match in following)))
            if len(known) > _WORTH_KEEPING:
                self.text.known_elements[self.start] = known
        return known

    def between(self, at: int, stop: int) -> Iterator[JsonValue]:
        """The elements of a block array from the one at an offset to the last that begins before ``stop``."""
        behind, depth = 1 + len(self._margin), self.depth + 1
        while at < stop:
            child = JsonValue(self.text, at, depth)
            yield child
            at = child.end + behind

    def children(self, first: int = 0) -> Iterator[tuple[str | int, JsonValue]]:
        """Keys or indexes with their values, from child ``first`` on."""
        if not self.has_members:
            return
        if self.kind == "object":
            yield from islice(self._members(), first, None)
        elif not first or first < self.size:
            at = self.elements[first] if first else self.first
            yield from enumerate(self.between(at, self.end - 1), first)

    def holding(self, line_start: int) -> tuple[str | int, JsonValue]:
        """The member that a line belongs to, with its key or index."""
        at = line_start + 2 * (self.depth + 1)
        if self.kind == "array":
            index = bisect_right(self.elements, at) - 1
            return index, JsonValue(self.text, self.elements[index], self.depth + 1)
        key = _KEY.match(
            self.text.data, self.text.data.rfind(self._margin + b'"', self.start, at + 1) + len(self._margin)
        )
        assert key is not None  # the layout puts a key here
        return _decoded(key[1]), JsonValue(self.text, key.end(), self.depth + 1)

    def _members(self) -> Iterator[tuple[str, JsonValue]]:
        data, at, margin = self.text.data, self.first, len(self._margin)
        while True:
            key = _KEY.match(data, at)
            assert key is not None  # the layout puts a key here
            child = JsonValue(self.text, key.end(), self.depth + 1)
            yield _decoded(key[1]), child
            end = child.end
            if data[end : end + 1] != b",":
                return
            at = end + 1 + margin

    def member(self, key: str) -> JsonValue | None:
        """The value of an object's key; the last one, should the key stand there twice."""
        if self.kind != "object":
            return None
        if not self.has_members:
            return None
        data, end = self.text.data, self.end
        spelled = self._margin + json.dumps(key, ensure_ascii=False).encode("utf-8", "replace") + b": "
        at = data.rfind(spelled, self.start, end)
        if at >= 0:
            return JsonValue(self.text, at + len(spelled), self.depth + 1)
        if data.find(b"\\", self.start, end) < 0:
            return None
        # A key with escapes may be spelled in another way.
        return next((child for name, child in self.children() if name == key), None)

    def element(self, index: int) -> JsonValue | None:
        """An array's element; negative indexes count from the end."""
        if self.kind != "array" or not -(size := self.size) <= index < size:
            return None
        return JsonValue(self.text, self.elements[index], self.depth + 1)

    def rendered(self, most: int) -> tuple[str, bool]:
        """About ``most`` bytes of the value as JSON, without the indentation of its place, and whether that is all."""
        end, stop = self.end, self.start + most
        piece = self.text.data[self.start : min(end, stop)].replace(b"\n" + b"  " * self.depth, b"\n")
        return piece.decode("utf-8", "replace"), end <= stop

    def _closing(self) -> int:
        data, start = self.text.data, self.start
        line = b"\n" + b"  " * self.depth + (b"}" if data[start] == 0x7B else b"]")
        end = data.find(line, start, start + _NEAR)
        if end < 0:
            found = _line_start(line).search(data, start)
            assert found is not None  # valid JSON closes what it opens
            end = found.start()
        end += len(line)
        if end - start > _LARGE:
            self.text.known_ends[start] = end
        return end

    @property
    def _margin(self) -> bytes:
        return b"\n" + b"  " * (self.depth + 1)


def _decoded(raw: bytes) -> str:
    try:
        value: str = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = json.loads(raw, strict=False)
        return value.encode("utf-8", "replace").decode()
    return value
