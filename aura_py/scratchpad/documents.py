"""Stored texts in memory, each read and understood once (S-17)."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

from aura_py.scratchpad import formats
from aura_py.scratchpad.jsontext import JsonText
from aura_py.scratchpad.lines import Lines
from aura_py.scratchpad.pretty import line_numbers, pretty

CACHE_BYTES = 128 << 20
"""Most memory that cached texts hold, in the whole process."""

_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True, frozen=True)
class JsonView:
    """The JSON value of a text.

    ``file_line`` turns a line of its layout into a line of the file; ``aligned`` says that both have the same lines.
    """

    text: JsonText
    file_line: Callable[[int], int]
    aligned: bool = False


class Document:
    """One file as it was when it was read. Lines and the JSON view are found on first use and kept."""

    def __init__(self, data: bytes, *, laid_out: bool = False) -> None:
        self.data = data.removeprefix(_BOM)
        self._laid_out = laid_out

    @cached_property
    def lines(self) -> Lines:
        return Lines(self.data)

    @cached_property
    def json(self) -> JsonView | None:
        """The value, when the text is JSON, NDJSON or JSON in a Markdown fence."""
        if self._laid_out:
            return JsonView(JsonText(self.data, lambda: self.lines), lambda line: line, True)
        return _one_value(self.data) or _records(self.data) or _fenced(self.data)

    @property
    def cost(self) -> int:
        view: JsonView | None = self.__dict__.get("json")
        if view is None or view.text.data is self.data:
            return len(self.data)
        return len(self.data) + len(view.text.data)


def _one_value(data: bytes, above: int = 0) -> JsonView | None:
    """``above`` counts the lines of the file before ``data``."""
    stripped = data.strip()
    laid_out = pretty(stripped)
    if laid_out is None:
        return None
    lead = above + data.count(b"\n", 0, len(data) - len(data.lstrip()))
    if laid_out == stripped or laid_out.count(b"\n") == stripped.count(b"\n"):
        return JsonView(JsonText(laid_out), lambda line: line + lead, True)
    if b"\n" not in stripped:
        return JsonView(JsonText(laid_out), lambda line: 1 + lead)
    numbers = line_numbers(stripped)
    return JsonView(JsonText(laid_out), lambda line: numbers[min(line, len(numbers)) - 1] + lead)


def _records(data: bytes) -> JsonView | None:
    found = formats.records(data)
    if found is None:
        return None
    array, numbers = found
    text = JsonText(array)

    def file_line(line: int) -> int:
        record = min(max(line - 1, 1), text.lines.total - 2)
        return record if numbers is None else numbers[record - 1]

    return JsonView(text, file_line)


def _fenced(data: bytes) -> JsonView | None:
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

    def open(self, path: Path, *, laid_out: bool = False) -> Document:
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
        document = Document(data, laid_out=laid_out)
        with self._lock:
            self._kept[key] = document
            self._trim()
        return document

    def keep(self, path: Path, document: Document) -> None:
        """Takes in a text that has just been written, so that nobody needs to read it back."""
        facts = path.stat()
        if facts.st_size != len(document.data):
            return
        with self._lock:
            self._kept[str(path), facts.st_ino, facts.st_mtime_ns, facts.st_size] = document
            self._trim()

    def settle(self) -> None:
        """Lets go of what is too much, now that views may have grown the texts."""
        with self._lock:
            self._trim()

    def forget(self, directory: Path) -> None:
        """Lets go of everything below a directory."""
        prefix = str(directory) + os.sep
        with self._lock:
            for key in [key for key in self._kept if key[0].startswith(prefix)]:
                del self._kept[key]

    @property
    def held(self) -> int:
        """Bytes of text in memory."""
        with self._lock:
            return sum(document.cost for document in self._kept.values())

    def _trim(self) -> None:
        total = sum(document.cost for document in self._kept.values())
        while total > self._limit and self._kept:
            _, gone = self._kept.popitem(last=False)
            total -= gone.cost


DOCUMENTS = Documents()
"""The process's one cache."""
