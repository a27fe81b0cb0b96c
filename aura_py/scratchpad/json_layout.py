"""The one layout in which JSON is stored: two spaces, one value a line, numbers and order of keys as written."""

from __future__ import annotations

import hashlib
import re
from array import array
from functools import cache

import msgspec

from aura_py.scratchpad import linear

_DEEPEST = 256
_LARGEST_FOLDED = 4 << 20
_LARGEST_INDENTATION = 256 << 20
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},:]|[^\s"\[\]{},:]++')
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?|.)", re.DOTALL)
_MOST_ESCAPES = 300_000
_NO_CHARACTER = "\ufffd".encode()


def laid_out(text: bytes) -> bytes | None:
    """The text in Aura's layout, or ``None`` when it is not one JSON object or array (``NaN`` is not JSON).

    What is nested deeper than 256 levels stays folded, each such value on one line as it was written. ``None`` also for
    what is so deep for its size that its layout would take too much time or memory.
    """
    text = text.strip(b" \t\r\n")
    if text[:1] not in (b"{", b"["):
        return None
    escapes = text.count(b"\\u")
    if 0 < escapes <= _MOST_ESCAPES:
        text = _ESCAPE.sub(_character, text)
    if not _is_nested_within(text, len(text) // 2):
        # The text has fewer values than half its bytes: count them, which takes longer.
        values = text.count(b",") + text.count(b"[") + text.count(b"{")
        if not _is_nested_within(text, values):
            return _folded(text) if len(text) <= _LARGEST_FOLDED else None
    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.DecodeError:
        if escapes <= _MOST_ESCAPES:
            return None
        # Half a surrogate pair is all that the engine refuses in valid JSON.
        mended = _ESCAPE.sub(_character, text)
        return None if mended == text else laid_out(mended)


def _folded(text: bytes) -> bytes | None:
    marker = b'"%b"' % hashlib.sha256(text).hexdigest().encode()
    kept: list[bytes] = []
    folded: list[bytes] = []
    depth = at = 0
    for token in _TOKEN.finditer(text):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth == _DEEPEST + 1:
                kept.append(text[at : token.start()])
                at = token.start()
        elif token[0] in (b"]", b"}"):
            if depth == _DEEPEST + 1:
                folded.append(text[at : token.end()].replace(b"\n", b" "))
                at = token.end()
            depth -= 1
    layout = laid_out(marker.join((*kept, text[at:]))) if folded else None
    pieces = [] if layout is None else layout.split(marker)
    if len(pieces) != len(folded) + 1:
        return None
    return pieces[0] + b"".join(value + piece for value, piece in zip(folded, pieces[1:], strict=True))


def line_numbers(text: bytes) -> array[int]:
    """For each line of the text's layout, the line of ``text`` on which it begins. ``text`` is valid JSON."""
    numbers = array("I")
    at, line, previous = 0, 1, b","
    for token in _TOKEN.finditer(text):
        mark = token[0]
        closes = mark in (b"]", b"}")
        if (previous in (b"[", b"{") and not closes) or previous == b"," or (closes and previous not in (b"[", b"{")):
            line += text.count(b"\n", at, token.start())
            at = token.start()
            numbers.append(line)
        previous = mark
    return numbers


def _character(match: re.Match[bytes]) -> bytes:
    """An escape as the character it stands for, which is cheaper to read and found by ``grep``.

    Half a surrogate pair stands for nothing, and becomes the replacement character.
    """
    first, second = match[1], match[2]
    if first is None:
        return match[0]
    code = int(first, 16)
    if 0xD800 <= code <= 0xDBFF and second is not None:
        return chr(0x10000 + ((code - 0xD800) << 10) + (int(second, 16) - 0xDC00)).encode()
    if 0xD800 <= code <= 0xDFFF:
        return _NO_CHARACTER * (1 if second is None else 2)
    if code < 0x20 or code in (0x22, 0x5C, 0x7F, 0x2028, 0x2029):
        return match[0] if second is None else match[0][:6] + _NO_CHARACTER
    return chr(code).encode() + (b"" if second is None else _NO_CHARACTER)


def _is_nested_within(text: bytes, values: int) -> bool:
    """Whether so many values may be indented, and the text is nested no deeper than is allowed for them."""
    depth = next((depth for depth in (_DEEPEST, 64, 32, 16, 8) if 2 * depth * values <= _LARGEST_INDENTATION), 4)
    return _nested(depth).fullmatch(text) is not None


@cache
def _nested(depth: int) -> linear.Pattern:
    """Brackets nested at most ``depth`` deep: a finite count, so an automaton can check it at full speed."""
    inside = rb'[^"\[\]{}]|"(?:[^"\\]|\\.)*"'
    nested = rb"[\[{](?:" + inside + rb")*[\]}]"
    for _ in range(depth - 1):
        nested = rb"[\[{](?:" + inside + rb"|" + nested + rb")*[\]}]"
    return linear.structure(nested)
