"""The small language of ``iterate_over``: ``where``, ``sort_by`` and ``aggregate``.

A number in a string is a number here, because Prometheus and many others send nothing else. What is not finite (NaN, an
infinity, whether written as a number or as text) meets no comparison and enters no aggregate.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import isfinite
from typing import Any, cast

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


_NUMBERS = {int, float}
_LONGEST_NUMBER = 400
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_FRACTION = re.compile(r"[.eE]")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_INFINITIES = frozenset({float("inf"), float("-inf")})
UNSORTED: tuple[int, float | str] = (3, 0)
"""The key of values without a place in an order."""
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

    @property
    def is_numeric(self) -> bool:
        """Whether values are compared with a number, so that those which are not finite are left out."""
        return self.operator in _COMPARE and number(self.operand) is not None

    def test(self) -> Callable[[Value], bool]:
        """Whether a value meets the condition, as a function made for this operator and operand."""
        operator, operand = self.operator, self.operand
        if operator in ("exists", "missing"):
            return lambda value: isinstance(value, Missing) == (operator == "missing")
        if operator in ("==", "=", "!="):
            equal = _equality(operand)
            if operator != "!=":
                return equal
            if self.is_numeric:
                return lambda value: not equal(value) and not is_not_finite(value)
            return lambda value: not equal(value)
        if operator == "contains":
            return lambda value: _contains(value, operand)
        return _ordering(operand, _COMPARE[operator])

    def passing(self, column: Sequence[Value]) -> Iterable[bool]:
        """``test`` of every value; numbers beside a number are compared without a call each."""
        compare = _COMPARE.get(self.operator)
        operand = self.operand
        if (
            compare is not None
            and type(operand) in _NUMBERS
            and set(map(type, column)) <= _NUMBERS
            and _INFINITIES.isdisjoint(cast("Sequence[float]", column))
        ):
            return map(compare, cast("Sequence[float]", column), repeat(cast("float", operand)))
        return map(self.test(), column)


def number(value: Value) -> float | None:
    """The finite number that a value is, or holds as text."""
    if type(value) is str:
        if len(value) > _LONGEST_NUMBER or _NUMBER.fullmatch(value) is None:
            return None
        value = float(value) if _FRACTION.search(value) else int(value)
    if type(value) is int:
        return value
    return value if type(value) is float and isfinite(value) else None


def is_not_finite(value: Value) -> bool:
    """Whether a value stands for NaN or an infinity."""
    if type(value) is float:
        return not isfinite(value)
    if type(value) is not str or len(value) > _LONGEST_NUMBER:
        return False
    if _NOT_FINITE.fullmatch(value) is not None:
        return True
    return _NUMBER.fullmatch(value) is not None and _FRACTION.search(value) is not None and not isfinite(float(value))


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
    """Numbers, then texts, then everything else; what has no place in an order comes last."""
    if isinstance(value, Missing) or value is None or is_not_finite(value):
        return UNSORTED
    if isinstance(value, bool):
        return 0, float(value)
    found = number(value)
    if found is not None:
        return 1, found
    return 2, value if isinstance(value, str) else json.dumps(value, default=str)


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


@dataclass(slots=True, frozen=True)
class Combined:
    """The result of an aggregate, and how many values it could not take in."""

    value: Json
    left_out: int = 0


def combine(function: str, column: list[Value]) -> Combined:
    """One aggregate of a column, over its finite numbers. Where there are none, texts have a ``min`` and a ``max``.

    A result beyond what a number can be is ``None``. Values that are missing or null are not there; others that are no
    finite numbers are left out, and counted.
    """
    if function == "count":
        return Combined(len(column) - column.count(MISSING))
    present = [value for value in column if value is not None and not isinstance(value, Missing)]
    numbers = [found for value in present if (found := number(value)) is not None]
    if not numbers and function in ("min", "max"):
        texts = [value for value in present if isinstance(value, str) and not is_not_finite(value)]
        choose: Callable[[list[str]], str] = min if function == "min" else max
        return Combined(choose(texts) if texts else None, len(present) - len(texts))
    try:
        value = _COMBINE[function](numbers) if numbers else None
    except OverflowError:
        value = None
    return Combined(None if value is None or is_not_finite(value) else value, len(present) - len(numbers))
