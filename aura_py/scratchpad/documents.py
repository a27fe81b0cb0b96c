"""Stored texts in memory, each read and understood once."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from threading import Lock

from aura_py.scratchpad import formats
from aura_py.scratchpad.json_layout import laid_out, line_numbers
from aura_py.scratchpad.json_values import JsonText
from aura_py.scratchpad.lines import Lines

CACHE_BYTES = 128 << 20
"""Most memory that cached texts hold, in the whole process."""

_BOM = b"\xef\xbb\xbf"


class Document:
    """One file as it was when it was read. Lines and JSON are found on first use and kept."""

    def __init__(self, data: bytes, *, in_layout: bool = False) -> None:
        self.data = data.removeprefix(_BOM)
        self._in_layout = in_layout

    @cached_property
    def lines(self) -> Lines:
        return Lines(self.data)

    @cached_property
    def json(self) -> JsonText | None:
        """The value, when the text is JSON, newline-delimited JSON or JSON in a Markdown fence."""
        if self._in_layout:
            text = JsonText(self.data)
            text.lines = self.lines
            return text
        return _records(self.data) or _one_value(self.data) or _fenced(self.data)

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        text: JsonText | None = self.__dict__.get("json")
        return len(self.data) + (0 if text is None else text.cost - (len(self.data) if self._in_layout else 0))


def _one_value(data: bytes, above: int = 0) -> JsonText | None:
    """``above`` counts the lines of the file before ``data``."""
    stripped = data.strip()
    layout = laid_out(stripped)
    if layout is None:
        return None
    lead = above + data.count(b"\n", 0, len(data) - len(data.lstrip()))
    if layout.count(b"\n") == stripped.count(b"\n"):
        return JsonText(layout, lambda line: line + lead)
    if b"\n" not in stripped:
        return JsonText(layout, lambda line: 1 + lead, is_file=False)
    numbers = line_numbers(stripped)
    return JsonText(layout, lambda line: numbers[min(line, len(numbers)) - 1] + lead, is_file=False)


def _records(data: bytes) -> JsonText | None:
    found = formats.records(data)
    if found is None:
        return None
    text, numbers = found

    def file_line(line: int) -> int:
        record = bisect_right(text.root.elements, text.lines.start(line + 1) - 1) - 1
        return numbers[max(0, record)]

    text.file_line = file_line
    return text


def _fenced(data: bytes) -> JsonText | None:
    block = formats.fenced(data)
    if block is None:
        return None
    start, end = block
    return _one_value(data[start:end], data.count(b"\n", 0, start))


class Documents:
    """The texts in memory: least recently used ones go first, and never more than ``limit`` bytes stay."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[str, int, int, int], Document] = OrderedDict()
        self._lock = Lock()

    def open(self, path: Path, *, in_layout: bool = False) -> Document:
        """The file's text, read anew if it has changed. Raises ``OSError``."""
        with open(path, "rb") as file:
            facts = os.fstat(file.fileno())
            key = (str(path), facts.st_ino, facts.st_mtime_ns, facts.st_size)
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None:
                    self._kept.move_to_end(key)
                    return kept
            data = file.read()
        document = Document(data, in_layout=in_layout)
        with self._lock:
            self._kept[key] = document
        self.settle()
        return document

    def settle(self) -> None:
        """Lets go of what is too much; called again after use, because what is found in a text takes memory too."""
        with self._lock:
            total = self._cost()
            while total > self._limit and self._kept:
                _, gone = self._kept.popitem(last=False)
                total -= gone.cost

    def forget(self, directory: Path) -> None:
        """Lets go of everything below a directory."""
        prefix = str(directory) + os.sep
        with self._lock:
            for key in [key for key in self._kept if key[0].startswith(prefix)]:
                del self._kept[key]

    @property
    def held(self) -> int:
        """Bytes of memory."""
        with self._lock:
            return self._cost()

    def _cost(self) -> int:
        return sum(document.cost for document in self._kept.values())


DOCUMENTS = Documents()
"""The process's one cache."""
