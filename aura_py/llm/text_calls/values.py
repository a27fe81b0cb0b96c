"""Arguments that a model wrote as text, made to fit the tool's schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite

import orjson

from aura_py.llm.json_text import to_json
from aura_py.llm.text_calls.pythonic import BareWord

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_DIGITS = re.compile(r"-?\d+")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORDS = {"true": True, "false": False, "null": None, "none": None}


def fit(arguments: Mapping[str, object], parameters: Mapping[str, object]) -> dict[str, object]:
    """``arguments`` with the values that the schema wants otherwise converted, where that loses nothing."""
    properties = parameters.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    return {name: _fit(_plain(value), _types(known.get(name))) for name, value in arguments.items()}


def read(text: str, name: str, parameters: Mapping[str, object]) -> object:
    """A value that stands as bare text, read as its parameter's type, or guessed when the schema names none."""
    properties = parameters.get("properties")
    schema = properties.get(name) if isinstance(properties, Mapping) else None
    types = _types(schema)
    return _fit(text, types) if types else _guess(text)


def _types(schema: object) -> frozenset[str]:
    """The JSON types that a schema allows; empty when it does not say."""
    if not isinstance(schema, Mapping):
        return frozenset()
    kind = schema.get("type")
    if isinstance(kind, str):
        return frozenset((kind,))
    if isinstance(kind, list | tuple):
        return frozenset(str(item) for item in kind)
    options = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(options, list | tuple):
        parts = [_types(option) for option in options]
        return frozenset().union(*parts) if all(parts) else frozenset()
    return frozenset()


def _plain(value: object, *, inside: bool = False) -> object:
    """Values of a Pythonic call as JSON's; a bare one on top keeps its text until the schema has spoken."""
    if isinstance(value, BareWord):
        return value if not inside else _guess(value)
    if isinstance(value, list):
        return [_plain(item, inside=True) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, inside=True) for key, item in value.items()}
    return value


def _fit(value: object, types: frozenset[str]) -> object:
    if not types:
        return _guess(value) if isinstance(value, BareWord) else value
    if isinstance(value, BareWord):
        value = str(value) if _guess(value) != value.lower() else value.lower()
    if isinstance(value, str):
        return value if "string" in types and not _means_null(value, types) else _from_text(value, types)
    if types <= {"string", "null"} and isinstance(value, bool | int | float):
        return to_json(value).decode()
    if isinstance(value, float) and "number" not in types and "integer" in types and value.is_integer():
        return int(value)
    return value


def _means_null(value: str, types: frozenset[str]) -> bool:
    return "null" in types and value.strip().lower() in ("null", "none")


def _from_text(text: str, types: frozenset[str]) -> object:
    """``text`` as one of ``types``, or unchanged when it is none of them."""
    bare = text.strip()
    word = bare.lower()
    if types & {"integer", "number"} and _INTEGER.fullmatch(bare):
        return int(bare)
    if "number" in types and _is_number(bare):
        return float(bare)
    if "boolean" in types and word in ("true", "false"):
        return word == "true"
    if "null" in types and word in ("null", "none"):
        return None
    if types & {"object", "array"}:
        try:
            parsed = orjson.loads(bare)
        except orjson.JSONDecodeError:
            return text
        if (isinstance(parsed, dict) and "object" in types) or (isinstance(parsed, list) and "array" in types):
            return parsed
    return text


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and isfinite(float(text))


def _guess(text: str) -> object:
    """A number, a constant, or the text itself; what only looks like a number (``0123``) stays text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _is_number(text) and not _DIGITS.fullmatch(text):
        return float(text)
    return _WORDS.get(text.lower(), text.lower() if isinstance(text, BareWord) else text)
