"""JSON Schema of the agent file, for editors (``aura schema``)."""

from __future__ import annotations

from collections.abc import Iterator

from aura_py.config.models import AgentConfig
from aura_py.config.tables import Table, TableList, TableMap, Variant
from aura_py.config.values import JsonSchema, ValueType

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> JsonSchema:
    """The schema, draft 2020-12. It accepts what the loader accepts: templates, lenient numbers and booleans."""
    root, *tables = tables_below(Table(AgentConfig), set())
    definitions = {table.name: table.definition() for table in tables}
    return {"$schema": _DIALECT, "title": "Agent file of Aura", **root.definition(), "$defs": definitions}


def tables_below(value_type: ValueType, seen: set[Table]) -> Iterator[Table]:
    """Every table of a value, outermost first, once each."""
    if isinstance(value_type, Table):
        if value_type not in seen:
            seen.add(value_type)
            yield value_type
            for key in value_type.keys.values():
                yield from tables_below(key.reader, seen)
    elif isinstance(value_type, TableMap | TableList):
        yield from tables_below(value_type.entry, seen)
    elif isinstance(value_type, Variant):
        for table in value_type.tables.values():
            yield from tables_below(table, seen)
