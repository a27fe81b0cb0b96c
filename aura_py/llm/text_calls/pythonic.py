"""Calls written as a Python list, ``[name(key="value", other=5)]``."""

from __future__ import annotations

import re
from typing import TypeAlias

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE = re.compile(r"[A-Za-z0-9_.+\-]+")
_UNESCAPED = {"'": re.compile(r"[^'\\]+"), '"': re.compile(r'[^"\\]+')}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "\n": ""}
_HEX = {"x": 2, "u": 4, "U": 8}
_DEEPEST = 40

Call: TypeAlias = tuple[str, dict[str, object]]


class BareWord(str):
    """A value without quotes: a number, a constant or a word; the tool's schema says which."""

    __slots__ = ()


class Incomplete(Exception):
    """The text ends before the list does."""


class NotPythonic(Exception):
    """The text is something else; ``at`` is where that shows."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def pythonic_calls(text: str, start: int) -> tuple[int, list[Call]]:
    """The calls of the list that opens at ``start``, and where it ends.

    Raises:
        Incomplete: More text may still make it a list of calls.
        NotPythonic: No further text can.
    """
    return _Reader(text, start).calls()


def pythonic_call(text: str, start: int) -> tuple[int, Call]:
    """The one call that stands at ``start`` without brackets, and where it ends. Raises what the list raises."""
    reader = _Reader(text, start)
    call = reader.call()
    return reader.at, call


class _Reader:
    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self.at = start

    def calls(self) -> tuple[int, list[Call]]:
        self._expect("[")
        found = [self.call()]
        while self._peek() == ",":
            self.at += 1
            if self._peek() == "]":
                break
            found.append(self.call())
        self._expect("]")
        return self.at, found

    def call(self) -> Call:
        self._peek()
        name = self._match(_NAME)
        if self.at < len(self._text) and self._text[self.at] != "(":
            raise NotPythonic(self.at)
        self._expect("(")
        arguments: dict[str, object] = {}
        while self._peek() != ")":
            key = self._match(_KEY)
            self._expect("=")
            arguments[key] = self._value(0)
            if self._peek() != ",":
                break
            self.at += 1
        self._expect(")")
        return name, arguments

    def _value(self, depth: int) -> object:
        if depth > _DEEPEST:
            raise NotPythonic(self.at)
        char = self._peek()
        if char in "'\"":
            return self._string(char)
        if char in "[(":
            return self._items("]" if char == "[" else ")", depth)
        if char == "{":
            return self._table(depth)
        return BareWord(self._match(_BARE))

    def _items(self, closer: str, depth: int) -> list[object]:
        self.at += 1
        items: list[object] = []
        while self._peek() != closer:
            items.append(self._value(depth + 1))
            if self._peek() != ",":
                break
            self.at += 1
        self._expect(closer)
        return items

    def _table(self, depth: int) -> dict[str, object]:
        self.at += 1
        table: dict[str, object] = {}
        while self._peek() != "}":
            key = self._value(depth + 1)
            self._expect(":")
            table[str(key)] = self._value(depth + 1)
            if self._peek() != ",":
                break
            self.at += 1
        self._expect("}")
        return table

    def _string(self, quote: str) -> str:
        pieces: list[str] = []
        self.at += 1
        while True:
            run = _UNESCAPED[quote].match(self._text, self.at)
            if run is not None:
                pieces.append(run.group())
                self.at = run.end()
            if self.at >= len(self._text):
                raise Incomplete
            if self._text[self.at] == quote:
                self.at += 1
                return "".join(pieces)
            pieces.append(self._escape())

    def _escape(self) -> str:
        if self.at + 1 >= len(self._text):
            raise Incomplete
        char = self._text[self.at + 1]
        self.at += 2
        if char not in _HEX:
            return _ESCAPES.get(char, char)
        digits = self._text[self.at : self.at + _HEX[char]]
        if len(digits) < _HEX[char]:
            raise Incomplete
        try:
            value = chr(int(digits, 16))
        except (ValueError, OverflowError):
            raise NotPythonic(self.at) from None
        if "\ud800" <= value <= "\udfff":
            raise NotPythonic(self.at)
        self.at += len(digits)
        return value

    def _match(self, pattern: re.Pattern[str]) -> str:
        """What ``pattern`` matches here; a match at the very end may still grow."""
        found = pattern.match(self._text, self.at)
        if found is None:
            raise Incomplete if self.at >= len(self._text) else NotPythonic(self.at)
        if found.end() == len(self._text):
            raise Incomplete
        self.at = found.end()
        return found.group()

    def _peek(self) -> str:
        """The next character that is not white space."""
        space = _SPACE.match(self._text, self.at)
        self.at = space.end() if space is not None else self.at
        if self.at >= len(self._text):
            raise Incomplete
        return self._text[self.at]

    def _expect(self, char: str) -> None:
        if self._peek() != char:
            raise NotPythonic(self.at)
        self.at += 1
