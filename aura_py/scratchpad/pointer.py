"""What the model reads in place of a parked output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from aura_py.scratchpad import addresses
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.lines import Lines
from aura_py.scratchpad.outline import nodes, sections
from aura_py.scratchpad.results import Counter
from aura_py.scratchpad.store import Record

MOST_TOKENS = 800
_PREVIEW_TOKENS = 300
_PREVIEW_LINES = 40
_LINE = 160
_BLANK_LINES = 4
_TOOLS = """\
The full output does not fit the context window. Read only what you need of it, with this `file`:
- schema(file): its structure, with paths and line numbers
- item_schema(file, path="…"): the keys of the items of an array{paths}
- head(file, lines=50): the first lines
- grep(file, pattern="…"): lines that match
- get_in(file, path="…"): one value; offset and limit page through long texts{paths}
- iterate_over(file, path="…", fields="…"): fields of all items, filtered and sorted{paths}
- slice(file, start=1, end=50): a range of lines"""
_COMPANIONS = """\
Long texts inside it have files of their own, companions; get_in on the parent gives only the raw string. Use schema, \
get_in, item_schema, iterate_over and grep on a JSON companion, schema, head, grep and slice on any other."""


def pointer(record: Record, document: Document, counter: Counter, threshold: int) -> str:
    """What the model reads in place of an output; the same for the same output from the same place.

    It has at most ``MOST_TOKENS``, and a third of ``threshold`` if that is less; but the line that names the file and
    the list of tools are always there, as they are for a threshold of 0, which parks everything.
    """
    facts = f"~{record.tokens} tokens, {record.lines} lines, format={record.format}"
    headline = f"[scratchpad: output saved to '{record.file}' ({facts})]"
    limit = min(MOST_TOKENS, threshold // 3) if threshold else MOST_TOKENS
    return _assembled(headline, document, record.format, record.companions, counter, limit)


def artifact_pointer(name: str, reference: str, document: Document, tokens: int, kind: str, counter: Counter) -> str:
    facts = f"~{tokens} tokens, {document.lines.total} lines, format={kind}"
    headline = f"[artifact '{name}' is too large to be shown whole (file='{reference}', {facts})]"
    return _assembled(headline, document, kind, (), counter, MOST_TOKENS)


def _assembled(
    headline: str, document: Document, kind: str, companions: Sequence[Record], counter: Counter, limit: int
) -> str:
    tools = _TOOLS.format(paths="" if kind == "json" else " (for NDJSON and fenced JSON)")
    left = limit - counter.count(f"{headline}\n\n{tools}") - _BLANK_LINES
    told = _told(companions, counter, left)
    left -= counter.count(told)
    look = preview(document, kind, counter, min(left, _PREVIEW_TOKENS)) if left > 0 else ""
    return "\n\n".join(part for part in (headline, tools, look, told) if part)


def _told(companions: Sequence[Record], counter: Counter, limit: int) -> str:
    """The companions, those of one kind in one line, as many lines as fit; and how many are not named."""
    if not companions:
        return ""
    kinds: dict[tuple[str, str], list[Record]] = {}
    for part in companions:
        kinds.setdefault((addresses.pattern(part.path), part.format), []).append(part)
    lines = [_COMPANIONS]
    unnamed = len(companions)
    for (path, kind), parts in kinds.items():
        rest = f"[{unnamed} companions; list_files() names them]"
        line = _companions(path, kind, parts)
        if counter.exceeds("\n".join((*lines, line, rest)), limit):
            return "\n".join((*lines, rest)) if len(lines) > 1 else rest
        lines.append(line)
        unnamed -= len(parts)
    return "\n".join(lines)


def _companions(path: str, kind: str, parts: Sequence[Record]) -> str:
    if len(parts) == 1:
        one = parts[0]
        return f"[companion: '{one.file}' extracted from key '{_clipped(one.path)}' ({one.lines} lines, {kind})]"
    names = [part.file for part in parts]
    head = _common(names)
    tail = _common([name[len(head) :][::-1] for name in names])[::-1]
    lines = sorted({part.lines for part in parts})
    sizes = f"{lines[0]} to {lines[-1]}" if len(lines) > 1 else str(lines[0])
    return (
        f"[companions: {len(parts)} files '{head}*{tail}' extracted from keys '{_clipped(path)}' "
        f"({sizes} lines each, {kind}); list_files() names them]"
    )


def _common(texts: Sequence[str]) -> str:
    """What all of them begin with."""
    first, last = min(texts), max(texts)
    return first[: next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _clipped(path: str) -> str:
    path = path.removeprefix("$.")
    return path if len(path) <= _LINE else f"{path[: _LINE // 2]}…{path[-_LINE // 2 :]}"


def preview(document: Document, kind: str, counter: Counter, limit: int) -> str:
    """At most ``limit`` tokens of a first look: structure of JSON, sections of Markdown, first and last lines else."""
    text = document.json if kind == "json" else None
    if text is not None:
        title, lines = "Structure:", nodes("$", text.root, 2)
    elif kind == "markdown":
        title, lines = "Sections:", sections(document, 3)
    else:
        title, lines = "First and last lines:", _ends(document.lines)
    kept: list[str] = []
    for line in islice(lines, _PREVIEW_LINES):
        kept.append(line if len(line) <= _LINE else line[: _LINE - 1] + "…")
    while kept and counter.exceeds("\n".join((title, *kept)), limit):
        kept.pop(len(kept) // 2 if kind == "text" and len(kept) > 2 else -1)
    return "\n".join((title, *kept)) if kept else ""


def _ends(lines: Lines) -> Iterator[str]:
    chosen = sorted({*range(1, min(5, lines.total) + 1), *range(max(1, lines.total - 2), lines.total + 1)})
    for number in chosen:
        line = next(lines.between(number, number), b"")
        yield f"L{number}: {line[: 4 * _LINE].decode('utf-8', 'ignore')}"
