"""Regular expressions that cannot hang: RE2, whose time is linear in the text, over bytes.

Python's ``re`` backtracks; it is used here only for patterns of our own that cannot.
"""

from __future__ import annotations

from typing import Protocol, cast

import re2


class PatternError(ValueError):
    """The engine does not accept the pattern; the message says why."""


class Match(Protocol):
    def start(self) -> int: ...
    def end(self) -> int: ...


class Pattern(Protocol):
    """Searches bytes. The engine releases the interpreter lock while it works."""

    def search(self, text: bytes, pos: int | None = None, endpos: int | None = None) -> Match | None: ...
    def fullmatch(self, text: bytes, pos: int | None = None, endpos: int | None = None) -> Match | None: ...


def structure(pattern: bytes, *, memory: int = 64 << 20) -> Pattern:
    """A pattern of our own over raw bytes; ``.`` matches everything."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.dot_nl = True
    options.never_capture = True
    options.max_mem = memory
    return cast("Pattern", re2.compile(pattern, options))


def lines(pattern: str, *, ignore_case: bool = False, literal: bool = False) -> Pattern:
    """A pattern from a model over UTF-8 lines: ``^`` and ``$`` are line ends and no match spans two lines.

    Raises:
        PatternError: Not a regular expression, or one that needs backtracking, or one that is too large.
    """
    options = re2.Options()
    options.never_nl = True
    options.never_capture = True
    options.log_errors = False
    options.max_mem = 2 << 20
    options.case_sensitive = not ignore_case
    options.literal = literal
    text = pattern if literal else f"(?m){pattern}"
    try:
        return cast("Pattern", re2.compile(text.encode("utf-8", "replace"), options))
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid pattern"
        raise PatternError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from error
