"""JSON Schema of the agent file, for editors (``aura schema``)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from aura_py.config.models import AgentConfig
from aura_py.config.tables import Table
from aura_py.config.values import JsonSchema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SMALLEST_SHARED = 400


def json_schema() -> dict[str, object]:
    """The schema, draft 2020-12. It accepts what the loader accepts: templates, lenient numbers and booleans."""
    return {"$schema": _DIALECT, "title": "Agent file of Aura", **_shared(Table(AgentConfig).json_schema())}


def _shared(schema: JsonSchema) -> JsonSchema:
    """The same schema with every large part that occurs more than once moved to ``$defs``."""
    counts = Counter(text for part in _parts(schema) if len(text := json.dumps(part)) >= _SMALLEST_SHARED)
    names: dict[str, str] = {}
    definitions: JsonSchema = {}

    def walk(value: object) -> object:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        text = json.dumps(value)
        if counts[text] < 2 or "properties" not in value:
            return {key: walk(item) for key, item in value.items()}
        if text not in names:
            names[text] = f"table{len(names) + 1}"
            definitions[names[text]] = {key: walk(item) for key, item in value.items()}
        return {"$ref": f"#/$defs/{names[text]}"}

    result = {key: walk(item) for key, item in schema.items()}
    return {**result, "$defs": definitions}


def _parts(value: object) -> Iterator[JsonSchema]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _parts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _parts(item)
