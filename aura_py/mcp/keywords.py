"""Keywords of one schema object as the current draft of JSON Schema wants them.

Providers check tool schemas against draft 2020-12 and refuse the whole request for one wrong keyword of one tool. What
has a meaning in an older draft is translated; what has none in any is left out: the server still checks the arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Node: TypeAlias = dict[str, Any]

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_OTHER_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("int", "int32", "int64", "long"), "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("str", "text"), "string"),
    **dict.fromkeys(("list", "tuple"), "array"),
    **dict.fromkeys(("dict", "map"), "object"),
    **dict.fromkeys(("none", "nil"), "null"),
    "bool": "boolean",
}
_UNRESOLVED = ("$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "$vocabulary")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(value: Any) -> bool:
    return _number(value) and value >= 0 and value == int(value)


def _pattern(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _names(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(needed, list) and all(isinstance(name, str) for name in needed) for needed in value.values()
    )


_VALID: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    "multipleOf": lambda value: _number(value) and value > 0,
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains"), _count),
    **dict.fromkeys(("minProperties", "maxProperties"), _count),
    **dict.fromkeys(
        ("uniqueItems", "readOnly", "writeOnly", "deprecated", "nullable"), lambda value: isinstance(value, bool)
    ),
    **dict.fromkeys(
        ("title", "description", "format", "$comment", "contentEncoding", "contentMediaType"),
        lambda value: isinstance(value, str),
    ),
    "pattern": _pattern,
    "enum": lambda value: isinstance(value, list) and bool(value),
    "examples": lambda value: isinstance(value, list),
    "dependentRequired": _names,
    "dependencies": _names,
}


def normalize_keywords(node: Node) -> None:
    """Repair the keywords of ``node`` that hold no schemas, and the form of its arrays."""
    for key in _UNRESOLVED:
        node.pop(key, None)
    _type(node)
    for bound, edge in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if node.get(bound) is True and _number(node.get(edge)):
            node[bound] = node.pop(edge)
    for key, fits in _VALID.items():
        if key in node and not fits(node[key]):
            del node[key]
    patterns = node.get("patternProperties")
    if isinstance(patterns, dict):
        node["patternProperties"] = {name: value for name, value in patterns.items() if _pattern(name)}
    _array(node)


def _type(node: Node) -> None:
    kind = node.get("type")
    if isinstance(kind, str):
        found = _known(kind)
        if found is None:
            del node["type"]
        else:
            node["type"] = found
    elif isinstance(kind, list):
        kinds = [_known(each) if isinstance(each, str) else None for each in kind]
        if None in kinds or not kinds:
            del node["type"]
        else:
            node["type"] = list(dict.fromkeys(kinds))
    elif kind is not None or "type" in node:
        del node["type"]


def _known(kind: str) -> str | None:
    name = kind.strip().lower()
    return name if name in _TYPES else _OTHER_NAMES.get(name)


def _array(node: Node) -> None:
    """Tuples in the way of the current draft, and items for every array, which OpenAI insists on."""
    items, others = node.get("items"), node.pop("additionalItems", None)
    if isinstance(items, list):
        del node["items"]
        if items:
            node["prefixItems"] = items
        if others is not None:
            node["items"] = others
    kind = node.get("type")
    if (kind == "array" or (isinstance(kind, list) and "array" in kind)) and "items" not in node:
        node["items"] = {}
