"""Documents inside a document: strings of a JSON value that deserve a file of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice

from aura_py.scratchpad import addresses, formats, linear
from aura_py.scratchpad.json_layout import laid_out
from aura_py.scratchpad.json_values import JsonText

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
    named: dict[str, Extract] = {}
    for extract in islice(_found(text, "$", 1), MOST):
        slug, copy = extract.slug, 1
        while f"{slug}.{extract.extension}".lower() in named:
            copy += 1
            slug = f"{extract.slug}-{copy}"
        named[f"{slug}.{extract.extension}".lower()] = replace(extract, slug=slug)
    return list(named.values())


@cache
def _long() -> linear.Pattern:
    """Finds a string of ten lines, or one that may be JSON of ten lines, whatever else the text holds."""
    return linear.structure(b"%b|%b(?:%b|%b)" % (_NINE_LINES, _CONTAINER, _WITH_STRINGS, _WITHOUT_STRINGS))


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
        value, path = text.root, prefix
        while value.has_members and value.start <= line:
            name, value = value.holding(line)
            path = addresses.join(path, name)
        extract = _extract(value.string, path) if value.kind == "string" else None
        if extract is None:
            continue
        yield extract
        inner = laid_out(extract.text.encode("utf-8", "replace")) if extract.format == "json" else None
        if inner is not None and depth < _DEEPEST:
            yield from _found(JsonText(inner), extract.path + _INTO + "$", depth + 1)


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


def _extract(value: str, path: str) -> Extract | None:
    encoded = value.encode("utf-8", "replace")
    layout = laid_out(encoded)
    if layout is not None:
        extension = kind = "" if _is_annotation(value, path) else "json"
        value = layout.decode("utf-8", "replace")
    elif formats.records(encoded) is not None:
        extension = kind = "ndjson"
    else:
        kind = formats.flavour(encoded)
        kind = "markdown" if kind == "fenced" else kind
        extension = {"markdown": "md", "csv": "csv", "xml": "xml", "yaml": "yaml"}.get(kind, "")
    lines = value.count("\n") + (not value.endswith("\n"))
    if not extension or lines < _LEAST_LINES:
        return None
    return Extract(path, _slug(path), extension, kind, value, lines)
