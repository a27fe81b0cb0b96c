"""What the model reads in place of a parked output (§4.1, S-15)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.lines import Lines
from aura_py.scratchpad.outline import nodes, sections
from aura_py.scratchpad.replies import Counter
from aura_py.scratchpad.store import Record, Saved

_PREVIEW_TOKENS = 300
_PREVIEW_LINES = 40
_LINE = 160


def pointer(saved: Saved, counter: Counter) -> str:
    """Deterministic: the same output from the same place gives the same bytes."""
    record = saved.record
    facts = f"~{record.tokens} tokens, {record.lines} lines, format={record.format}"
    parts = [
        f"[scratchpad: output saved to '{record.file}' ({facts})]",
        _explore(record.file, record.format),
        preview(saved.document, record.format, counter),
    ]
    parts.extend(_companion(part) for part in saved.companions)
    return "\n\n".join(part for part in parts if part)


def artifact_pointer(name: str, reference: str, document: Document, tokens: int, kind: str, counter: Counter) -> str:
    facts = f"~{tokens} tokens, {document.lines.total} lines, format={kind}"
    headline = f"[artifact '{name}' is too large to be shown whole (file='{reference}', {facts})]"
    return "\n\n".join(part for part in (headline, _explore(reference, kind), preview(document, kind, counter)) if part)


def _explore(file: str, kind: str) -> str:
    paths = "" if kind == "json" else " (for NDJSON and fenced JSON)"
    return "\n".join(
        (
            "The full output does not fit the context window. Read only what you need of it:",
            f'- schema(file="{file}"): its structure, with paths and line numbers',
            f'- item_schema(file="{file}", path="…"): the keys of the items of an array{paths}',
            f'- head(file="{file}", lines=50): the first lines',
            f'- grep(file="{file}", pattern="…"): lines that match',
            f'- get_in(file="{file}", path="…"): one value; offset and limit page through long texts{paths}',
            f'- iterate_over(file="{file}", path="…", fields="…"): fields of all items, filtered and sorted{paths}',
            f'- slice(file="{file}", start=1, end=50): a range of lines',
        )
    )


def _companion(part: Record) -> str:
    header = f"[companion: '{part.file}' extracted from key '{part.path.removeprefix('$.')}'"
    how = ("schema", "get_in", "item_schema", "iterate_over", "head", "grep") if part.laid_out else (
        "schema", "head", "grep", "slice",
    )  # fmt: skip
    arguments = {
        "get_in": ', path="…"',
        "item_schema": ', path="…"',
        "iterate_over": ', path="…", fields="…"',
        "grep": ', pattern="…"',
        "slice": ", start=1, end=50",
    }
    return "\n".join(
        (
            f"{header} ({part.lines} lines, {part.format})]",
            "The content of that key now has a file of its own; get_in on the parent gives only the raw string.",
            *(f'- {name}(file="{part.file}"{arguments.get(name, "")})' for name in how),
        )
    )


def preview(document: Document, kind: str, counter: Counter) -> str:
    """A first look of at most 300 tokens: structure of JSON, sections of Markdown, first and last lines of text."""
    view = document.json if kind == "json" else None
    if view is not None:
        title, lines = "Structure:", nodes(view, view.text.root, "$", 2, rough=True)
    elif kind == "markdown":
        title, lines = "Sections:", sections(document, 3)
    else:
        title, lines = "First and last lines:", _ends(document.lines)
    kept: list[str] = []
    for line in islice(lines, _PREVIEW_LINES):
        kept.append(line if len(line) <= _LINE else line[: _LINE - 1] + "…")
    while kept and counter.exceeds("\n".join(kept), _PREVIEW_TOKENS):
        kept.pop(len(kept) // 2 if kind == "text" and len(kept) > 2 else -1)
    return "\n".join((title, *kept)) if kept else ""


def _ends(lines: Lines) -> Iterator[str]:
    chosen = sorted({*range(1, min(5, lines.total) + 1), *range(max(1, lines.total - 2), lines.total + 1)})
    for number in chosen:
        line = next(lines.between(number, number), b"")
        yield f"L{number}: {line[: 4 * _LINE].decode('utf-8', 'ignore')}"
