"""Input schemas as providers accept them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from aura_py.mcp.keywords import Node, normalize_keywords

DEEPEST = 100

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLES = ("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")
_CONDITIONS = frozenset({"not", "if", "then", "else", "propertyNames", "dependentSchemas"})
_COMBINED = frozenset({"allOf", "anyOf", "oneOf", "$ref"})
_MERGEABLE = frozenset({"type", "properties", "required", "title", "description", "additionalProperties"})
_NULL: Mapping[str, Any] = {"type": "null"}


class UnusableSchema(ValueError):
    """The schema cannot be offered to any model; the message says why."""


def sanitize_schema(schema: Node, *, strict: bool) -> Node:
    """A copy of ``schema`` whose root is an object and which holds no bare boolean schema.

    ``strict`` also makes it fit for OpenAI's strict mode: every property is required, optional ones become nullable,
    and objects are closed unless they are maps. What is malformed is mended if the tool stays callable.

    Raises:
        UnusableSchema: The root is not an object, or the schema is nested too deeply.
    """
    _check_depth(schema)
    root = copy.deepcopy(schema)
    _repair_root(root)
    for node in schemas_in(root):
        _repair(node, root)
    _replace_booleans(root)
    if strict:
        for node in schemas_in(root, skip=_CONDITIONS):
            _merge_all_of(node, root)
        for node in reversed(list(schemas_in(root, skip=_CONDITIONS))):
            _require_all(node, root)
    _shape_objects(root, strict=strict)
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


def accepts_null(node: Any, root: Mapping[str, Any], *, untyped: bool, depth: int = 0) -> bool:
    """Whether ``null`` is a value of the schema. ``untyped`` is the answer for a schema without any restriction."""
    if not isinstance(node, Mapping):
        return untyped and node is not False
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
    for key in ("anyOf", "oneOf"):
        branches = node.get(key)
        if isinstance(branches, list):
            return any(accepts_null(branch, root, untyped=untyped, depth=depth + 1) for branch in branches)
    branches = node.get("allOf")
    if isinstance(branches, list):
        return all(accepts_null(branch, root, untyped=untyped, depth=depth + 1) for branch in branches)
    return untyped and kind is None and "not" not in node


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
    """R0, and a plain object where the root only refers to one or combines several."""
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
    """Takes the root's branches into its own properties; the server still checks the combination itself."""
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
    """Removes what no provider would take: references that lead nowhere and keywords of the wrong kind."""
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
    """R1. ``additionalProperties`` and conditions are not schema positions for this rule."""
    skip = _CONDITIONS | {"additionalProperties", "contains"}
    for node in schemas_in(root):
        for container, key in _subschemas(node, frozenset(skip)):
            if container[key] is True:
                container[key] = {}
            elif container[key] is False:
                container[key] = {"not": {}}


# --- strict mode ---------------------------------------------------------------------------------------------------


def _merge_all_of(node: Node, root: Node) -> None:
    """One object instead of an ``allOf`` of plain objects, which could not be closed one by one."""
    branches = node.get("allOf")
    if not isinstance(branches, list):
        return
    if len(branches) == 1 and isinstance(branches[0], dict) and not (set(branches[0]) & set(node)):
        del node["allOf"]
        node.update(branches[0])
        return
    if any(_recurs(branch["$ref"], root) for branch in branches if isinstance(branch, dict) and "$ref" in branch):
        return
    parts = [resolve(branch, root) for branch in branches if isinstance(branch, dict)]
    if len(parts) != len(branches) or not all(_plain_object(part) for part in parts):
        return
    properties: Node = dict(node.get("properties", {}))
    required = _strings(node.get("required"))
    for part in parts:
        for name, value in part.get("properties", {}).items():
            if name in properties and properties[name] != value:
                return
            properties[name] = copy.deepcopy(value)
        required.extend(_strings(part.get("required")))
    del node["allOf"]
    node["type"] = "object"
    node["properties"] = properties
    if required:
        node["required"] = list(dict.fromkeys(required))


def _recurs(reference: str, root: Node) -> bool:
    """Whether what is referred to refers to itself, so that merging copies of it would never end."""
    seen, waiting = set[str](), [reference]
    while waiting:
        target = _target(waiting.pop(), root)
        for node in schemas_in(dict(target)) if target is not None else ():
            inner = node.get("$ref")
            if inner == reference:
                return True
            if isinstance(inner, str) and inner not in seen:
                seen.add(inner)
                waiting.append(inner)
    return False


def _plain_object(part: Mapping[str, Any]) -> bool:
    return (
        set(part) <= _MERGEABLE
        and isinstance(part.get("properties"), Mapping)
        and part.get("type", "object") == "object"
        and not isinstance(part.get("additionalProperties"), Mapping)
    )


def _require_all(node: Node, root: Node) -> None:
    """R2: every property is required, those that were not may be null instead."""
    properties = node.get("properties")
    if not isinstance(properties, dict):
        return
    required = _strings(node.get("required"))
    missing = [name for name in properties if name not in required]
    for name in missing:
        properties[name] = _nullable(properties[name], root)
    if missing:
        node["required"] = required + missing


def _nullable(schema: Any, root: Node) -> Any:
    if not isinstance(schema, dict) or accepts_null(schema, root, untyped=False):
        return schema
    lifted = {key: schema[key] for key in ("description", "default", "title") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in lifted}
    if isinstance(rest.get("anyOf"), list):
        return {**rest, "anyOf": [*rest["anyOf"], dict(_NULL)], **lifted}
    return {"anyOf": [rest, dict(_NULL)], **lifted}


# --- objects (R3) --------------------------------------------------------------------------------------------------


def _shape_objects(root: Node, *, strict: bool) -> None:
    open_branches: set[int] = set()
    for node in list(schemas_in(root, skip=_CONDITIONS)):
        for branch in node.get("allOf", ()):
            open_branches.add(id(branch))
        if "const" in node and node["const"] is None:
            del node["const"]
            node.pop("nullable", None)
            node["type"] = "null"
        if node.get("type") == "object" and "properties" not in node:
            node["properties"] = {}
        if "properties" in node and not (_COMBINED & node.keys()):
            for name in node.get("required", ()):
                node["properties"].setdefault(name, {})
        if strict and id(node) not in open_branches and not node.get("allOf"):
            _close(node)


def _close(node: MutableMapping[str, Any]) -> None:
    properties = node.get("properties")
    if not isinstance(properties, dict) or "patternProperties" in node:
        return
    extra = node.get("additionalProperties")
    if isinstance(extra, dict) or (extra is True and not properties):
        return
    if "required" in node or not properties or extra is not None:
        node["additionalProperties"] = False
