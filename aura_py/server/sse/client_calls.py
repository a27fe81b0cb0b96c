"""Calls that the client runs: unique ids, gapless indexes, arguments that are an object."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import orjson

from aura_py import ids
from aura_py.events import ToolRequested
from aura_py.server.wire_json import to_json


def object_text(arguments: str) -> str:
    """``arguments`` if they are the JSON text of an object, else ``{}``."""
    try:
        value = orjson.loads(arguments)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        try:
            value = json.loads(arguments)  # NaN and lone surrogates, which some models write
        except (ValueError, RecursionError):
            return "{}"
        return to_json(value).decode() if isinstance(value, dict) else "{}"
    return arguments if isinstance(value, dict) else "{}"


class ClientCalls:
    """The calls of one response.

    ``known_ids`` are ids that the conversation already uses; a call that repeats one gets a fresh id.
    """

    def __init__(self, known_ids: Iterable[str] = ()) -> None:
        self._used = set(known_ids)
        self._public: dict[str, str] = {}
        self._index = 0

    @property
    def count(self) -> int:
        return len(self._public)

    def take_index(self) -> int:
        """The next index; tools shown in legacy form count too."""
        index = self._index
        self._index += 1
        return index

    def admitted(self, call_id: str) -> bool:
        return call_id in self._public

    def admit(self, event: ToolRequested) -> tuple[bool, ToolRequested]:
        """Whether the call is known already, and the call under its public id."""
        public = self._public.get(event.call_id)
        known = public is not None
        if public is None:
            public = event.call_id
            if not public or public in self._used:
                public = ids.tool_call_id()
            self._used.add(public)
            self._public[event.call_id] = public
        return known, event if public == event.call_id else replace(event, call_id=public)
