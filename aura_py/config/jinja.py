"""Compiles authors' Jinja2 templates at load, to find their faults; nothing is rendered here."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment


@cache
def compiler(*filters: str) -> SandboxedEnvironment:
    """Knows the names of ``filters`` beside Jinja2's own, not their work."""
    from jinja2 import StrictUndefined, nodes
    from jinja2.compiler import CodeGenerator
    from jinja2.sandbox import SandboxedEnvironment

    class Unfolded(CodeGenerator):
        """Leaves constant expressions alone: computing one may take for ever."""

        def _output_child_to_const(self, *_: object) -> str:
            raise nodes.Impossible

    environment = SandboxedEnvironment(undefined=StrictUndefined, optimized=False)
    environment.code_generator_class = Unfolded
    for name in filters:
        environment.filters.setdefault(name, str)
    return environment
