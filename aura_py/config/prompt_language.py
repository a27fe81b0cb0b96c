"""What the templates of prompts are written in: Jinja2, strict, sandboxed, with one filter of our own."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from aura_py.config.jinja import compiler

if TYPE_CHECKING:
    from jinja2.runtime import Context
    from jinja2.sandbox import SandboxedEnvironment

_LARGEST = 1_000_000
"""Members of a sequence that is multiplied; bits of a power."""


def fence(text: str, label: str = "data") -> str:
    """Text from outside, between marks that do not occur in it, so that it cannot pose as instructions."""
    longest = max((len(run) for run in re.findall(r"~{3,}", text)), default=2)
    mark = "~" * (longest + 1)
    return f"{mark}{label}\n{text}\n{mark}"


@cache
def prompt_language() -> SandboxedEnvironment:
    """The environment that prompts are compiled and filled in with; there is no other."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    class Bounded(SandboxedEnvironment):
        """Refuses products that would keep the process busy for ever."""

        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
            if operator == "**" and isinstance(left, int) and isinstance(right, int):
                size = left.bit_length() * right
            else:
                size = max(_members(left, right), _members(right, left))
            if size > _LARGEST:
                raise OverflowError(f"the result of `{operator}` is too large")
            return super().call_binop(context, operator, left, right)

    environment = Bounded(undefined=StrictUndefined, optimized=False, trim_blocks=True, lstrip_blocks=True)
    environment.code_generator_class = compiler().code_generator_class
    environment.filters["fence"] = fence
    return environment


def _members(sequence: object, times: object) -> int:
    return len(sequence) * times if isinstance(sequence, str | list | tuple) and isinstance(times, int) else 0
