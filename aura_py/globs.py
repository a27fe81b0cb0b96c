"""The one glob dialect for every pattern over tool names.

A pattern is translated to a regular expression of RE2, which takes time linear in the name whatever the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import re2

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_REMEMBERED = 256
_OPTIONS = re2.Options()
_OPTIONS.dot_nl = True
_OPTIONS.log_errors = False


class GlobError(ValueError):
    """The pattern is malformed; ``position`` counts characters from 1."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} at position {position}")
        self.reason = reason
        self.position = position


class Glob:
    """A compiled pattern: ``*`` ``?`` ``[a-z]`` ``[!a]`` ``{a,b}`` ``\\x``, case-sensitive, over the whole name.

    Raises:
        GlobError: The pattern does not compile.
    """

    __slots__ = ("_expression", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        try:
            self._expression = re2.compile(_translated(pattern), _OPTIONS)
        except re2.error:
            raise GlobError("the pattern is too large", 1) from None

    def matches(self, name: str) -> bool:
        """Whether the pattern covers the whole of ``name``."""
        return _covers(self, name) if len(name) <= _LONGEST_REMEMBERED else self._match(name)

    def _match(self, name: str) -> bool:
        return self._expression.fullmatch(_encodable(name)) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Glob) and other.pattern == self.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"


def _translated(pattern: str) -> str:
    parts: list[str] = []
    groups: list[int] = []  # where each open brace stands
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            parts.append(".*")
        elif char == "?":
            parts.append(".")
        elif char == "{":
            groups.append(at)
            parts.append("(?:")
        elif char == "," and groups:
            parts.append("|")
        elif char == "}" and groups:
            groups.pop()
            parts.append(")")
        elif char == "}":
            raise GlobError("`}` without an opening `{`", at + 1)
        elif char == "[":
            characters, at = _characters(pattern, at)
            parts.append(characters)
            continue
        elif char == "\\":
            if at + 1 == len(pattern):
                raise GlobError("`\\` with nothing after it", at + 1)
            at += 1
            parts.append(_literal(pattern[at]))
        else:
            parts.append(_literal(char))
        at += 1
    if groups:
        raise GlobError("`{` without a closing `}`", groups[-1] + 1)
    return "".join(parts)


def _characters(pattern: str, start: int) -> tuple[str, int]:
    """The set that opens at ``start``, and where it ends. A `]` that comes first is a member."""
    at = start + 1
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    members: list[str] = []
    while not members or pattern[at : at + 1] != "]":
        low, at = _member(pattern, at, start)
        high = low
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in ("", "]"):
            where = at
            high, at = _member(pattern, at + 1, start)
            if high < low:
                raise GlobError(f"the range `{low}-{high}` runs backwards", where)
        members.append(f"{_literal(low)}-{_literal(high)}")
    return f"[{'^' if negated else ''}{''.join(members)}]", at + 1


def _member(pattern: str, at: int, start: int) -> tuple[str, int]:
    if pattern[at : at + 1] == "\\":
        at += 1
    if at >= len(pattern):
        raise GlobError("`[` without a closing `]`", start + 1)
    return pattern[at], at + 1


def _literal(char: str) -> str:
    return f"\\x{{{ord(_encodable(char)):x}}}"


def _encodable(text: str) -> str:
    """RE2 reads UTF-8, which cannot carry half of a surrogate pair; names from JSON can."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


@lru_cache(maxsize=8192)
def _covers(glob: Glob, name: str) -> bool:
    """The same names meet the same patterns at every run."""
    return glob._match(name)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Glob:
    return Glob(pattern)


def any_match(patterns: Iterable[str], name: str) -> bool:
    """Whether any of the patterns covers ``name``; raises ``GlobError`` for a malformed one."""
    return any(_compiled(pattern).matches(name) for pattern in patterns)
