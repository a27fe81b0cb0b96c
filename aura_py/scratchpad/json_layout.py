"""The one layout in which JSON is stored: two spaces, one value a line, numbers and order of keys as written.

Containers below ``DEEPEST`` levels stay on one line, so that indentation cannot swell a hostile text and nothing
that reads the layout needs a stack.
"""

from __future__ import annotations

import re
from array import array
from functools import cache

import msgspec

from aura_py.scratchpad import linear

DEEPEST = 64
_LARGEST_DEEP = 4 << 20
_LARGEST_INDENTATION = 256 << 20
_SPACE = b" \t\r\n"
_TOKEN = re.compile(
    rb"[ \t\r\n]*+(?:"
    rb'(?P<string>"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+")'
    rb"|(?P<scalar>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null)"
    rb"|(?P<mark>[\[\]{},:]))"
)
_REST = re.compile(rb"[ \t\r\n]*+")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?|.)", re.DOTALL)
_MOST_ESCAPES = 300_000


def laid_out(text: bytes) -> bytes | None:
    """The text in Aura's layout, or ``None`` when it is not one JSON object or array (``NaN`` is not JSON).

    ``None`` also for what is so large and so deeply nested that its layout would take too much time or memory.
    """
    text = text.strip(_SPACE)
    if text[:1] not in (b"{", b"["):
        return None
    if b"\\u" in text and text.count(b"\\u") <= _MOST_ESCAPES:
        text = _ESCAPE.sub(_character, text)
    if not _is_nested_within(text, len(text) // 2):
        # The text has fewer values than half its bytes: count them, which takes longer.
        values = text.count(b",") + text.count(b"[") + text.count(b"{")
        if not _is_nested_within(text, values):
            return _lay_out(text) if len(text) <= _LARGEST_DEEP else None
    try:
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        # Half a surrogate pair is all that the engine refuses in valid JSON.
        mended = _ESCAPE.sub(_character, text)
        return None if mended == text else laid_out(mended)


def line_numbers(text: bytes) -> array[int]:
    """For each line of the text's layout, the line of ``text`` on which it begins. ``text`` is valid JSON."""
    breaks: list[int] = []
    _lay_out(text, breaks)
    numbers = array("I", (text.count(b"\n", 0, len(text) - len(text.lstrip())) + 1,))
    at, line = 0, 1
    for place in breaks:
        line += text.count(b"\n", at, place)
        numbers.append(line)
        at = place
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
        return b"\xef\xbf\xbd" * (1 if second is None else 2)
    if code < 0x20 or code in (0x22, 0x5C, 0x7F, 0x2028, 0x2029):
        return match[0] if second is None else match[0][:6] + b"\xef\xbf\xbd"
    return chr(code).encode() + (b"" if second is None else b"\xef\xbf\xbd")


def _is_nested_within(text: bytes, values: int) -> bool:
    """Whether so many values may be indented, and the text is nested no deeper than is allowed for them."""
    depth = next((depth for depth in (DEEPEST, 32, 16, 8) if 2 * depth * values <= _LARGEST_INDENTATION), 4)
    return _nested(depth).fullmatch(text) is not None


@cache
def _nested(depth: int) -> linear.Pattern:
    """Brackets nested at most ``depth`` deep: a finite count, so an automaton can check it at full speed."""
    inside = rb'[^"\[\]{}]|"(?:[^"\\]|\\.)*"'
    nested = rb"[\[{](?:" + inside + rb")*[\]}]"
    for _ in range(depth - 1):
        nested = rb"[\[{](?:" + inside + rb"|" + nested + rb")*[\]}]"
    return linear.structure(nested)


def _lay_out(text: bytes, breaks: list[int] | None = None) -> bytes | None:
    """The layout without recursion, for texts too deep (or too odd) for the fast way.

    ``breaks`` collects, for every line after the first, where the token that begins it stands in ``text``.
    """
    out: list[bytes] = []
    stack: list[bytes] = []
    expect = "value"
    at, length = 0, len(text)
    while at < length:
        token = _TOKEN.match(text, at)
        if token is None:
            return None
        at = token.end()
        mark = token["mark"]
        if mark in (b"]", b"}"):
            opening = b"[" if mark == b"]" else b"{"
            if not stack or stack[-1] != opening or expect not in ("first", "next"):
                return None
            stack.pop()
            if expect == "next" and len(stack) < DEEPEST:
                out.append(b"\n" + b"  " * len(stack))
                if breaks is not None:
                    breaks.append(at)
            out.append(mark)
            expect = "next"
        elif mark == b",":
            if expect != "next" or not stack:
                return None
            out.append(b",")
            expect = "member"
        elif mark == b":":
            if expect != "colon":
                return None
            out.append(b": " if len(stack) <= DEEPEST else b":")
            expect = "value"
        else:
            if expect in ("next", "colon"):
                return None
            if expect in ("first", "member") and len(stack) <= DEEPEST:
                out.append(b"\n" + b"  " * len(stack))
                if breaks is not None:
                    breaks.append(at)
            is_key = expect in ("first", "member") and stack[-1] == b"{"
            if is_key and token["string"] is None:
                return None
            if mark is not None:
                out.append(mark)
                stack.append(mark)
                expect = "first"
            else:
                out.append(token["string"] or token["scalar"])
                expect = "colon" if is_key else "next"
        if expect == "next" and not stack:
            break
    if expect != "next" or stack or _REST.fullmatch(text, at) is None:
        return None
    return b"".join(out)
