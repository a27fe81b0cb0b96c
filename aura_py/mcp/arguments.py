"""Arguments on their way to the server (``mcp-tools.md`` I-12)."""

from __future__ import annotations

from typing import Any

from aura_py.messages import JsonObject


def drop_nulls(arguments: JsonObject, schema: JsonObject) -> dict[str, Any]:
    return dict(arguments)


class ArgumentCheck:
    """Validates arguments against one original schema; the validator is built at the first call."""

    def __init__(self, schema: JsonObject) -> None:
        self._schema = schema

    def problem(self, arguments: JsonObject) -> str | None:
        return None
