"""Checking the arguments of a call, and removing the nulls that models send for optional parameters."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from aura_py.mcp.schemas import DEEPEST, accepts_null, resolve
from aura_py.messages import Json, JsonObject

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

log = logging.getLogger(__name__)

_LONGEST_PROBLEM = 500


def drop_nulls(arguments: JsonObject, schema: JsonObject) -> dict[str, Any]:
    """The arguments without the nulls that stand for "left out".

    A null goes if the server's own ``schema`` says that the property is optional and not nullable, at any depth.
    """
    return _object(arguments, schema, schema, 0)


def _object(value: JsonObject, schema: Mapping[str, Any], root: JsonObject, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    required = schema.get("required")
    known: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
    needed = required if isinstance(required, list) else []
    extra = schema.get("additionalProperties")
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        if name in known:
            if inner is None and name not in needed and not accepts_null(known[name], root):
                continue
            kept[name] = _value(inner, known[name], root, depth + 1)
        else:
            kept[name] = _value(inner, extra, root, depth + 1) if isinstance(extra, Mapping) else inner
    return kept


def _value(value: Json, schema: Any, root: JsonObject, depth: int) -> Json:
    if not isinstance(value, Mapping | list) or not isinstance(schema, Mapping) or depth > DEEPEST:
        return value
    schema = _branch(value, resolve(schema, root), root)
    if isinstance(value, Mapping):
        return _object(value, schema, root, depth)
    items = schema.get("items")
    first = schema.get("prefixItems")
    heads = first if isinstance(first, list) else items if isinstance(items, list) else []
    rest = items if isinstance(items, Mapping) else None
    return [
        _value(inner, heads[index] if index < len(heads) else rest, root, depth + 1)
        for index, inner in enumerate(value)
    ]


def _branch(value: Json, schema: Mapping[str, Any], root: JsonObject) -> Mapping[str, Any]:
    """The only branch of a union that can hold ``value``, else the schema itself."""
    for key in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(key)
        if isinstance(branches, list) and "properties" not in schema:
            wanted = "object" if isinstance(value, Mapping) else "array"
            fitting = [
                found
                for branch in branches
                if isinstance(branch, Mapping) and _is(wanted, found := resolve(branch, root))
            ]
            if len(fitting) == 1:
                return fitting[0]
    return schema


def _is(wanted: str, schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    if kind is None:
        return ("properties" if wanted == "object" else "items") in schema
    return kind == wanted or (isinstance(kind, list) and wanted in kind)


class SchemaCheck:
    """Validate values against a tool's own schema. The validator is built at the first call."""

    __slots__ = ("_built", "_kind", "_schema", "_tool", "_validator")

    def __init__(self, tool: str, schema: JsonObject, kind: Literal["input", "output"]) -> None:
        self._tool = tool
        self._schema = schema
        self._kind = kind
        self._built = False
        self._validator: Validator | None = None

    def problem(self, value: Json) -> str | None:
        """What is wrong and where, for the model to mend; ``None`` if nothing is, or the schema cannot be applied."""
        if not self._built:
            self._built, self._validator = True, self._compile()
        if self._validator is None:
            return None
        from jsonschema.exceptions import best_match
        from referencing.exceptions import Unresolvable

        try:
            error = best_match(self._validator.iter_errors(value))
        except (Unresolvable, LookupError, ValueError, TypeError, AttributeError, re.error, RecursionError) as broken:
            self._validator = None
            self._warn(type(broken).__name__)
            return None
        if error is None:
            return None
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
        message = error.message if len(error.message) <= _LONGEST_PROBLEM else f"{error.message[:_LONGEST_PROBLEM]}…"
        return f"`{path}`: {message}" if path else message

    def _compile(self) -> Validator | None:
        from jsonschema import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry

        from aura_py.mcp.schema_patterns import with_linear_patterns

        try:
            kind = validator_for(self._schema, default=Draft202012Validator)
            kind.check_schema(self._schema)
        except (SchemaError, LookupError, TypeError, RecursionError) as broken:
            self._warn(type(broken).__name__)
            return None
        made: Validator = with_linear_patterns(kind, self._schema)(self._schema, registry=Registry())
        return made

    def _warn(self, problem: str) -> None:
        log.warning(
            "the %s schema of tool `%s` cannot be applied (%s); its %s are not checked",
            self._kind,
            self._tool,
            problem,
            "arguments" if self._kind == "input" else "results",
        )
