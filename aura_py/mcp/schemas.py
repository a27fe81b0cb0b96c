"""Input schemas as providers accept them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from aura_py.mcp.keywords import Node, normalize_keywords

DEEPEST = 100

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLES = ("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")
_CONDITIONS = frozenset({"not", "if", "then", "else", "propertyNames", "dependentSchemas"})
_COMBINED = frozenset({"allOf", "anyOf", "oneOf", "$ref"})


class UnusableSchema(ValueError):
    """The schema cannot be offered to any model; the message says why."""


def sanitize_schema(schema: Node) -> Node:
    """Return a copy of ``schema`` whose root is an object and which holds no bare boolean schema.

    What is malformed is repaired if the tool stays callable. Optional parameters stay optional.

    Raises:
        UnusableSchema: The root is not an object, or the schema is nested too deeply.
    """
    _check_depth(schema)
    root = copy.deepcopy(schema)
    _repair_root(root)
    for node in schemas_in(root):
        _repair(node, root)
    _replace_booleans(root)
    _shape_objects(root)
    return root


def resolve(node: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """``node``, or what its local ``$ref`` leads to; ``{}`` if it leads nowhere."""
    for _ in range(DEEPEST):
        reference = node.get("$ref")
        if not isinstance(reference, str):
            return node
        target = _target(reference, root)
        if target is None:
            return {}
        node = target
    return {}


def accepts_null(node: Any, root: Mapping[str, Any], depth: int = 0) -> bool:
    """Whether ``null`` is a value of the schema."""
    if not isinstance(node, Mapping):
        return node is not False
    node = resolve(node, root)
    if depth > DEEPEST:
        return False
    kind = node.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind) or node.get("nullable") is True:
        return True
    if "const" in node:
        return node["const"] is None
    enum = node.get("enum")
    if isinstance(enum, list):
        return None in enum and kind is None
    for key, quantifier in (("anyOf", any), ("oneOf", any), ("allOf", all)):
        branches = node.get(key)
        if isinstance(branches, list):
            return quantifier(accepts_null(branch, root, depth + 1) for branch in branches)
    return kind is None and "not" not in node


# --- walking -------------------------------------------------------------------------------------------------------


def _subschemas(node: Node, skip: frozenset[str] = frozenset()) -> Iterator[tuple[Any, Any]]:
    """The places (container, key) below ``node`` where a schema stands."""
    for key in _MAPS:
        inner = node.get(key)
        if key not in skip and isinstance(inner, dict):
            for name in inner:
                yield inner, name
    for key in _LISTS:
        inner = node.get(key)
        if key not in skip and isinstance(inner, list):
            for index in range(len(inner)):
                yield inner, index
    for key in _SINGLES:
        if key in node and key not in skip:
            yield node, key


def schemas_in(node: Node, skip: frozenset[str] = frozenset()) -> Iterator[Node]:
    """``node`` and every schema object below it, parents first."""
    yield node
    for container, key in _subschemas(node, skip):
        child = container[key]
        if isinstance(child, dict):
            yield from schemas_in(child, skip)


def _check_depth(schema: Node) -> None:
    level: list[Any] = [schema]
    for _ in range(DEEPEST):
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise UnusableSchema(f"its input schema is nested more than {DEEPEST} levels deep")


def _target(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not reference.startswith("#"):
        return None
    found: Any = root
    for part in reference[1:].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    if len(reference) > 1 and not reference.startswith("#/"):
        return None
    return found if isinstance(found, Mapping) else None


# --- mending -------------------------------------------------------------------------------------------------------


def _repair_root(root: Node) -> None:
    """Make the root a plain object, also where it only refers to one or combines several."""
    kind = root.get("type")
    if isinstance(kind, list) and "object" in kind:
        root["type"] = kind = "object"
    if kind not in (None, "object") and isinstance(kind, str | list):
        raise UnusableSchema(f"its input is of type `{kind}` and not an object")
    if "$ref" in root:
        target = resolve(root, root)
        del root["$ref"]
        for key, value in copy.deepcopy(dict(target)).items():
            root.setdefault(key, value)
        if root.get("type") not in (None, "object"):
            raise UnusableSchema(f"its input is of type `{root['type']}` and not an object")
    for key in ("allOf", "anyOf", "oneOf"):
        branches = root.get(key)
        if isinstance(branches, list):
            _flatten(root, key, [resolve(branch, root) for branch in branches if isinstance(branch, Mapping)])
    for key in ("$schema", "const", "enum", "not", "nullable"):
        root.pop(key, None)
    root["type"] = "object"


def _flatten(root: Node, key: str, branches: list[Mapping[str, Any]]) -> None:
    """Merge the root's branches into its own properties; the server still checks the combination itself."""
    del root[key]
    objects = [branch for branch in branches if isinstance(branch.get("properties"), Mapping)]
    properties = root.get("properties")
    merged: Node = dict(properties) if isinstance(properties, Mapping) else {}
    for branch in objects:
        for name, value in branch["properties"].items():
            merged.setdefault(name, copy.deepcopy(value))
    if merged:
        root["properties"] = merged
    needed = [_strings(branch.get("required")) for branch in objects]
    common = (
        [name for names in needed for name in names]
        if key == "allOf"
        else [name for name in (needed[0] if needed else []) if all(name in names for names in needed)]
    )
    own = _strings(root.get("required"))
    if own or common:
        root["required"] = list(dict.fromkeys([*own, *common]))


def _repair(node: Node, root: Node) -> None:
    """Remove what no provider would take: references that lead nowhere and keywords of the wrong kind."""
    normalize_keywords(node)
    if "$ref" in node and not (isinstance(node["$ref"], str) and _target(node["$ref"], root) is not None):
        del node["$ref"]
    for key in _MAPS:
        if key in node and not isinstance(node[key], dict):
            del node[key]
    for key in _LISTS:
        if key in node and not (isinstance(node[key], list) and node[key]):
            del node[key]
    if "required" in node:
        node["required"] = _strings(node["required"])
    for container, key in _subschemas(node):
        if not isinstance(container[key], dict | bool):
            container[key] = {}


def _strings(value: Any) -> list[str]:
    return list(dict.fromkeys(entry for entry in value if isinstance(entry, str))) if isinstance(value, list) else []


def _replace_booleans(root: Node) -> None:
    """llama.cpp and others refuse them. In ``additionalProperties`` and in conditions they are usual and stay."""
    skip = _CONDITIONS | {"additionalProperties", "contains"}
    for node in schemas_in(root):
        for container, key in _subschemas(node, frozenset(skip)):
            if container[key] is True:
                container[key] = {}
            elif container[key] is False:
                container[key] = {"not": {}}


# --- objects -------------------------------------------------------------------------------------------------------


def _shape_objects(root: Node) -> None:
    for node in list(schemas_in(root, skip=_CONDITIONS)):
        if "const" in node and node["const"] is None:
            del node["const"]
            node.pop("nullable", None)
            node["type"] = "null"
        if node.get("type") == "object" and "properties" not in node:
            node["properties"] = {}
        if "properties" in node and not (_COMBINED & node.keys()):
            for name in node.get("required", ()):
                node["properties"].setdefault(name, {})
