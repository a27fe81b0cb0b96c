"""Types of numbers and booleans."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from aura_py.config.file_report import Location, display, toml_type
from aura_py.config.values import TEMPLATE_SCHEMA, JsonSchema, ValueType, blank_reason, refused, wrong_type

LARGEST = 2**63 - 1
_LONGEST = 100
"""Characters of a number that stands in quotes."""
_DIGITS = re.compile(r"\s*\d+(?:_\d+)*\s*", re.ASCII)
_NUMERAL = re.compile(r"\s*[+-]?(?:\d+(?:_\d+)*)?\.?\d*(?:[eE][+-]?\d+)?\s*")


@dataclass(slots=True, frozen=True)
class Integer(ValueType):
    """A non-negative integer; whole floats and strings of digits count."""

    minimum: int = 0
    maximum: int = LARGEST
    code: str = "CFG-S03"

    def _read(self, value: object, at: Location) -> object:
        fix = f"write a whole number, {self._range()}"
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return wrong_type(at, "a whole number", value, fix)
        if isinstance(value, str):
            if len(value) > _LONGEST or not _DIGITS.fullmatch(value):
                found = f"found the string `{display(value)}`{blank_reason(value)}"
                return refused(at, "CFG-S02", f"`{at.key}` must be a whole number, {found}", fix)
        elif isinstance(value, float) and not value.is_integer():
            return refused(at, "CFG-S03", f"`{at.key}` expected a whole number, got `{display(value)}`", fix)
        number = int(value)
        if number < 0:
            message = f"`{at.key}` expected a non-negative number, got `{display(value)}`"
            return refused(at, self.code, message, fix)
        if not self.minimum <= number <= self.maximum:
            message = f"`{at.key}` is out of range: expected {self._range()}, got `{display(value)}`"
            return refused(at, self.code, message, fix)
        return number

    def _range(self) -> str:
        return f"at least {self.minimum}" if self.maximum == LARGEST else f"{self.minimum} to {self.maximum}"

    def json_schema(self) -> JsonSchema:
        bounds: JsonSchema = {"minimum": self.minimum}
        if self.maximum != LARGEST:
            bounds["maximum"] = self.maximum
        return {
            "anyOf": [
                {"type": "integer", **bounds},
                {"type": "string", "pattern": r"^\s*[0-9]+(_[0-9]+)*\s*$"},
                TEMPLATE_SCHEMA,
            ]
        }

    def describe(self) -> str:
        return "integer" if self.minimum == 0 and self.maximum == LARGEST else f"integer, {self._range()}"


@dataclass(slots=True, frozen=True)
class Float(ValueType):
    """A finite float; integers and numeric strings count."""

    minimum: float | None = None
    below: float | None = None
    code: str = "CFG-S03"

    def _read(self, value: object, at: Location) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return wrong_type(at, "a number", value, "write a number, for example `0.2`")
        try:
            readable = not isinstance(value, str) or (len(value) <= _LONGEST and _NUMERAL.fullmatch(value))
            number = float(value) if readable else None
        except (ValueError, OverflowError):
            number = None
        if number is None:
            found = f"found `{display(value)}`{blank_reason(value)}"
            return refused(at, "CFG-S02", f"`{at.key}` must be a number, {found}", "write a number, like `0.2`")
        if not math.isfinite(number):
            message = f"`{at.key}` must be a finite number, got `{display(value)}`"
            return refused(at, "CFG-S03", message, "write a number, like `0.2`")
        if (self.minimum is not None and number < self.minimum) or (self.below is not None and number >= self.below):
            message = f"`{at.key}` is out of range: expected {self._range()}, got `{display(value)}`"
            return refused(at, self.code, message, f"write a number, {self._range()}")
        return number

    def _range(self) -> str:
        low = "" if self.minimum is None else f"at least {self.minimum:g}"
        high = "" if self.below is None else f"below {self.below:g}"
        return " and ".join(part for part in (low, high) if part)

    def json_schema(self) -> JsonSchema:
        number: JsonSchema = {"type": "number"}
        if self.minimum is not None:
            number["minimum"] = self.minimum
        if self.below is not None:
            number["exclusiveMaximum"] = self.below
        return {"anyOf": [number, {"type": "string", "pattern": r"^\s*[+-]?[0-9_.eE+-]+\s*$"}, TEMPLATE_SCHEMA]}

    def describe(self) -> str:
        return f"number{', ' if self._range() else ''}{self._range()}"


@dataclass(slots=True, frozen=True)
class Boolean(ValueType):
    """A boolean, or exactly ``true`` or ``false`` as a string."""

    label = "boolean"

    def _read(self, value: object, at: Location) -> object:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip() in ("true", "false"):
            return value.strip() == "true"
        found = f'"{display(value)}"{blank_reason(value)}' if isinstance(value, str) else toml_type(value)
        return refused(
            at, "CFG-S04", f'`{at.key}` expected "true" or "false", got {found}', f"write `{at.name} = true` or `false`"
        )

    def json_schema(self) -> JsonSchema:
        return {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": r"^\s*(true|false)\s*$"}, TEMPLATE_SCHEMA]}
