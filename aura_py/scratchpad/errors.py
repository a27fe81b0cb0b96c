"""What an exploration tool can answer instead of a result."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from aura_py.messages import Json

_LONGEST = 600
_ECHOED = 3000


class HardError(Exception):
    """The call cannot be answered: a tool error for the model."""


class SoftError(Exception):
    """The call went wrong in a way the model can mend; ``fields`` are the JSON it reads as a normal result."""

    def __init__(self, fields: Mapping[str, Json]) -> None:
        super().__init__(str(fields.get("message", "")))
        self.fields = fields

    @property
    def text(self) -> str:
        """The JSON. It echoes paths and keys, which may be of any length, so each is cut."""
        cut: dict[str, Json] = {}
        for name, value in self.fields.items():
            if isinstance(value, list):
                room = _ECHOED
                kept: list[Json] = []
                for item in value:
                    kept.append(clipped(item) if isinstance(item, str) else item)
                    room -= len(str(kept[-1]))
                    if room < 0:
                        break
                cut[name] = kept
            else:
                cut[name] = clipped(value) if isinstance(value, str) else value
        return orjson.dumps(cut, option=orjson.OPT_NON_STR_KEYS).decode()


def clipped(text: str) -> str:
    """``text``, or both its ends when it is long; without the lone surrogates that no provider takes."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
