"""Tool schemas in the part of JSON Schema that Gemini reads (``parametersJsonSchema``)."""

from __future__ import annotations

from typing import Any

from aura_py.messages import JsonObject

_KEPT = frozenset(
    {
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
        "nullable",
        "default",
    }
)
_MAPS = ("properties", "$defs")
_LISTS = ("anyOf", "oneOf", "prefixItems")


_written: dict[int, tuple[JsonObject, dict[str, Any]]] = {}
_MOST_WRITTEN = 1024


def readable(schema: JsonObject) -> dict[str, Any]:
    """A copy without the keys Gemini rejects; ``const`` and ``allOf`` are said in the keys it knows.

    A tool's schema is the same object in every request, and copying it costs ten times what serialising it does; so the
    copy is kept beside the schema that it was made from.
    """
    kept = _written.get(id(schema))
    if kept is not None and kept[0] is schema:
        return kept[1]
    result = _node(dict(schema))
    result.setdefault("type", "object")
    if len(_written) >= _MOST_WRITTEN:
        _written.clear()
    _written[id(schema)] = (schema, result)
    return result


def _node(schema: dict[str, Any]) -> dict[str, Any]:
    branches = schema.get("allOf")
    if isinstance(branches, list):
        schema = _joined(schema, branches)
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "definitions" and isinstance(value, dict):
            out.setdefault("$defs", {}).update(_map(value))
        elif key == "const":
            out.setdefault("enum", [value])
        elif key not in _KEPT:
            continue
        elif key in _MAPS and isinstance(value, dict):
            out[key] = {**out.get(key, {}), **_map(value)}
        elif key in _LISTS and isinstance(value, list):
            out[key] = [_any(item) for item in value]
        elif key in ("items", "additionalProperties"):
            out[key] = _any(value)
        elif key == "$ref" and isinstance(value, str):
            out[key] = value.replace("#/definitions/", "#/$defs/")
        else:
            out[key] = value
    return out


def _map(schemas: dict[str, Any]) -> dict[str, Any]:
    return {name: _any(value) for name, value in schemas.items()}


def _any(value: Any) -> Any:
    return _node(value) if isinstance(value, dict) else value


def _joined(schema: dict[str, Any], branches: list[Any]) -> dict[str, Any]:
    out = {key: value for key, value in schema.items() if key != "allOf"}
    for branch in branches:
        if not isinstance(branch, dict):
            continue
        if isinstance(branch.get("allOf"), list):
            branch = _joined(branch, branch["allOf"])
        for key, value in branch.items():
            if key == "properties" and isinstance(out.get(key), dict):
                out[key] = {**out[key], **value}
            elif key == "required" and isinstance(out.get(key), list):
                out[key] = [*out[key], *(name for name in value if name not in out[key])]
            else:
                out.setdefault(key, value)
    return out
