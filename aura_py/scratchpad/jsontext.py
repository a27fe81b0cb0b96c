"""Walking a JSON text where it stands, without parsing it (§6.6 to §6.9, S-9, S-17).

The text is in the layout of ``pretty``: the children of a container at depth *d* are the lines indented by exactly
2(d+1) spaces, strings hold no raw newline, so the end of a container is the next line that closes at its own
indentation. Searching for that is a scan at memory speed; nothing is built, nothing recurses.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate, islice
from typing import Literal

import orjson

from aura_py.scratchpad import linear
from aura_py.scratchpad.lines import Lines
from aura_py.scratchpad.pretty import pretty

Kind = Literal["object", "array", "string", "number", "bool", "null"]
_KINDS: dict[int, Kind] = {0x7B: "object", 0x5B: "array", 0x22: "string", 0x74: "bool", 0x66: "bool", 0x6E: "null"}
_KEY = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")[ \t]*+:[ \t]*+')
_ATOM = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^",\[\]{}:]++')
_SHELL = re.compile(rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+([\[\]{}])')
_LARGE = 1 << 16
_NEAR = 1 << 12
_MOST_CLOSERS = 1 << 16
_HUGE = 1 << 20
_STEP = 1 << 14
_STEPPED = 64


@cache
def _closer(closing: bytes) -> linear.Pattern:
    """Finds a line that closes a container: several times faster over megabytes than ``bytes.find``."""
    return linear.structure(re.escape(closing), memory=1 << 20)


@cache
def _stranger(close: bytes) -> linear.Pattern:
    """Finds an element that is no object on lines of its own, behind one that is."""
    margin = re.escape(close[:-2])
    return linear.structure(re.escape(close) + margin + rb"(?:[^ {]|\{[^\n])", memory=1 << 20)


@dataclass(slots=True, frozen=True)
class Node:
    """A value: where it starts, and how deep it stands. ``stop`` is set for values inside one line."""

    start: int
    depth: int
    stop: int = -1


class JsonText:
    """One JSON value in ``data`` (in Aura's layout, no newline at the end)."""

    root = Node(0, 0)

    def __init__(self, data: bytes, lines: Callable[[], Lines] | None = None) -> None:
        self.data = data
        self._make_lines = lines or (lambda: Lines(data))
        self._ends: dict[int, int] = {0: len(data)}
        self._sizes: dict[int, int] = {}
        self._marks: dict[int, list[int]] = {}
        self._closers: dict[int, int] = {}
        self._waypoints: dict[int, list[tuple[int, int]]] = {}
        self._places: dict[int, array[int]] = {}
        self._flat: dict[int, bool] = {}

    @cached_property
    def lines(self) -> Lines:
        return self._make_lines()

    def kind(self, node: Node) -> Kind:
        return _KINDS.get(self.data[node.start], "number")

    def is_container(self, node: Node) -> bool:
        return self.data[node.start] in b"{["

    def end(self, node: Node) -> int:
        """The offset after the value's last byte."""
        if node.stop >= 0:
            return node.stop
        known = self._ends.get(node.start)
        if known is not None:
            return known
        data, start = self.data, node.start
        if self._is_block(node):
            closing = b"\n" + b"  " * node.depth + (b"}" if data[start] == 0x7B else b"]")
            end = data.find(closing, start, start + _NEAR)
            if end < 0:
                found = _closer(closing).search(data, start)
                assert found is not None  # valid JSON closes what it opens
                end = found.start()
            end += len(closing)
        else:
            end = data.find(b"\n", start)
            if end < 0:
                end = len(data)
            if data[end - 1] == 0x2C:
                end -= 1
        if end - start > _LARGE:
            self._ends[start] = end
        return end

    def raw(self, node: Node) -> bytes:
        return self.data[node.start : self.end(node)]

    def text(self, node: Node) -> str:
        """The value of a string."""
        return decode_string(self.raw(node))

    def rendered(self, node: Node) -> str:
        """The value in Aura's layout, moved to the left margin."""
        raw = self.raw(node)
        if node.stop >= 0:
            laid_out = pretty(raw)
            return (raw if laid_out is None else laid_out).decode("utf-8", "replace")
        if node.depth:
            raw = raw.replace(b"\n" + b"  " * node.depth, b"\n")
        return raw.decode("utf-8", "replace")

    def rendered_lines(self, node: Node, most: int) -> tuple[list[str], bool]:
        """The first lines of ``rendered``, about ``most`` characters of them, and whether that is all."""
        end = self.end(node)
        if node.stop >= 0 or end - node.start <= most:
            return self.rendered(node).split("\n"), True
        head = self.data[node.start : node.start + most]
        lines = head.replace(b"\n" + b"  " * node.depth, b"\n").decode("utf-8", "replace").split("\n")
        return (lines[:-1] if len(lines) > 1 else lines), False

    def size(self, node: Node) -> int:
        """How many children a container has."""
        if not self._is_block(node):
            return sum(1 for _ in self._inside(node)) if self.is_container(node) else 0
        known = self._sizes.get(node.start)
        if known is not None:
            return known
        start, end, data = node.start, self.end(node), self.data
        if data[start] == 0x7B:
            size = self._members(node, end)
        elif self._is_flat(node, end):
            size = data.count(b"\n", start, end) - 1
        else:
            size = self._children_before(node)[-1] + 1
        if end - start > _LARGE:
            self._sizes[start] = size
        return size

    def _members(self, node: Node, end: int) -> int:
        """Steps over the first members, which may be huge, and counts the rest by their keys."""
        seen, at = 0, node.start
        if end - at > _LARGE:
            for _, child in islice(self.children(node), _STEPPED):
                seen, at = seen + 1, self.end(child)
            if seen < _STEPPED:
                return seen
            return seen + self.data.count(b",\n" + b"  " * (node.depth + 1) + b'"', at, end)
        return self.data.count(b",\n" + b"  " * (node.depth + 1) + b'"', at, end) + 1

    def rough_size(self, node: Node) -> tuple[int, bool]:
        """The size, and whether it is exact; that of a huge container is reckoned from its beginning."""
        end = self.end(node)
        if end - node.start <= _HUGE or not self._is_block(node):
            return self.size(node), True
        margin = b",\n" + b"  " * (node.depth + 1)
        stop = node.start + _HUGE // 4
        data = self.data
        seen = data.count(margin, node.start, stop) - data.count(margin + b" ", node.start, stop)
        return max(1, seen * (end - node.start) // (_HUGE // 4)), False

    def children(self, node: Node, first: int = 0) -> Iterator[tuple[str | int, Node]]:
        """Keys or indexes with their values, from child ``first`` on."""
        if not self._is_block(node):
            if self.is_container(node):
                yield from islice(self._inside(node), first, None)
            return
        data, depth = self.data, node.depth + 1
        margin = 2 * depth
        if data[node.start] == 0x5B:
            at = self._place(node, first)
            position = first
            while at is not None:
                child = Node(at, depth)
                yield position, child
                position += 1
                at = self._following(self.end(child), margin)
            return
        at = node.start + 2 + margin
        position = 0
        following: int | None = at
        while following is not None:
            key = _KEY.match(data, following)
            assert key is not None  # the layout puts a key here
            child = Node(key.end(), depth)
            if position >= first:
                yield decode_string(key[1]), child
            position += 1
            following = self._following(self.end(child), margin)

    def member(self, node: Node, key: str) -> Node | None:
        """The value of an object's key; the last one, should the key stand there twice."""
        if not self._is_block(node):
            found = [child for name, child in self._inside(node) if name == key] if self.is_container(node) else []
            return found[-1] if found else None
        data, depth = self.data, node.depth + 1
        margin = b"\n" + b"  " * depth
        end = self.end(node)
        for spelling in _spellings(key):
            at = data.rfind(margin + spelling, node.start, end) if end - node.start < _LARGE else -1
            if at < 0:
                at = data.find(margin + spelling, node.start, end)
            if at >= 0:
                return Node(at + len(margin) + len(spelling), depth)
        if data.find(b"\\", node.start, end) >= 0:
            for name, child in self.children(node):
                if name == key:
                    return child
        return None

    def element(self, node: Node, index: int) -> Node | None:
        """An array's element; negative indexes count from the end."""
        if index < 0:
            index += self.size(node)
        if index < 0:
            return None
        if not self._is_block(node):
            return next((child for position, child in self._inside(node) if position == index), None)
        at = self._place(node, index)
        return None if at is None else Node(at, node.depth + 1)

    def index_at(self, node: Node, offset: int) -> tuple[int, int]:
        """The index of the array element whose text holds ``offset``, and where that element starts."""
        marks = self._children_before(node)
        block = (offset - node.start) // _STEP
        index = marks[block]
        at = node.start + 2 + 2 * (node.depth + 1)
        start = node.start + block * _STEP
        for match in self._between(node).finditer(self.data, start, min(self.end(node), offset + _LARGE)):
            if match.end() > offset:
                break
            index, at = index + 1, match.end()
        else:
            return index, at
        if at < start and index:
            at = self._place(node, index) or at
        return index, at

    def _children_before(self, node: Node) -> list[int]:
        """How many separators of an array stand before each of its blocks, and in all of it."""
        known = self._marks.get(node.start)
        if known is None:
            known = self._objects_before(node) or self._anything_before(node)
            end = self.end(node)
            if end - node.start > _LARGE:
                self._marks[node.start] = known
        return known

    def _objects_before(self, node: Node) -> list[int] | None:
        """The same for an array of nothing but objects, by a longer and so much faster needle."""
        data, end = self.data, self.end(node)
        margin = b"\n" + b"  " * (node.depth + 1)
        close, opened = margin + b"}", margin + b"{\n"
        # By induction: it begins with an object, and behind each object comes an object or the end.
        if not data.startswith(opened, node.start + 1) or _stranger(close + b",").search(data, node.start, end):
            return None
        between = close + b"," + opened
        back, ahead = len(close), len(opened)
        known = [0]
        for start in range(node.start, end, _STEP):
            stop = min(end, start + _STEP)
            known.append(known[-1] + data.count(between, max(node.start, start - back), min(end, stop + ahead)))
        return known

    def _anything_before(self, node: Node) -> list[int]:
        data, end = self.data, self.end(node)
        margin = b",\n" + b"  " * (node.depth + 1)
        deeper = margin + b" "
        width = len(margin)
        known = [0]
        for start in range(node.start, end, _STEP):
            stop = min(end, start + _STEP)
            seen = data.count(margin, start, min(end, stop + width - 1))
            seen -= data.count(deeper, start, min(end, stop + width))
            known.append(known[-1] + seen)
        return known

    def learn(self, node: Node, waypoints: list[tuple[int, int]], size: int) -> None:
        """Keeps what a walk over a whole array has found: its size, and index and offset of elements on the way."""
        if waypoints and size and self.end(node) - node.start > _LARGE and self._is_block(node):
            self._sizes[node.start] = size
            self._waypoints[node.start] = waypoints

    def _between(self, node: Node) -> re.Pattern[bytes]:
        return re.compile(rb",\n {%d}(?! )" % (2 * (node.depth + 1)))

    def line_range(self, node: Node) -> tuple[int, int]:
        """First and last line of the value in the laid-out text."""
        first = self.lines.number(node.start)
        return (first, self.lines.number(self.end(node) - 1)) if self._is_block(node) else (first, first)

    def _is_block(self, node: Node) -> bool:
        data, start = self.data, node.start
        return node.stop < 0 and data[start] in b"{[" and data[start + 1 : start + 2] == b"\n"

    def _is_flat(self, node: Node, end: int) -> bool:
        """Whether every element of a block array stands on one line of its own."""
        known = self._flat.get(node.start)
        if known is None:
            margin = b"\n" + b"  " * (node.depth + 1)
            start, data = node.start, self.data
            known = data.find(margin + b"{\n", start, end) < 0 and data.find(margin + b"[\n", start, end) < 0
            if end - start > _LARGE:
                self._flat[start] = known
        return known

    def _following(self, end: int, margin: int) -> int | None:
        return end + 2 + margin if self.data[end : end + 1] == b"," else None

    def _place(self, node: Node, index: int) -> int | None:
        margin = 2 * (node.depth + 1)
        if index == 0:
            return node.start + 2 + margin
        end = self.end(node)
        if end - node.start <= _LARGE:
            at: int | None = node.start + 2 + margin
            for _ in range(index):
                if at is None:
                    return None
                at = self._following(self.end(Node(at, node.depth + 1)), margin)
            return at
        if self._is_flat(node, end):
            if index >= self.size(node):
                return None
            return self.lines.start(self.lines.number(node.start) + 1 + index) + margin
        waypoints = self._waypoints.get(node.start)
        if waypoints is not None:
            if index >= self._sizes[node.start]:
                return None
            number = bisect_right(waypoints, (index, end)) - 1
            passed = waypoints[number][0]
            places = self._between_waypoints(node, number)
            return places[index - passed]
        marks = self._children_before(node)
        if index > marks[-1]:
            return None
        block = bisect_right(marks, index - 1) - 1
        return self._nth_from(node, node.start + block * _STEP, index - marks[block])

    def _between_waypoints(self, node: Node, number: int) -> array[int]:
        """Where the elements from one waypoint to the next begin. An array that is sorted is read in any order."""
        waypoints = self._waypoints[node.start]
        known = self._places.get(waypoints[number][1])
        if known is not None:
            return known
        passed, start = waypoints[number]
        last = number + 1 == len(waypoints)
        following, stop = (self._sizes[node.start], self.end(node)) if last else waypoints[number + 1]
        margin = b",\n" + b"  " * (node.depth + 1)
        needle = margin + b"{"
        parts = self.data[start:stop].split(needle)
        if len(parts) == following - passed:
            # Each element is an object, so nothing but the separators matches the longer needle.
            behind = accumulate((len(part) + len(needle) for part in parts[:-1]), initial=start)
            known = array("Q", (start, *(place - 1 for place in islice(behind, 1, None))))
        else:
            found = (match.end() for match in self._between(node).finditer(self.data, start, stop))
            known = array("Q", (start, *islice(found, following - passed - 1)))
        self._places[start] = known
        return known

    def separator(self, node: Node, offset: int) -> int | None:
        """Where the first element of a block array that begins behind ``offset`` does."""
        return self._nth_from(node, offset, 1)

    def _nth_from(self, node: Node, offset: int, count: int) -> int | None:
        """Where the element behind the array's ``count``-th separator from ``offset`` on begins."""
        for match in self._between(node).finditer(self.data, offset, self.end(node)):
            count -= 1
            if count == 0:
                return match.end()
        return None

    def _inside(self, node: Node) -> Iterator[tuple[str | int, Node]]:
        """Children of a container that stands on one line."""
        data = self.data
        end = self.end(node) - 1
        at = node.start + 1
        position = 0
        is_object = data[node.start] == 0x7B
        while at < end:
            while data[at] in b" \t,":
                at += 1
            name: str | int = position
            if is_object:
                key = _KEY.match(data, at)
                assert key is not None  # valid JSON puts a key here
                name = decode_string(key[1])
                at = key.end()
            stop = self._inline_end(at, end)
            yield name, Node(at, node.depth + 1, stop)
            position += 1
            at = stop
            while at < end and data[at] in b" \t":
                at += 1

    def _inline_end(self, at: int, end: int) -> int:
        data = self.data
        if data[at] not in b"{[":
            atom = _ATOM.match(data, at, end)
            assert atom is not None  # valid JSON puts a value here
            stop = atom.end()
            while data[stop - 1] in b" \t\r":
                stop -= 1
            return stop
        return self._closers.get(at) or self._match_brackets(at)

    def _match_brackets(self, at: int) -> int:
        """Finds where a container on one line ends, and with the same look all those inside it."""
        if len(self._closers) > _MOST_CLOSERS:
            self._closers.clear()
        opened: list[int] = []
        while True:
            shell = _SHELL.match(self.data, at)
            assert shell is not None  # valid JSON closes what it opens
            at = shell.end()
            if shell[1] in b"{[":
                opened.append(at - 1)
                continue
            opening = opened.pop()
            if not opened:
                return at
            self._closers[opening] = at


def decode_string(raw: bytes) -> str:
    try:
        value: str = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = json.loads(raw, strict=False)
        return value.encode("utf-8", "replace").decode()
    return value


def _spellings(key: str) -> list[bytes]:
    """How a key may be written, likeliest first."""
    written = json.dumps(key, ensure_ascii=False).encode("utf-8", "surrogatepass")
    escaped = json.dumps(key).encode()
    return [written + b": "] if written == escaped else [written + b": ", escaped + b": "]
