"""Templates of a script: Jinja2, sandboxed and strict, over the conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from aura_py.config.template_language import render, script_language

if TYPE_CHECKING:
    from jinja2 import Template

Scope: TypeAlias = Mapping[str, object]


class TemplateError(ValueError):
    """A template cannot be parsed, or uses something that is not there."""


class ScriptTemplates:
    """Compiles each text once. One per script; safe for concurrent rendering."""

    def __init__(self) -> None:
        self._compiled: dict[str, Template] = {}

    def compile(self, text: str) -> None:
        """Raises :class:`TemplateError` for a text that is not a template."""
        from jinja2 import TemplateSyntaxError

        if "{" not in text or text in self._compiled:
            return
        try:
            self._compiled[text] = script_language().from_string(text)
        except TemplateSyntaxError as error:
            raise TemplateError(f"line {error.lineno}: {error.message}") from error
        except (RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
            raise TemplateError("it is nested too deeply or cannot be compiled") from error

    def render(self, text: str, scope: Scope) -> str:
        """Raises :class:`TemplateError` when rendering fails in any way."""
        if "{" not in text:
            return text
        self.compile(text)
        try:
            return render(self._compiled[text], scope)
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
