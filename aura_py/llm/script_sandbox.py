"""What rendering a script's template may cost. Work and sizes are counted, so that no template can hang a run.

Counted instead of timed: a template that is rendered today is rendered on a slower machine tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sized
from contextvars import ContextVar
from functools import wraps
from itertools import islice
from types import BuiltinMethodType
from typing import Final

from jinja2 import StrictUndefined, Undefined, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import _PassArg
from jinja2.visitor import NodeTransformer

MAX_STEPS: Final = 100_000
"""Loop rounds, calls, filters and operations of one rendering; long texts count more than once."""
MAX_SIZE: Final = 1_000_000
"""Characters of a text, items of a list."""
_MAX_BITS: Final = 4096
"""Size of a whole number."""
_MAX_WIDTH: Final = 10_000
"""What may be asked for as a width, a count or a precision."""
_CHARACTERS_A_STEP: Final = 64
_WIDE: Final = re.compile(r"\d{5}|\{[^{}]*[:!][^{}]*\{|%[-+ #0]*\*|\.\*")
_STEPS, _JOINED = "round of a loop", "joined texts"
"""Filters put in by the environment; no template can spell them."""

_spent: ContextVar[list[int]] = ContextVar("spent")


class TooMuchWork(Exception):
    """A template asks for more than one rendering may cost."""


class ScriptEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2, sandboxed and strict, with every loop, call, filter and operator counted and nothing computed early."""

    intercepted_binops = frozenset({"+", "*", "%", "**"})

    def __init__(self, filters: Mapping[str, Callable[..., object]]) -> None:
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, optimized=False, finalize=pass_context(_written)
        )
        del self.globals["lipsum"]
        every = {**self.filters, **filters}
        self.filters = {name: _counted(name, function) for name, function in every.items()}
        self.filters[_STEPS] = pass_context(_rounds)
        self.filters[_JOINED] = pass_context(_concatenated)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _Counting().visit(tree)
        tree.set_environment(self)
        return tree

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        _spend(left, right)
        _check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: object, *args: object, **kwargs: object) -> object:  # noqa: N805
        given = (*args, *kwargs.values())
        _spend(*given)
        if isinstance(__obj, BuiltinMethodType):
            _check_sizes(__obj.__name__, __obj.__self__, given)
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: object) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            _check_format(str(getattr(value, "__self__", "")))
        return wrapped


def new_allowance() -> None:
    """Starts a rendering: what was counted before is forgotten."""
    _spent.set([0])


class _Counting(NodeTransformer):
    """Puts the counting into loops and into `~`, which the sandbox does not intercept."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, _STEPS, [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, _JOINED, [], [], None, None, lineno=node.lineno)


def _counted(name: str, function: Callable[..., object]) -> Callable[..., object]:
    passes = _PassArg.from_obj(function)

    @pass_context
    @wraps(function)
    def counted(context: Context, value: object, *args: object, **kwargs: object) -> object:
        given = (*args, *kwargs.values())
        _spend(value, *given)
        _check_sizes(name, value, given)
        first: tuple[object, ...] = ()
        if passes is _PassArg.context:
            first = (context,)
        elif passes is _PassArg.eval_context:
            first = (context.eval_ctx,)
        elif passes is _PassArg.environment:
            first = (context.environment,)
        return function(*first, value, *args, **kwargs)

    return counted


def _rounds(_context: Context, items: object) -> object:
    """What a loop goes over, its length counted; something without a length becomes a list."""
    if isinstance(items, Sized):
        _spend_steps(len(items))
        return items
    if not isinstance(items, Iterable):
        return items
    held = list(islice(items, MAX_STEPS + 1))
    _spend_steps(len(held))
    return held


def _concatenated(_context: Context, parts: list[object]) -> str:
    texts = [str(part) for part in parts]
    _spend(*texts)
    _bound(sum(map(len, texts)))
    return "".join(texts)


def _written(_context: Context, value: object) -> object:
    _spend(value)
    return value


def _check_operation(operator: str, left: object, right: object) -> None:
    if operator == "%" and isinstance(left, str):
        _check_format(left)
    elif operator == "+" and isinstance(left, Sized) and isinstance(right, Sized):
        _bound(len(left) + len(right))
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        _bound_number(left.bit_length() * abs(right))
    elif operator == "*" and isinstance(left, int) and isinstance(right, int):
        _bound_number(left.bit_length() + right.bit_length())
    elif operator == "*":
        for many, times in ((left, right), (right, left)):
            if isinstance(many, Sized) and isinstance(times, int):
                _bound(len(many) * times)


def _check_sizes(name: str, value: object, given: tuple[object, ...]) -> None:
    """A text or list that a method or filter is about to make out of its arguments."""
    if isinstance(value, Undefined):
        return
    if name in _WIDTHS and any(isinstance(each, int) and abs(each) > _MAX_WIDTH for each in given):
        raise TooMuchWork(f"`{name}` with a number above {_MAX_WIDTH}")
    if name == "format":
        _check_format(str(value))
    if name == "replace" and isinstance(value, Sized):
        _bound(len(value) * max([1, *(len(each) for each in given[1:2] if isinstance(each, Sized))]))
    if name == "join":
        glue, items = (value, given[0]) if isinstance(value, str) and given else (next(iter(given), ""), value)
        if isinstance(items, Sized):
            _bound(len(items) * (len(glue) if isinstance(glue, str) else 0))
        if isinstance(items, list | tuple):
            _bound(sum(len(each) for each in items if isinstance(each, str)))


_WIDTHS: Final = frozenset({"batch", "center", "expandtabs", "indent", "ljust", "rjust"}) | frozenset(
    {"round", "slice", "to_bytes", "truncate", "wordwrap", "zfill"}
)


def _check_format(text: str) -> None:
    if _WIDE.search(text):
        raise TooMuchWork("a format with a width of five digits or a computed one")


def _bound(size: int) -> None:
    if size > MAX_SIZE:
        raise TooMuchWork(f"a text or list of more than {MAX_SIZE} characters or items")


def _bound_number(bits: int) -> None:
    if bits > _MAX_BITS:
        raise TooMuchWork(f"a whole number of more than {_MAX_BITS} bits")


def _spend(*values: object) -> None:
    sizes = (len(each) for each in values if isinstance(each, str | bytes | list | tuple | dict))
    _spend_steps(1 + sum(size // _CHARACTERS_A_STEP for size in sizes))


def _spend_steps(steps: int) -> None:
    spent = _spent.get()
    spent[0] += steps
    if spent[0] > MAX_STEPS:
        raise TooMuchWork(f"more than {MAX_STEPS} steps")
