"""JSON for providers, of whatever a conversation holds, and what wrong JSON from them raises."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

MALFORMED: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What JSON of a wrong shape makes of the code that reads it; JSON of a thousand levels exhausts the stack."""
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def to_json(value: object) -> bytes:
    """``value`` as compact JSON; equal values give equal bytes.

    Tools return what orjson refuses (lone surrogates, huge integers, great depth); such values take the slow road,
    and a lone surrogate becomes U+FFFD.
    """
    try:
        return orjson.dumps(value, default=_plain)
    except orjson.JSONEncodeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
        return join_surrogates(text).encode()


def object_at(table: object, key: str) -> dict[str, Any]:
    """The object under ``key``; an empty one where there is none."""
    value = table.get(key) if isinstance(table, Mapping) else None
    return value if isinstance(value, dict) else {}


def text_at(table: object, key: str) -> str:
    """The text under ``key``; an empty one where there is none."""
    value = table.get(key) if isinstance(table, Mapping) else None
    return value if isinstance(value, str) else ""


def join_surrogates(text: str) -> str:
    """``text`` with both halves of a surrogate pair joined; a half that stays single becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def replace_lone_escapes(text: str) -> str:
    """JSON text in which no escape stands for half a character: strict parsers refuse all of it for one."""
    return _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text) if "\\u" in text else text


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
