"""The small language of ``iterate_over``: ``where``, ``sort_by`` and ``aggregate``.

A number in a string is a number here, because Prometheus and many others send nothing else. What is not finite (NaN, an
infinity, whether written as a number or as text) meets no comparison and enters no aggregate.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

from aura_py.messages import Json
from aura_py.scratchpad.columns import MISSING, Missing, Value
from aura_py.scratchpad.errors import HardError

_LONGEST = 4096
_QUOTED = r"""(?<!\w)(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_JOINED = re.compile(rf"({_QUOTED})|\s+(and|&&|or|\|\|)(?=\s)", re.IGNORECASE)
_CONDITION = re.compile(
    rf"\s*((?:{_QUOTED}|[^<>=!()])+?)\s*(?:(==|!=|>=|<=|=(?!=)|>|<|\bcontains\b)\s*(.*\S)|\b(exists|missing))\s*",
    re.DOTALL | re.IGNORECASE,
)
_AGGREGATE = re.compile(r"\s*(count|min|max|sum|avg)\s*(?:[(:]\s*([^()]*?)\s*\)?)?\s*", re.IGNORECASE)


_LONGEST_NUMBER = 400
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_COMBINE: dict[str, Callable[[list[float]], float]] = {
    "min": min, "max": max, "sum": sum, "avg": lambda numbers: sum(numbers) / len(numbers),
}  # fmt: skip


@dataclass(slots=True, frozen=True)
class Condition:
    field: str
    operator: str
    operand: Json

    @property
    def is_numeric(self) -> bool:
        """Whether values are compared with a number, so that those which are not finite are left out."""
        return self.operator not in ("exists", "missing", "contains") and number(self.operand) is not None

    def test(self) -> Callable[[Value], bool]:
        """Whether a value meets the condition, as a function made for this operator and operand."""
        operator, operand = self.operator, self.operand
        if operator in ("exists", "missing"):
            return lambda value: isinstance(value, Missing) == (operator == "missing")
        if operator == "contains":
            return lambda value: _contains(value, operand)
        if operator in _ORDER:
            return _ordering(operand, _ORDER[operator])
        equal = _equality(operand)
        if operator != "!=":
            return equal
        if self.is_numeric:
            return lambda value: not equal(value) and not is_not_finite(value)
        return lambda value: not equal(value)


def number(value: Value) -> float | None:
    """The finite number that a value is, or holds as text."""
    if type(value) is str:
        written = _NUMBER.fullmatch(value) if len(value) <= _LONGEST_NUMBER else None
        if written is None:
            return None
        value = int(value) if value.strip("+-").isdigit() else float(value)
    if type(value) is int:
        return value
    return value if type(value) is float and isfinite(value) else None


def is_not_finite(value: Value) -> bool:
    """Whether a value stands for NaN or an infinity."""
    if type(value) is str and len(value) <= _LONGEST_NUMBER:
        if _NOT_FINITE.fullmatch(value) is not None:
            return True
        value = float(value) if _NUMBER.fullmatch(value) is not None else None
    return type(value) is float and not isfinite(value)


def conditions(text: str) -> list[Condition]:
    """``status == "error" and metadata.score > 3``."""
    if len(text) > _LONGEST:
        raise HardError(f"invalid argument: `where` has {len(text)} characters; at most {_LONGEST} are allowed")
    return [_condition(part) for part in _parts(text)]


def _parts(text: str) -> list[str]:
    """What stands between the words ``and`` outside quotes."""
    parts: list[str] = []
    begin = 0
    for match in _JOINED.finditer(text):
        if match[1] is not None:
            continue
        if match[2].lower() in ("or", "||"):
            raise HardError(
                "invalid argument: `where` joins conditions by `and` only; make one call for each side of `or`, "
                "or put a text that holds the word into quotes"
            )
        parts.append(text[begin : match.start()])
        begin = match.end()
    return [*parts, text[begin:]]


def _condition(text: str) -> Condition:
    part = text.strip()
    if part.startswith("(") and part.endswith(")"):
        part = part[1:-1]
    match = _CONDITION.fullmatch(part)
    if match is None:
        raise HardError(
            f"invalid argument: `where` cannot read `{part[:80]}`; write `field == value`, with ==, !=, <, <=, >, "
            ">=, contains, exists or missing, joined by `and`"
        )
    field = match[1]
    if field[0] == field[-1] and field[0] in "\"'":
        field = f"[{field}]"
    return Condition(field, (match[2] or match[4]).lower(), None if match[4] else _operand(match[3]))


def _operand(text: str) -> Json:
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1]
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return value


def _equality(operand: Json) -> Callable[[Value], bool]:
    if isinstance(operand, bool) or operand is None:
        return lambda value: value is operand
    wanted = number(operand)
    if wanted is None:
        return lambda value: value == operand
    # Two texts are compared as texts: versions such as "1.0" and "1" are not the same.
    is_text = isinstance(operand, str)
    return lambda value: value == operand if is_text and isinstance(value, str) else number(value) == wanted


def _contains(value: Value, operand: Json) -> bool:
    if isinstance(value, str):
        return str(operand) in value
    return isinstance(value, list | dict) and operand in value


def _ordering(operand: Json, compare: Callable[[Any, Any], bool]) -> Callable[[Value], bool]:
    wanted = number(operand)

    def test(value: Value) -> bool:
        found = None if wanted is None else number(value)
        if found is not None:
            return compare(found, wanted)
        if isinstance(operand, str) and isinstance(value, str) and not is_not_finite(value):
            return compare(value, operand)
        return False

    return test


def sort_key(value: Value) -> tuple[int, float | str]:
    """Numbers, then texts, then everything else; 3 in front is for what has no place in an order."""
    found = number(value)
    if found is not None:
        return 1, found
    if isinstance(value, Missing) or value is None or is_not_finite(value):
        return 3, 0
    if isinstance(value, bool):
        return 0, value
    return 2, value if isinstance(value, str) else json.dumps(value, default=str)


def sort_order(text: str) -> tuple[str, bool]:
    """The field of ``sort_by``, and whether it goes from high to low: ``-price``, ``price desc``."""
    field = text.strip()
    descending = field.startswith("-")
    field = field.removeprefix("-").strip()
    front, _, last = field.rpartition(" ")
    if front.strip() and last.lower() in ("asc", "desc"):
        field, descending = front.strip(), descending or last.lower() == "desc"
    if not field:
        raise HardError("invalid argument: `sort_by` names no field; give for example `-metadata.score`")
    return field, descending


@dataclass(slots=True, frozen=True)
class Aggregate:
    """``name`` is what it is called in the result; ``field`` is empty for ``count``."""

    name: str
    function: str
    field: str


def aggregates(text: str) -> list[Aggregate]:
    """``count, sum(price), max(metadata.score)``."""
    if len(text) > _LONGEST:
        raise HardError(f"invalid argument: `aggregate` has {len(text)} characters; at most {_LONGEST} are allowed")
    found: list[Aggregate] = []
    for part in text.split(","):
        match = _AGGREGATE.fullmatch(part)
        field = "" if match is None or match[2] in (None, "*") else match[2]
        if match is None or (match[1].lower() != "count" and not field):
            raise HardError(
                f"invalid argument: `aggregate` cannot read `{part.strip()[:80]}`; write count, min(field), "
                "max(field), sum(field) or avg(field), separated by commas"
            )
        found.append(Aggregate(part.strip(), match[1].lower(), field))
    return found


def combine(function: str, column: list[Value]) -> tuple[Json, int]:
    """One aggregate of a column, over its finite numbers, and how many values it had to leave out.

    Missing and null values are not there. Where there are no numbers, texts have a ``min`` and a ``max``. A result
    beyond what a number can be is ``None``.
    """
    if function == "count":
        return len(column) - column.count(MISSING), 0
    present = [value for value in column if value is not None and not isinstance(value, Missing)]
    numbers = [found for value in present if (found := number(value)) is not None]
    if not numbers and function in ("min", "max"):
        texts = [value for value in present if isinstance(value, str) and not is_not_finite(value)]
        choose: Callable[[list[str]], str] = min if function == "min" else max
        return choose(texts) if texts else None, len(present) - len(texts)
    try:
        total = _COMBINE[function](numbers) if numbers else None
    except OverflowError:
        total = None
    return number(total), len(present) - len(numbers)
