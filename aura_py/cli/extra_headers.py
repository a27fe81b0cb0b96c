"""`AURA_EXTRA_HEADERS`: what `aura run` has in place of the headers of a request."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aura_py.errors import ConfigurationError

VARIABLE = "AURA_EXTRA_HEADERS"


def extra_headers(env: Mapping[str, str]) -> dict[str, str]:
    """`Name: value, Name2: value2`, or a JSON object of texts; what has no name is left out.

    Raises:
        ConfigurationError: It starts like a JSON object and is none of texts.
    """
    text = env.get(VARIABLE, "").strip()
    pairs = _from_json(text) if text.startswith("{") else dict(each.partition(":")[::2] for each in text.split(","))
    return {name.strip(): value.strip() for name, value in pairs.items() if name.strip()}


def _from_json(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ConfigurationError(
            f'`{VARIABLE}` is not a JSON object of texts; write `Name: value, Name2: value2` or `{{"Name": "value"}}`.'
        )
    return found
