"""Templates of a script: Jinja2, sandboxed and strict, over the conversation (``scripted-provider.md`` §2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import orjson

if TYPE_CHECKING:
    from jinja2 import Template

Scope: TypeAlias = Mapping[str, object]
_NUMBER = re.compile(r"[-+]?\d[\d_,]*(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+]?\.\d+")


class TemplateError(ValueError):
    """A template cannot be parsed, or uses something that is not there."""


class ScriptTemplates:
    """Compiles each text once. One per script; safe for concurrent rendering."""

    def __init__(self) -> None:
        from aura_py.llm.script_sandbox import ScriptEnvironment

        self._environment = ScriptEnvironment(
            {"json": _json, "tojson": _json, "head": _head, "lines": _lines, "number": _number}
        )
        self._compiled: dict[str, Template] = {}

    def compile(self, text: str) -> None:
        """Raises :class:`TemplateError` for a text that is not a template."""
        from jinja2 import TemplateSyntaxError

        if "{" not in text or text in self._compiled:
            return
        try:
            self._compiled[text] = self._environment.from_string(text)
        except TemplateSyntaxError as error:
            raise TemplateError(f"line {error.lineno}: {error.message}") from error
        except (RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
            raise TemplateError("it is nested too deeply or cannot be compiled") from error

    def render(self, text: str, scope: Scope) -> str:
        """Raises :class:`TemplateError` when rendering fails in any way."""
        if "{" not in text:
            return text
        self.compile(text)
        from aura_py.llm.script_sandbox import new_allowance

        new_allowance()
        try:
            return self._compiled[text].render(scope)
        except Exception as error:
            # A script is a stranger's program: whatever its expressions raise is the script's own failure.
            raise TemplateError(str(error) or type(error).__name__) from error

    def render_table(self, table: Mapping[str, object], scope: Scope) -> dict[str, object]:
        """Renders every string inside ``table``, however deep."""
        return {key: self._render_value(item, scope) for key, item in table.items()}

    def _render_value(self, value: object, scope: Scope) -> object:
        if isinstance(value, str):
            return self.render(value, scope)
        if isinstance(value, Mapping):
            return self.render_table(value, scope)
        if isinstance(value, list | tuple):
            return [self._render_value(item, scope) for item in value]
        return value

    def compile_values(self, value: object) -> None:
        """Compiles every string inside ``value``."""
        if isinstance(value, str):
            self.compile(value)
        elif isinstance(value, Mapping):
            for item in value.values():
                self.compile_values(item)
        elif isinstance(value, list | tuple):
            for item in value:
                self.compile_values(item)


def _json(value: object, indent: int | None = None) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None, default=str).decode()


def _head(value: str | Sequence[object], count: int = 10) -> str | Sequence[object]:
    """The first lines of a text, or the first items of a list."""
    if isinstance(value, str):
        return "\n".join(value.split("\n")[:count])
    return value[:count]


def _lines(value: str) -> list[str]:
    return value.splitlines()


def _number(value: object) -> int | float:
    """The first number in a text; whole numbers stay whole."""
    if isinstance(value, int | float):
        return value
    found = _NUMBER.search(str(value))
    if found is None:
        raise ValueError(f"no number in {str(value)[:40]!r}")
    text = found.group().replace(",", "").replace("_", "")
    return int(text) if text.lstrip("+-").isdigit() else float(text)
