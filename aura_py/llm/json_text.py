"""JSON for providers, of whatever a conversation holds, and what wrong JSON from them raises."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import orjson

MALFORMED: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What JSON of a wrong shape makes of the code that reads it; JSON of a thousand levels exhausts the stack."""


def to_json(value: object) -> bytes:
    """``value`` as compact JSON; equal values give equal bytes.

    Tools return what orjson refuses (lone surrogates, huge integers, great depth); such values take the slow road,
    and a lone surrogate becomes ``?``.
    """
    try:
        return orjson.dumps(value, default=_plain)
    except orjson.JSONEncodeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
        return text.encode("utf-8", "replace")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
