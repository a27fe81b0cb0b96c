"""Documents inside a document: strings of a JSON value that deserve a file of their own."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from aura_py.scratchpad import addresses, formats, linear
from aura_py.scratchpad.json_layout import laid_out
from aura_py.scratchpad.json_values import JsonText, JsonValue

MOST = 20
_LEAST_LINES = 10
_DEEPEST = 3
_EXAMINED = 200
_ONE_LINE = 4096
_NINE_LINES = rb'\\n(?:(?:[^"\\\n]|\\[^n\n])*\\n){8}'
_CONTAINER = rb'"[ \t]*(?:\\[nrt])*[ \t]*[\[{]'
_WITH_STRINGS = rb'(?:[^"\\\n]|\\[^"\n])*\\"'
_WITHOUT_STRINGS = rb'(?:[^"\\\n]|\\[nrt]){14,}[\]}](?:\\n)?"'
_INTO = " → "
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(slots=True, frozen=True)
class Extract:
    """``path`` is the string's address in the parent (through its own parents, if nested deeper)."""

    path: str
    slug: str
    extension: str
    format: str
    text: str
    lines: int


def extracts(text: JsonText) -> list[Extract]:
    """At most ``MOST`` strings worth a file, in document order; a string inside one follows its parent."""
    return list(_named(_found(text, "$", 1)))


@cache
def _long() -> linear.Pattern:
    """Finds a string of ten lines, or one that may be JSON of ten lines, whatever else the text holds."""
    return linear.structure(b"%b|%b(?:%b|%b)" % (_NINE_LINES, _CONTAINER, _WITH_STRINGS, _WITHOUT_STRINGS))


def _named(found: Iterator[Extract]) -> Iterator[Extract]:
    taken: set[str] = set()
    for number, extract in enumerate(found):
        if number == MOST:
            return
        slug, copy = extract.slug, 1
        while f"{slug}.{extract.extension}".lower() in taken:
            copy += 1
            slug = f"{extract.slug}-{copy}"
        taken.add(f"{slug}.{extract.extension}".lower())
        yield Extract(extract.path, slug, extract.extension, extract.format, extract.text, extract.lines)


def _found(text: JsonText, prefix: str, depth: int) -> Iterator[Extract]:
    data = text.data
    if b"\\" not in data:
        return
    at = 0
    for _ in range(_EXAMINED):
        match = _long().search(data, at)
        if match is None:
            return
        line = data.rfind(b"\n", 0, match.start()) + 1
        at = data.find(b"\n", match.end())
        if at < 0:
            at = len(data)
        place = _on_line(text, line)
        if place is None or place[1].kind != "string":
            continue
        extract, inner = _extract(place[1].string, prefix + place[0])
        if extract is None:
            continue
        yield extract
        if inner is not None and depth < _DEEPEST:
            yield from _found(inner, extract.path + _INTO + "$", depth + 1)


def _on_line(text: JsonText, line_start: int) -> tuple[str, JsonValue] | None:
    """The value whose line begins at an offset: its path below the root, and itself."""
    value, path = text.root, ""
    while value.has_members:
        found: tuple[str | int, JsonValue] | None
        if value.kind == "array":
            index = bisect_right(value.elements, line_start + 2 * (value.depth + 1)) - 1
            found = index, JsonValue(text, value.elements[index], value.depth + 1)
        else:
            found = next(((key, child) for key, child in value.children() if child.end > line_start), None)
        if found is None:
            return None
        path, value = addresses.join(path, found[0]), found[1]
        begins = text.data.rfind(b"\n", 0, value.start) + 1
        if begins >= line_start:
            return (path, value) if begins == line_start else None
    return None


def _slug(path: str) -> str:
    steps = [step.text for part in path.split(_INTO) for step in addresses.parse(part)]
    return _UNSAFE.sub("_", "_".join(steps))[:80] or "_"


def _is_annotation(value: str, path: str) -> bool:
    """Whether JSON on one line is no document but a note on each of many things, as on the pods of a cluster.

    ``get_in`` shows such a string whole.
    """
    if len(value) >= _ONE_LINE or "\n" in value.strip():
        return False
    steps = [step for part in path.split(_INTO) for step in addresses.parse(part)]
    return any(step.kind == "index" or step.text == "annotations" for step in steps)


def _extract(value: str, path: str) -> tuple[Extract | None, JsonText | None]:
    slug = _slug(path)
    encoded = value.encode("utf-8", "replace")
    layout = laid_out(encoded)
    if layout is not None:
        if _is_annotation(value, path):
            return None, None
        lines = layout.count(b"\n") + 1
        if lines < _LEAST_LINES:
            return None, None
        return Extract(path, slug, "json", "json", layout.decode("utf-8", "replace"), lines), JsonText(layout)
    lines = value.count("\n") + (not value.endswith("\n"))
    if lines < _LEAST_LINES:
        return None, None
    if formats.records(encoded) is not None:
        return Extract(path, slug, "ndjson", "ndjson", value, lines), None
    kind = formats.flavour(encoded)
    extension = {"markdown": "md", "fenced": "md", "csv": "csv", "xml": "xml", "yaml": "yaml"}.get(kind)
    if extension is None:
        return None, None
    return Extract(path, slug, extension, "markdown" if extension == "md" else kind, value, lines), None
