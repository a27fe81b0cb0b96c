"""Where the keys and values of a TOML file stand: a light scanner, because the parser keeps no positions.

It reads text that the real parser has accepted. It never fails: what it cannot follow has no position.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from bisect import bisect_right
from contextlib import suppress

_SPACE = re.compile(r"[ \t]*")
_FILLER = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG_BASIC = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"""(?:"{1,2}(?!"))?', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?:[^']|'(?!''))*'''(?:'{1,2}(?!'))?", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]+")

Step = str | int


class Positions:
    """Line and column, counted from 1, of every key path of one file."""

    def __init__(self, text: str) -> None:
        text = text.replace("\r\n", "\n")
        self._lines = [0]
        self._lines.extend(match.end() for match in re.finditer("\n", text))
        self._offsets = _Scanner(text).scan()

    def of(self, path: tuple[Step, ...]) -> tuple[int, int] | None:
        """The place of a key; of its nearest parent when it stands nowhere itself; ``None`` for the root."""
        while path:
            offset = self._offsets.get(path)
            if offset is not None:
                line = bisect_right(self._lines, offset)
                return line, offset - self._lines[line - 1] + 1
            path = path[:-1]
        return None


class _Lost(Exception):
    """The text is not what the scanner expects."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found: dict[tuple[Step, ...], int] = {}
        self._counts: dict[tuple[Step, ...], int] = {}

    def scan(self) -> dict[tuple[Step, ...], int]:
        table: tuple[Step, ...] = ()
        with suppress(_Lost, RecursionError):
            self._match(_FILLER)
            while self._at < len(self._text):
                if self._text[self._at] == "[":
                    table = self._header()
                else:
                    self._pair(table)
                self._match(_FILLER)
        return self._found

    def _header(self) -> tuple[Step, ...]:
        start = self._at
        double = self._text.startswith("[[", start)
        self._at += 2 if double else 1
        names = [name for name, _ in self._key()]
        self._expect("]]" if double else "]")
        path: tuple[Step, ...] = ()
        for name in names[:-1]:
            path = self._enter((*path, name), start)
        path = (*path, names[-1])
        if double:
            index = self._counts.get(path, -1) + 1
            self._counts[path] = index
            self._found.setdefault(path, start)
            path = (*path, index)
            self._found[path] = start
        else:
            self._found[path] = start
        return path

    def _enter(self, path: tuple[Step, ...], offset: int) -> tuple[Step, ...]:
        """A header's parent: inside an array of tables it is the latest element."""
        self._found.setdefault(path, offset)
        return (*path, self._counts[path]) if path in self._counts else path

    def _pair(self, table: tuple[Step, ...]) -> None:
        path = table
        for name, offset in self._key():
            path = (*path, name)
            self._found.setdefault(path, offset)
        self._expect("=")
        self._match(_SPACE)
        self._value(path)

    def _key(self) -> list[tuple[str, int]]:
        names: list[tuple[str, int]] = []
        while True:
            self._match(_SPACE)
            start = self._at
            if self._match(_BARE):
                names.append((self._text[start : self._at], start))
            elif self._match(_BASIC):
                names.append((_decoded(self._text[start : self._at]), start))
            elif self._match(_LITERAL):
                names.append((self._text[start + 1 : self._at - 1], start))
            else:
                raise _Lost
            self._match(_SPACE)
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _value(self, path: tuple[Step, ...]) -> None:
        char = self._text[self._at : self._at + 1]
        if char in ("[", "{"):
            self._items(path, "]" if char == "[" else "}")
        elif not any(map(self._match, (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL, _SCALAR))):
            raise _Lost

    def _items(self, path: tuple[Step, ...], close: str) -> None:
        """The values of an array, or the pairs of an inline table."""
        self._at += 1
        for index in itertools.count():
            self._match(_FILLER)
            if self._text.startswith(close, self._at):
                break
            if close == "}":
                self._pair(path)
            else:
                self._found[*path, index] = self._at
                self._value((*path, index))
            self._match(_FILLER)
            if self._text.startswith(",", self._at):
                self._at += 1
        self._at += 1

    def _match(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self._text, self._at)
        if match is None:
            return False
        self._at = match.end()
        return True

    def _expect(self, text: str) -> None:
        self._match(_SPACE)
        if not self._text.startswith(text, self._at):
            raise _Lost
        self._at += len(text)


def _decoded(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return str(tomllib.loads(f"key = {quoted}")["key"])
    except ValueError as error:
        raise _Lost from error
