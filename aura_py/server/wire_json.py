"""JSON as it goes over the wire: compact, UTF-8, always valid, and one line for every client's idea of a line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

import orjson

# Line iterators of common clients (`str.splitlines` in Python, `readline` in Node.js) split at these, too.
_LINE_SEPARATORS: Final = {char.encode(): b"\\u%04x" % ord(char) for char in "\x85\u2028\u2029"}


def to_json(value: object) -> bytes:
    """Compact UTF-8 JSON. NaN and infinities become ``null``, lone surrogates U+FFFD.

    Raises:
        ValueError: The value has no JSON form at all (cyclic, or nested beyond reason).
    """
    try:
        return _one_line(orjson.dumps(value))
    except TypeError:
        pass
    try:
        return _one_line(json.dumps(_repaired(value), ensure_ascii=False, separators=(",", ":")).encode())
    except (RecursionError, TypeError) as error:
        raise ValueError("value cannot be written as JSON") from error


def text_json(text: str) -> bytes:
    """A JSON string; the hot path of every text delta."""
    if text.isascii():
        return orjson.dumps(text)
    try:
        return _one_line(orjson.dumps(text))
    except TypeError:
        return _one_line(orjson.dumps(well_formed(text)))


def well_formed(text: str) -> str:
    """``text`` with surrogate pairs joined and lone surrogates replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _one_line(data: bytes) -> bytes:
    for separator, escape in _LINE_SEPARATORS.items():
        if separator in data:
            data = data.replace(separator, escape)
    return data


def _repaired(value: object) -> object:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {well_formed(str(key)): _repaired(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_repaired(item) for item in value]
    return value
