"""Texts cut at their headings, then into chunks of a size that models can embed and read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

CHUNK_BYTES: Final = 1_600
"""About 400 tokens: four bytes of UTF-8 to a token, in most languages."""

_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_RST_RULE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}[ \t]*")


@dataclass(slots=True, frozen=True)
class Section:
    """A text below one heading. ``heading`` is the path of headings, ``line`` where the text starts in its file."""

    text: str
    heading: str = ""
    line: int | None = None
    page: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    markdown: bool = False


def markdown_sections(text: str, first_line: int | None = 1) -> Iterator[Section]:
    """Cut at ATX headings outside of code blocks. Without ``first_line`` sections have no lines."""
    headings = _Headings()
    fence = ""
    body: list[str] = []
    start = 0

    def section() -> Section:
        line = None if first_line is None else first_line + start
        return Section("\n".join(body), headings.path, line, markdown=True)

    for number, line in enumerate(text.split("\n")):
        opened = _FENCE.match(line)
        if opened is not None and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else opened[1]
        found = None if fence else _ATX.fullmatch(line.rstrip())
        if found is None:
            body.append(line)
            continue
        yield section()
        headings.enter(len(found[1]), found[2].rstrip("#").strip() or found[2])
        body, start = [], number + 1
    yield section()


def rst_sections(text: str) -> Iterator[Section]:
    """Cut at reStructuredText titles: a line with a rule below it, as long as the title at least."""
    headings, levels = _Headings(), dict[str, int]()
    lines = text.split("\n")
    body: list[str] = []
    start = 0
    for number, line in enumerate(lines):
        title = lines[number - 1].strip() if number else ""
        if title and _RST_RULE.fullmatch(line) and len(line.rstrip()) >= len(title) and not _RST_RULE.fullmatch(title):
            over = body[-2:-1] if len(body) > 1 and _RST_RULE.fullmatch(body[-2]) else []
            yield Section("\n".join(body[: -1 - len(over)]), headings.path, start + 1)
            style = line[0] * 2 if over else line[0]
            headings.enter(levels.setdefault(style, len(levels) + 1), title)
            body, start = [], number + 1
        else:
            body.append(line)
    yield Section("\n".join(body), headings.path, start + 1)


class _Headings:
    def __init__(self) -> None:
        self._stack: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> None:
        self._stack = [each for each in self._stack if each[0] < level]
        self._stack.append((level, " ".join(title.split())[:200]))

    @property
    def path(self) -> str:
        return " > ".join(title for _, title in self._stack)


def pieces(section: Section) -> Iterator[tuple[str, int | None]]:
    """The chunks of a section, each with the line it starts at."""
    text = section.text
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    if size <= CHUNK_BYTES:
        stripped = text.strip()
        if stripped:
            lead = text[: len(text) - len(text.lstrip())].count("\n")
            yield stripped, None if section.line is None else section.line + lead
        return
    splitter = _splitter(max(1, CHUNK_BYTES * len(text) // size), section.markdown)
    line, position = section.line, 0
    for offset, piece in splitter.chunk_indices(text):
        if line is not None:
            line += text.count("\n", position, offset)
            position = offset
        yield piece, line


@cache
def _splitter(characters: int, markdown: bool) -> Any:
    from semantic_text_splitter import MarkdownSplitter, TextSplitter

    return MarkdownSplitter(characters) if markdown else TextSplitter(characters)
