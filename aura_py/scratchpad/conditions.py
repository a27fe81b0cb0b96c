"""The small language of ``iterate_over``: ``where``, ``sort_by`` and ``aggregate`` (S-11)."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import isfinite
from typing import cast

from aura_py.messages import Json
from aura_py.scratchpad.replies import HardError
from aura_py.scratchpad.rows import MISSING, Missing, Value

_LONGEST = 4096
_QUOTED = r"""(?<!\w)(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_JOINED = re.compile(rf"({_QUOTED})|\s+(and|&&|or|\|\|)(?=\s)", re.IGNORECASE)
_CONDITION = re.compile(
    rf"\s*((?:{_QUOTED}|[^<>=!()])+?)\s*(?:(==|!=|>=|<=|=(?!=)|>|<|\bcontains\b)\s*(.*\S)|\b(exists|missing))\s*",
    re.DOTALL | re.IGNORECASE,
)
_AGGREGATE = re.compile(r"\s*(count|min|max|sum|avg)\s*(?:[(:]\s*([^()]*?)\s*\)?)?\s*", re.IGNORECASE)


_NUMBERS = {int, float}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
}


_COMBINE: dict[str, Callable[[list[float]], float]] = {
    "min": min,
    "max": max,
    "sum": sum,
    "avg": lambda numbers: sum(numbers) / len(numbers),
}


@dataclass(slots=True, frozen=True)
class Condition:
    field: str
    operator: str
    operand: Json

    def test(self) -> Callable[[Value], bool]:
        """Whether a value meets the condition, as a function made for this operator and operand."""
        operator, operand = self.operator, self.operand
        if operator in ("exists", "missing"):
            return lambda value: isinstance(value, Missing) == (operator == "missing")
        if operator in ("==", "=", "!="):
            equal = _equality(operand)
            return equal if operator != "!=" else lambda value: not equal(value)
        if operator == "contains":
            return lambda value: _contains(value, operand)
        return lambda value: _ordered(value, operand, operator)

    def passing(self, column: Sequence[Value]) -> Iterable[bool]:
        """``test`` of every value; numbers beside a number are compared without a call each."""
        compare = _COMPARE.get(self.operator)
        operand = self.operand
        if isinstance(operand, str) and self.operator in ("==", "=", "!="):
            return map(operator.ne if self.operator == "!=" else operator.eq, column, repeat(operand))
        if compare is not None and type(operand) in _NUMBERS and set(map(type, column)) <= _NUMBERS:
            return map(compare, cast("Sequence[float]", column), repeat(cast("float", operand)))
        return map(self.test(), column)


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
    if isinstance(operand, str):
        return lambda value: value == operand
    if isinstance(operand, bool) or operand is None:
        return lambda value: value is operand
    text = json.dumps(operand)
    return lambda value: (value == operand and not isinstance(value, bool)) or value == text


def _contains(value: Value, operand: Json) -> bool:
    if isinstance(value, str):
        return str(operand) in value
    return isinstance(value, list | dict) and operand in value


def _ordered(value: Value, operand: Json, operator: str) -> bool:
    if isinstance(value, bool) or isinstance(operand, bool):
        return False
    if isinstance(value, int | float) and isinstance(operand, int | float):
        below, equal = value < operand, value == operand
    elif isinstance(value, str):
        other = operand if isinstance(operand, str) else json.dumps(operand)
        below, equal = value < other, value == other
    else:
        return False
    return {"<": below, "<=": below or equal, ">": not below and not equal, ">=": not below}[operator]


def sort_key(value: Value) -> tuple[int, float | str]:
    """Numbers, then texts, then everything else; missing values last."""
    if isinstance(value, Missing) or value is None:
        return 3, 0.0
    if isinstance(value, bool):
        return 0, float(value)
    if isinstance(value, int | float):
        try:
            return 1, float(value)
        except OverflowError:
            return 1, float("inf") if value > 0 else float("-inf")
    if isinstance(value, str):
        return 2, value
    return 2, json.dumps(value, default=str)


@dataclass(slots=True, frozen=True)
class Aggregate:
    """``name`` is what it is called in the result; ``field`` is empty for ``count``."""

    name: str
    function: str
    field: str


def aggregates(text: str) -> list[Aggregate]:
    """``count, sum(price), max(metadata.score)``."""
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


def combine(function: str, column: list[Value]) -> Json:
    """One aggregate of a column. Values that are no numbers are left out of sums and averages;
    one beyond what a number can be is ``None``."""
    if function == "count":
        return len(column) - column.count(MISSING)
    numbers = cast("list[float]", column)
    if not set(map(type, column)) <= _NUMBERS:
        numbers = [value for value in column if isinstance(value, int | float) and not isinstance(value, bool)]
    if numbers:
        try:
            return _finite(_COMBINE[function](numbers))
        except OverflowError:
            return None
    if function in ("sum", "avg"):
        return None
    texts = [value for value in column if isinstance(value, str)]
    choose: Callable[[list[str]], str] = min if function == "min" else max
    return choose(texts) if texts else None


def _finite(number: float) -> Json:
    return number if isinstance(number, int) or isfinite(number) else None
