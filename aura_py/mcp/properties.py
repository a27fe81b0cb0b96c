"""Names of properties that every provider takes, and the way back to the server's own.

Claude's API refuses a whole request when one property is called ``$filter`` or has an umlaut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from aura_py.mcp.schemas import schemas_in
from aura_py.messages import Json, JsonObject

_LONGEST: Final = 64
_FITTING: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{_LONGEST}}}\Z")
_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]")


def rename_properties(schema: dict[str, Any]) -> Mapping[str, str]:
    """Rename properties of ``schema``, at any depth, that a provider refuses; return the old names by the new ones."""
    nodes = list(schemas_in(schema))
    if any(str(node.get("$ref", "")).startswith("#/properties/") for node in nodes):
        return {}  # such paths would lead nowhere
    taken = {name for node in nodes for name in _properties(node)}
    odd = sorted(name for name in taken if not _FITTING.match(name))
    if not odd:
        return {}
    new: dict[str, str] = {}
    for name in odd:
        new[name] = _free(name, taken)
        taken.add(new[name])
    for node in nodes:
        _rename(node, new)
    return {fitting: name for name, fitting in new.items()}


def restore_names(value: JsonObject, renamed: Mapping[str, str]) -> dict[str, Json]:
    """Return the arguments under the names that the server knows."""
    return {renamed.get(name, name): _inner(inner, renamed) for name, inner in value.items()}


def _inner(value: Json, renamed: Mapping[str, str]) -> Json:
    if isinstance(value, Mapping):
        return restore_names(value, renamed)
    return [_inner(item, renamed) for item in value] if isinstance(value, list) else value


def _properties(node: Mapping[str, Any]) -> Mapping[str, Any]:
    found = node.get("properties")
    return found if isinstance(found, dict) else {}


def _free(name: str, taken: set[str]) -> str:
    stem = _ODD.sub("_", name)[:_LONGEST] or "_"
    fitting, number = stem, 1
    while fitting in taken:
        number += 1
        end = f"_{number}"
        fitting = stem[: _LONGEST - len(end)] + end
    return fitting


def _rename(node: dict[str, Any], new: Mapping[str, str]) -> None:
    for key in ("properties", "dependentSchemas"):
        if isinstance(node.get(key), dict):
            node[key] = {new.get(name, name): inner for name, inner in node[key].items()}
    if isinstance(node.get("required"), list):
        node["required"] = _named(node["required"], new)
    dependent = node.get("dependentRequired")
    if isinstance(dependent, dict):
        node["dependentRequired"] = {new.get(name, name): _named(names, new) for name, names in dependent.items()}


def _named(names: list[str], new: Mapping[str, str]) -> list[str]:
    return [new.get(name, name) for name in names]
