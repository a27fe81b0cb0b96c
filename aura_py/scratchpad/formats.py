"""What a text is, by looking at it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from aura_py.scratchpad.json_layout import laid_out
from aura_py.scratchpad.json_values import JsonText

Format = Literal["json", "markdown", "text"]
Flavour = Literal["json", "ndjson", "fenced", "markdown", "csv", "xml", "yaml", "text"]
EXTENSIONS: dict[Format, str] = {"json": "json", "markdown": "md", "text": "txt"}

_HEADER = re.compile(r"#{1,6}[ \t]")
_FENCE = re.compile(rb"^[ \t]*(```+|~~~+)[ \t]*([A-Za-z0-9_+-]*)[^\n]*\n", re.MULTILINE)
_YAML_LINE = re.compile(r"(?:- )*(?:[\w.\-/ ]+|\"[^\"]*\"|'[^']*'):(?:\s|$)|- \S|#|---$|\.\.\.$")
_LEADING = 50
_HEAD = 1 << 12
_WIDE = 300


def is_markdown(text: str) -> bool:
    """Whether one of the first 50 lines is an ATX header."""
    start = 0
    for _ in range(_LEADING):
        end = text.find("\n", start)
        line = text[start : min(end, start + 4096) if end >= 0 else start + 4096].lstrip()
        if _HEADER.match(line):
            return True
        if end < 0:
            return False
        start = end + 1
    return False


def unwrapped(text: str) -> str:
    """The JSON text inside ``{"result": "<json>"}``, the wrapper of some MCP servers; else the text itself."""
    if re.match(r'\s*\{\s*"result"\s*:\s*"\s*(?:\\n)*[\[{]', text) is None:
        return text
    try:
        wrapper = msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return text
    if len(wrapper) != 1 or laid_out(wrapper["result"].encode("utf-8", "replace")) is None:
        return text
    return wrapper["result"]


def records(data: bytes) -> tuple[JsonText, Sequence[int]] | None:
    """Newline-delimited JSON as one array, and the line numbers of its records."""
    text = data.strip(b" \t\r\n")
    if text[:1] not in (b"{", b"[") or b"\n" not in text or text[: text.find(b"\n")].rstrip()[-1:] not in (b"}", b"]"):
        return None
    first = data.count(b"\n", 0, data.find(text[:1])) + 1
    numbers: Sequence[int] = range(first, first + text.count(b"\n") + 1)
    if re.search(rb"\n[ \t\r]*\n", text) is not None:
        lines = [(number, line) for number, line in zip(numbers, text.split(b"\n"), strict=True) if line.strip()]
        numbers, text = [number for number, _ in lines], b"\n".join(line for _, line in lines)
    layout = laid_out(b"[" + text.replace(b"\n", b",") + b"]")
    if layout is None:
        return None
    found = JsonText(layout, is_file=False)
    # A line such as `1, 2` makes more values than lines.
    return (found, numbers) if found.root.size == len(numbers) else None


def fenced(data: bytes) -> tuple[int, int] | None:
    """Where the JSON of the first fenced block stands, if the text is little else or has no headers of its own."""
    for opening in _FENCE.finditer(data, 0, min(len(data), 1 << 16)):
        language = opening[2].lower()
        if language not in (b"", b"json", b"jsonc", b"json5", b"javascript"):
            continue
        end = _closing(data, opening[1], opening.end())
        body = data[opening.end() : opening.end() + _HEAD].lstrip()
        main = 2 * (end - opening.end()) >= len(data) or not is_markdown(data[: 1 << 16].decode("utf-8", "replace"))
        if body[:1] in (b"{", b"[") and main:
            return opening.end(), end
    return None


def _closing(data: bytes, fence: bytes, at: int) -> int:
    """Where the line that closes a fenced block begins; the end of the text when none does."""
    while (found := data.find(fence, at)) >= 0:
        begin = data.rfind(b"\n", 0, found) + 1
        stop = data.find(b"\n", found)
        at = stop = len(data) if stop < 0 else stop
        if not data[begin:found].strip() and not data[found:stop].strip().strip(fence[:1]):
            return begin
    return len(data)


def is_xml(text: str) -> bool:
    head = text.lstrip()[:200]
    return (
        re.match(r"<\?xml\s|<!DOCTYPE\s|<([A-Za-z_][\w.\-:]*)(\s[^<>]*)?/?>", head) is not None
        and text.rstrip()[-1:] == ">"
    )


def csv_delimiter(text: str) -> str | None:
    """The delimiter of a table of at least three rows and two columns, or ``None``."""
    sample = text[: 1 << 15].split("\n")[:_LEADING]
    if len(text) > 1 << 15:
        sample = sample[:-1]
    sample = [line for line in sample if line.strip()]
    if len(sample) < 3:
        return None
    for delimiter in (",", "\t", ";", "|"):
        try:
            widths = {len(row) for row in csv.reader(io.StringIO("\n".join(sample)), delimiter=delimiter, strict=True)}
        except csv.Error:
            continue
        if len(widths) == 1 and widths.pop() >= 2:
            names = next(csv.reader([sample[0]], delimiter=delimiter))
            if all(name.strip() and len(name) < 65 for name in names) and len(set(names)) == len(names):
                return delimiter
    return None


def is_yaml(text: str) -> bool:
    """Whether the first lines read like YAML mappings or lists: most of them are ``key:``, ``- item`` or deeper."""
    lines = [line[:_WIDE] for line in text[: 1 << 14].split("\n")[:_LEADING] if line.strip()]
    if len(lines) < 3:
        return False
    top = [line for line in lines if not line.startswith((" ", "\t"))]
    looking = sum(1 for line in lines if _YAML_LINE.match(line.strip()))
    keys = sum(1 for line in lines if re.match(r"\s*(?:- )*[\w.\-/]+:(?:\s|$)", line))
    return keys >= 2 and looking * 5 >= len(lines) * 4 and all(_YAML_LINE.match(line) for line in top)


def flavour(data: bytes) -> Flavour:
    """For texts that are not one JSON value."""
    if fenced(data) is not None:
        return "fenced"
    text = data[: 1 << 16].decode("utf-8", "replace")
    if is_markdown(text):
        return "markdown"
    if is_xml(text) if len(data) < 1 << 16 else text.lstrip().startswith("<?xml"):
        return "xml"
    if csv_delimiter(text) is not None:
        return "csv"
    return "yaml" if is_yaml(text) else "text"
