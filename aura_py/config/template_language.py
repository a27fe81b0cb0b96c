"""What prompts and scripts are written in: Jinja2, strict and sandboxed, with a few filters of our own.

Authors are trusted with their own time: they may start any process. What comes into a template from outside (the
texts of users and tools, and numbers found in them) cannot make it take unlimited memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from types import BuiltinMethodType
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from jinja2.runtime import Context

_LARGEST = 4_000_000
"""Characters of a text, members of a sequence, bits of a number that an operator makes; characters of an answer."""
_WIDEST = 10_000
"""A width, count or precision that a filter is given."""
_PADDING = frozenset({"center", "expandtabs", "ljust", "rjust", "zfill"})
"""Methods of texts whose result has the length that they are given."""
_NUMBER = re.compile(r"[-+]?\d[\d_,]*(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+]?\.\d+")


@cache
def script_language() -> Environment:
    """The environment of scripts: texts stay as they are written."""
    from jinja2 import StrictUndefined, pass_context
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Language(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"+", "*", "**"})

        def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
            if _size(operator, left, right) > _LARGEST:
                raise OverflowError(f"the result of `{operator}` is too large")
            return super().call_binop(context, operator, left, right)

        def call(self, context: Context, called: object, /, *args: object, **named: object) -> object:
            if isinstance(called, BuiltinMethodType) and called.__name__ in _PADDING:
                _check_widths(*args)
            return super().call(context, called, *args, **named)

    def bounded(function: Callable[..., object]) -> Callable[..., object]:
        @pass_context  # a filter that takes the context is not computed while the template is compiled
        @wraps(function)
        def call(_: Context, value: object, *args: object, **named: object) -> object:
            _check_widths(*args, *named.values())
            return function(value, *args, **named)

        return call

    language = Language(undefined=StrictUndefined, keep_trailing_newline=True, optimized=False)
    language.filters.update({name: bounded(language.filters[name]) for name in ("center", "indent", "round")})
    language.filters.update(fence=fence, json=_json, tojson=_json, head=_head, lines=str.splitlines, number=_number)
    return language


@cache
def prompt_language() -> Environment:
    """The same for prompts: a line that holds only a statement leaves no trace."""
    return script_language().overlay(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False)


def render(template: Template, inputs: Mapping[str, object]) -> str:
    """The text, of bounded length.

    Raises:
        OverflowError: The text is too long. Whatever an expression raises passes, too.
    """
    pieces: list[str] = []
    length = 0
    for piece in template.generate(inputs):
        length += len(piece)
        if length > _LARGEST or len(pieces) >= _LARGEST:
            raise OverflowError(f"the text has more than {_LARGEST} characters")
        pieces.append(piece)
    return "".join(pieces)


def _check_widths(*values: object) -> None:
    if any(isinstance(each, int) and abs(each) > _WIDEST for each in values):
        raise OverflowError(f"a width above {_WIDEST}")


def _size(operator: str, left: object, right: object) -> int:
    if isinstance(left, int) and isinstance(right, int):
        if operator == "**":
            return left.bit_length() * abs(right)
        return left.bit_length() + right.bit_length()
    if operator == "+":
        return _length(left) + _length(right)
    pairs = ((left, right), (right, left))
    return max((_length(many) * times for many, times in pairs if isinstance(times, int)), default=0)


def _length(value: object) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def fence(text: str, label: str = "data") -> str:
    """Text from outside, between marks that do not occur in it, so that it cannot pose as instructions."""
    longest = max((len(run) for run in re.findall(r"~{3,}", text)), default=2)
    mark = "~" * (longest + 1)
    return f"{mark}{label}\n{text}\n{mark}"


def _json(value: object, indent: int | None = None) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None, default=str).decode()


def _head(value: str | Sequence[object], count: int = 10) -> str | Sequence[object]:
    """The first lines of a text, or the first items of a list."""
    return "\n".join(value.split("\n")[:count]) if isinstance(value, str) else value[:count]


def _number(value: object) -> int | float:
    """The first number in a text; whole numbers stay whole."""
    if isinstance(value, int | float):
        return value
    found = _NUMBER.search(str(value))
    if found is None:
        raise ValueError(f"no number in {str(value)[:40]!r}")
    text = found.group().replace(",", "").replace("_", "")
    return int(text) if text.lstrip("+-").isdigit() else float(text)
