"""``item_schema``: which keys the items of an array have (§6.7).

Items of one shape follow each other in long runs. The shape of the first item of a run becomes an automaton that
swallows the whole run at once; so each item is looked at, and hardly any is parsed. Where shapes change all the time,
whole pieces are read instead.
"""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from aura_py.messages import Json
from aura_py.scratchpad import addresses, linear
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.jsontext import JsonText, Kind, Node
from aura_py.scratchpad.locate import every, json_view, steps_of
from aura_py.scratchpad.mixtures import DEEPEST, TRUNCATED, Mixture, UnreadableError
from aura_py.scratchpad.pretty import pretty
from aura_py.scratchpad.replies import Desk, HardError, Reply, answer
from aura_py.scratchpad.rows import pieces

_MOST_RUNS = 64
_HOLDS = re.compile(rb"[\[{]")
_WORTH_A_THREAD = 4 << 20
_VALUES: dict[Kind, bytes] = {
    "string": b'"[^\n]*',
    "number": rb"[-0-9][^\n]*",
    "bool": rb"[tf][^\n]*",
    "null": rb"n[^\n]*",
}


_TALLIES: WeakKeyDictionary[JsonText, dict[int, Tally]] = WeakKeyDictionary()
"""Of large arrays as a whole, by their offset, so that a second look costs nothing (S-17)."""


_STRING = rb'"(?:[^"\\\n]|\\.)*"'
_INLINE: dict[Kind, bytes] = {
    "string": _STRING,
    "number": rb"[-0-9][-+.0-9eE]*",
    "bool": rb"(?:true|false)",
    "null": rb"null",
    "array": rb"\[(?:[^\"\[\]{}\n]|" + _STRING + rb")*\]",
}
"""Values inside one line, arrays as long as they hold no containers."""


@dataclass(slots=True)
class Tally:
    """How often each dotted key was seen, and with which types."""

    items: int = 0
    present: Counter[str] = field(default_factory=Counter)
    types: dict[str, set[str]] = field(default_factory=dict)

    def add(self, keys: list[tuple[str, str]], times: int) -> None:
        self.items += times
        for key, kind in keys:
            self.present[key] += times
            self.types.setdefault(key, set()).add(kind)

    def merge(self, other: Tally) -> None:
        self.items += other.items
        self.present.update(other.present)
        for key, kinds in other.types.items():
            self.types.setdefault(key, set()).update(kinds)


def item_schema(desk: Desk, arguments: Arguments) -> str:
    file, requested = arguments.text("file"), arguments.text("path")
    windowed = arguments.has("offset") or arguments.has("limit")
    offset = arguments.count("offset", 0)
    limit = arguments.count("limit", 1 << 53, least=1)
    view = json_view(desk, file)
    text = view.text
    arrays = list(every(desk, file, text, steps_of(requested), requested))
    for path, node in arrays:
        if text.kind(node) != "array":
            raise HardError(f"invalid argument: {path} is no array but a value of kind {text.kind(node)}; use get_in")
    tally = Tally()
    path = arrays[0][0] if len(arrays) == 1 else requested
    if len(arrays) == 1:
        node = arrays[0][1]
        total = text.size(node) if windowed else -1
        first = min(offset, total) if windowed else 0
        last = min(offset + limit, total) if windowed else -1
        if first != last:
            count(text, node, tally, first, last)
        total = tally.items if total < 0 else total
    else:
        if windowed:
            raise HardError("invalid argument: `offset` and `limit` need a path to one array, without `*`")
        for _, node in arrays:
            if text.size(node):
                count(text, node, tally, 0, -1)
        total, first, last = tally.items, 0, tally.items
    scanned = f"(window: items [{first}..{max(first, last)}) of {total} total)" if windowed else f"({total} items)"
    size = max(first, last) - first if windowed else total
    suffix = "items in window" if windowed else "items"
    rows = [
        f"{key:<40}{'|'.join(sorted(tally.types[key])):<20}{seen}/{size or 1} {suffix}"
        for key, seen in sorted(tally.present.items())
    ]
    title = f"{path} {scanned}\n\n{'KEY':<40}{'TYPE(S)':<20}PRESENT IN\n{'-' * 72}\n"
    window = max(10, (size or total) // 2)
    fields: dict[str, Json] = {"requested_file": file, "array_length": total, "window_size": size}
    return answer(
        desk,
        Reply(
            "item_schema",
            rows,
            lambda _shown: file,
            lambda _shown: f'item_schema(file="{file}", path="{path}", offset={offset}, limit={window})',
            body=lambda parts: title + "".join(part + "\n" for part in parts),
            gap="\n",
        ),
        fields,
        [
            f'item_schema(file="{file}", path="{path}", offset={offset}, limit={window})',
            f'get_in(file="{file}", path="{path}[0]"), [{max(0, total // 2)}] or [{max(0, total - 1)}]',
            f'iterate_over(file="{file}", path="{path}", fields="…")',
        ],
    )


def count(text: JsonText, array: Node, tally: Tally, first: int, last: int) -> None:
    """Adds items ``first`` up to ``last`` (excluded; -1 is all) of an array to the tally."""
    data = text.data
    start = text.element(array, first)
    if start is None:
        return
    end = text.end(array)
    if last >= 0:
        stop = text.element(array, last)
        end = end if stop is None else stop.start
    if array.stop >= 0 or start.stop >= 0 or data[array.start + 1 : array.start + 2] != b"\n":
        _one_by_one(text, array, tally, first, last)
        return
    if first or last >= 0 or end - start.start < _WORTH_A_THREAD:
        _run(text, array, tally, start.start, end)
        return
    kept = _TALLIES.setdefault(text, {})
    if array.start not in kept:
        kept[array.start] = _in_halves(text, array, start.start, end)
    tally.merge(kept[array.start])


def _in_halves(text: JsonText, array: Node, start: int, end: int) -> Tally:
    """The automaton works without the interpreter's lock, so two threads take half the time."""
    middle = text.separator(array, (start + end) // 2)
    middle = end if middle is None else middle
    one, other = Tally(), Tally()
    with ThreadPoolExecutor(1) as pool:
        half = pool.submit(_run, text, array, other, middle, end)
        _run(text, array, one, start, middle)
        half.result()
    one.merge(other)
    return one


def _run(text: JsonText, array: Node, tally: Tally, at: int, end: int) -> None:
    data, depth = text.data, array.depth + 1
    margin = b"\n" + b"  " * depth
    automatons: dict[bytes, linear.Pattern] = {}
    runs = 0
    while at < end and data[at] not in b"]":
        runs += 1
        if runs > _MOST_RUNS:
            _mixed(text, array, tally, at, end)
            return
        node = Node(at, depth)
        keys: list[tuple[str, str]] = []
        shape = _shape(text, node, "", keys, 0)
        automaton = automatons.get(shape)
        if automaton is None:
            automaton = automatons[shape] = linear.structure(b"(?:" + shape + b",?\n *)+")
        run = automaton.match(data, at, end) if automaton is not None else None
        if run is None:
            following = text.end(node)
            tally.add(keys, 1)
            if data[following : following + 1] != b",":
                return
            at = following + len(margin) + 1
            continue
        kind = data[at]
        if kind in b"{[" and data[at + 1 : at + 2] == b"\n":
            close, opened = (b"}", b"{") if kind == 0x7B else (b"]", b"[")
            # The long needle between two items is found much faster than the short one at their end.
            times = data.count(margin + close + b"," + margin + opened + b"\n", at, run.end()) + 1
        else:
            times = data.count(b"\n", at, run.end())
        tally.add(keys, times)
        at = run.end()


def _mixed(text: JsonText, array: Node, tally: Tally, at: int, end: int) -> None:
    """The items from ``at`` on, where runs of one shape are too short to be worth their automatons."""
    mixture = Mixture()
    for _, piece in pieces(text, array, at, end):
        try:
            mixture.add(piece)
        except UnreadableError:
            laid_out = pretty(piece)
            assert laid_out is not None  # a part of a valid array is a valid array
            part = JsonText(laid_out)
            _one_by_one(part, part.root, tally, 0, -1)
    tally.items += mixture.items
    for (key, kind), times in mixture.seen.items():
        tally.present[key] += times
        tally.types.setdefault(key, set()).add(kind)


def _one_by_one(text: JsonText, array: Node, tally: Tally, first: int, last: int) -> None:
    for position, child in text.children(array, first):
        if isinstance(position, int) and 0 <= last <= position:
            return
        keys: list[tuple[str, str]] = []
        _shape(text, child, "", keys, 0)
        tally.add(keys, 1)


def _shape(text: JsonText, node: Node, prefix: str, keys: list[tuple[str, str]], level: int) -> bytes:
    """A pattern for all values of this one's shape; its keys are appended to ``keys``."""
    kind = text.kind(node)
    if kind not in ("object", "array"):
        return _VALUES[kind] if node.stop < 0 else _INLINE[kind]
    data = text.data
    block = node.stop < 0 and data[node.start + 1 : node.start + 2] == b"\n"
    inner = rb"\n {%d}" % (2 * (node.depth + 1))
    close = rb"\n {%d}" % (2 * node.depth)
    if kind == "array":
        if block:
            return rb"\[(?:" + inner + rb"[^\n]*)+" + close + rb"\]"
        raw = text.raw(node)
        return rb"\[[^\n]+" if node.stop < 0 else _literally(raw) if _HOLDS.search(raw, 1) else _INLINE[kind]
    if not block:
        written: list[bytes] = []
        at = node.start
        for _, shape, child in _members(text, node, prefix, keys, level):
            written += (_literally(data[at : child.start]), shape)
            at = text.end(child)
        return b"".join(written) + _literally(data[at : text.end(node)])
    parts = [_literally(name) + rb": " + shape for name, shape, _ in _members(text, node, prefix, keys, level)]
    return rb"\{" + rb",?".join(inner + part for part in parts) + close + rb"\}"


def _members(
    text: JsonText, node: Node, prefix: str, keys: list[tuple[str, str]], level: int
) -> list[tuple[bytes, bytes, Node]]:
    found: list[tuple[bytes, bytes, Node]] = []
    data = text.data
    for name, child in text.children(node):
        dotted = f"{prefix}{addresses.join('$', str(name))[1:].removeprefix('.')}"
        kind = text.kind(child)
        if level >= DEEPEST:
            if not keys or keys[-1][0] != TRUNCATED:
                keys.append((TRUNCATED, "object"))
            shape = _shape(text, child, "", [], level + 1) if level < DEEPEST + 2 else b"[^\n]*"
        else:
            keys.append((dotted, kind))
            shape = _shape(text, child, f"{dotted}.", keys, level + 1)
        key_start = data.rfind(b"\n", 0, child.start) + 1 if child.stop < 0 else child.start
        key = data[key_start : child.start].strip().removesuffix(b":").rstrip()
        found.append((key, shape, child))
    return found


def _literally(text: bytes) -> bytes:
    return b"".join(b"\\x%02x" % byte if byte < 0x80 and not chr(byte).isalnum() else bytes((byte,)) for byte in text)
