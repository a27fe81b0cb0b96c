"""``schema``: what is where in a text."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import islice

from aura_py.scratchpad import addresses, formats
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.errors import HardError
from aura_py.scratchpad.json_values import JsonValue
from aura_py.scratchpad.locate import Lookup
from aura_py.scratchpad.results import ExplorationContext, Result, answer

_DEEPEST = 32
_LONG = 50
# With a line end in front, which is found much faster than ``^``.
_HEADER = re.compile(rb"\n[ \t]*+(#{1,6})[ \t]*+([^#\s][^\n]*+)")
_FENCE = re.compile(rb"\n[ \t]*+(?:```|~~~)")
_YAML_KEY = re.compile(
    rb"^([ ]*)((?:- )*)([^\s#:\-\"'][^:\n]*|\"[^\"\n]*\"|'[^'\n]*'):(?:[ \t]+([^\n]*))?$", re.MULTILINE
)
_LEVELS = (b"FATAL", b"CRITICAL", b"ERROR", b"WARN", b"INFO", b"DEBUG", b"TRACE")


def schema(context: ExplorationContext, arguments: Arguments) -> str:
    file = arguments.text("file")
    depth = arguments.count("max_depth", 4)
    offset = arguments.count("offset", 0)
    path = arguments.text("path", "")
    document = context.open(file)
    if path:
        kind = "json"
    elif file.endswith(".md") and formats.fenced(document.data) is None:
        kind = "markdown"
    else:
        kind = "json" if document.json is not None else formats.flavour(document.data)
    if kind == "json":
        found = nodes(*Lookup(context, file, path).value(), depth)
    elif kind == "markdown":
        found = sections(document, depth)
        if not _headers(document.data):
            raise HardError(f"invalid argument: `{file}` is Markdown without headers; use head, grep or slice instead")
    else:
        found = _table(document) if kind == "csv" else _yaml(document, depth) if kind == "yaml" else _plain(document)
    suggestions = [f'schema(file="{file}", max_depth={max(1, depth // 2)})', f'head(file="{file}", lines=50)']
    if kind == "json":
        suggestions += [
            f'get_in(file="{file}", path="…") for one part',
            f'item_schema(file="{file}", path="…") for an array',
        ]
    else:
        suggestions += [
            f'grep(file="{file}", pattern="…") for a header',
            f'slice(file="{file}", start=1, end=50)',
        ]
    where = f', path="{path}"' if path else ""
    result = Result(
        "schema",
        lambda _shown: file,
        lambda shown: f'schema(file="{file}"{where}, max_depth={depth}, offset={offset + shown})',
        {"requested_file": file, "format": kind},
        suggestions,
    )
    return answer(context, result, islice(found, offset, None))


def nodes(path: str, value: JsonValue, max_depth: int, level: int = 0) -> Iterator[str]:
    """One line a value: its path, its kind and its lines in the file. Of an array the first element stands for all."""
    first, last = value.line_range
    yield f"{'  ' * level}{path} ({_kind(value)}) [L{first}-L{last}]"
    if level < max_depth and value.is_container:
        if level == _DEEPEST:
            if value.size:
                yield f"{'  ' * (level + 1)}...truncated"
            return
        for name, child in islice(value.children(), 1 if value.kind == "array" else None):
            yield from nodes(addresses.join(path, name), child, max_depth, level + 1)


def _kind(value: JsonValue) -> str:
    if value.is_container:
        return f"{value.kind}({value.size} {'keys' if value.kind == 'object' else 'items'})"
    if value.kind == "string" and value.end - value.start - 2 > _LONG:
        text = value.string
        return f"string({len(text)}ch)" if len(text.encode("utf-8", "replace")) > _LONG else "string"
    return value.kind


def sections(document: Document, max_depth: int) -> Iterator[str]:
    """Markdown headers outside code fences, each with its lines, subsections included, and its list keys."""
    lines = document.lines
    found = _headers(document.data)
    ends = _section_ends(found)
    ancestors: list[int] = []
    for position, (place, level, title) in enumerate(found):
        while ancestors and ancestors[-1] >= level:
            ancestors.pop()
        nesting = len(ancestors)
        ancestors.append(level)
        if nesting >= max_depth:
            continue
        number = lines.number(place)
        last = lines.total if ends[position] < 0 else lines.number(ends[position]) - 1
        own = lines.number(found[position + 1][0]) - 1 if position + 1 < len(found) else lines.total
        keys = _list_keys(document, number + 1, min(own, number + 200))
        listed = f" (keys: {', '.join(keys)})" if keys else ""
        named = title.decode("utf-8", "replace").strip().rstrip("#").rstrip()
        yield f"{'  ' * nesting}{'#' * level} {named} [L{number}-L{last}]{listed}"


def _headers(data: bytes) -> list[tuple[int, int, bytes]]:
    """Place, level and title of each header outside code fences."""
    lines = b"\n" + data
    fences = [match.start() for match in _FENCE.finditer(lines)] if b"```" in data or b"~~~" in data else []
    edges = iter(zip(fences[::2], [*fences[1::2], len(lines)], strict=False))
    edge = next(edges, None)
    found: list[tuple[int, int, bytes]] = []
    for match in _HEADER.finditer(lines):
        while edge is not None and edge[1] < match.start():
            edge = next(edges, None)
        if edge is None or match.start() < edge[0]:
            found.append((match.start(1) - 1, len(match[1]), match[2]))
    return found


def _section_ends(headers: list[tuple[int, int, bytes]]) -> list[int]:
    """For each header, the place of the next one that is no deeper; -1 where none is."""
    following = [-1] * 7
    ends: list[int] = []
    for place, level, _ in reversed(headers):
        ends.append(following[level])
        following[level:] = [place] * (7 - level)
    ends.reverse()
    return ends


def _list_keys(document: Document, first: int, last: int) -> list[str]:
    keys: list[str] = []
    for line in document.lines.between(first, last):
        stripped = line.lstrip()
        if not stripped.startswith(b"- ") or len(line) - len(stripped) >= 2:
            continue
        item = stripped[2:].decode("utf-8", "replace").strip()
        key = item.split(": ", 1)[0] if ": " in item else item.removesuffix(":")
        keys.append(key if len(key) <= 60 else key[:59] + "…")
        if len(keys) == 20:
            break
    return keys


def _table(document: Document) -> Iterator[str]:
    """A CSV table: its columns, and what their first values look like."""
    lines = document.lines
    sample = document.data[: 1 << 18].decode("utf-8", "ignore")
    delimiter = formats.csv_delimiter(sample) or ","
    rows = list(islice(csv.reader(sample.split("\n"), delimiter=delimiter), 200))
    names = rows[0]
    body = [row for row in rows[1:] if len(row) == len(names)]
    shown = {"\t": "tab"}.get(delimiter, delimiter)
    yield f"table ({len(names)} columns separated by {shown}, about {lines.total - 1} rows) [L1-L{lines.total}]"
    for column, name in enumerate(names):
        values = [row[column].strip() for row in body]
        example = next((value for value in values if value), "")
        yield f"  {name.strip()} ({_column_kind(values)}), for example: {example[:60]}"


def _column_kind(values: list[str]) -> str:
    filled = [value for value in values if value]
    empty = ", some empty" if len(filled) < len(values) else ""
    if filled and all(re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", value) for value in filled):
        return f"number{empty}"
    if filled and all(value.lower() in ("true", "false", "yes", "no") for value in filled):
        return f"bool{empty}"
    return f"string{empty}"


def _yaml(document: Document, max_depth: int) -> Iterator[str]:
    """Keys of a text that reads like YAML, by indentation."""
    margins: list[int] = []
    found = [
        (match.start(), len(match[1]) + len(match[2]), match[3].decode("utf-8", "replace"), match[4], bool(match[2]))
        for match in islice(_YAML_KEY.finditer(document.data), 20_000)
    ]
    for place, margin, key, value, listed in found:
        while margins and margins[-1] >= margin:
            margins.pop()
        level = len(margins)
        margins.append(margin)
        if level >= max_depth:
            continue
        number = document.lines.number(place)
        text = "" if not value else f": {value.decode('utf-8', 'replace').strip()[:60]}"
        yield f"{'  ' * level}{'- ' if listed else ''}{key}{text} [L{number}]"


def _plain(document: Document) -> Iterator[str]:
    """A log or any other text: its size, its levels, its first and last lines."""
    data, lines = document.data, document.lines
    yield f"text ({lines.total} lines, {len(data)} bytes) [L1-L{lines.total}]"
    sample = data[: 8 << 20]
    counts = {level: sample.count(level) for level in _LEVELS}
    if any(counts.values()):
        scope = "" if len(sample) == len(data) else " in the first 8 MB"
        told = ", ".join(f"{level.decode()} {count}" for level, count in counts.items() if count)
        yield f"  words{scope}: {told}"
    for number in sorted({*range(1, min(3, lines.total) + 1), *range(max(1, lines.total - 2), lines.total + 1)}):
        line = next(lines.between(number, number), b"")
        yield f"  L{number}: {line[:200].decode('utf-8', 'ignore')}"
