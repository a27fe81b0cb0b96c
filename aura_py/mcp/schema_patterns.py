"""The keywords of JSON Schema that match texts by patterns, in linear time.

Both the pattern and the text may be a server's; Python's ``re``, which ``jsonschema`` uses, can be made to hang. What
RE2 does not know (lookaround, back references) is not checked: the server checks its own arguments, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import re2
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def with_linear_patterns(kind: type[Validator], schema: object) -> type[Validator]:
    """``kind`` with the keywords replaced that match patterns of ``schema``."""
    keywords = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }
    if "patternProperties" in str(schema):
        keywords["unevaluatedProperties"] = _unchecked
    linear: type[Validator] = extend(kind, keywords)
    return linear


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None


def _fits(pattern: str, text: str, *, otherwise: bool) -> bool:
    """Whether ``pattern`` is found in ``text``; ``otherwise`` if that cannot be told."""
    compiled = _compiled(pattern)
    if compiled is None:
        return otherwise
    # Lone surrogates have no UTF-8, in which RE2 reads.
    return compiled.search(text.encode("utf-8", "replace").decode()) is not None


def _pattern(validator: Validator, pattern: str, instance: object, _schema: object) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _fits(pattern, instance, otherwise=True):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Validator, patterns: Mapping[str, Any], instance: object, _schema: object
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        for name, value in instance.items():
            if _fits(pattern, name, otherwise=False):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Validator, allowed: Any, instance: object, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [
        name
        for name in instance
        if name not in known and not any(_fits(pattern, name, otherwise=True) for pattern in patterns)
    ]
    if isinstance(allowed, dict):
        for name in extra:
            yield from validator.descend(instance[name], allowed, path=name)
    elif allowed is False and extra:
        names = ", ".join(repr(name) for name in sorted(extra))
        were = "was" if len(extra) == 1 else "were"
        yield ValidationError(f"Additional properties are not allowed ({names} {were} unexpected)")


def _unchecked(_validator: Validator, _value: object, _instance: object, _schema: object) -> Iterator[ValidationError]:
    """In place of a keyword that matches patterns deep inside ``jsonschema``."""
    yield from ()
