"""Whether a value is what an SDK's own type hints say; SDKs themselves do not check what they send."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from pydantic import BaseModel
from typing_extensions import get_type_hints, is_typeddict

_FAR = 9
"""A value of another kind is further from a member of a union than one with a wrong detail."""
_REQUIRED: Any = Required


def misfits(value: Any, kind: Any, path: str = "") -> list[str]:
    """The places of ``value`` that ``kind`` does not know; of a union, what is wrong with the nearest member."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Annotated, Required, NotRequired):
        return misfits(value, args[0], path)
    if origin in (Union, types.UnionType):
        return min((misfits(value, member, path) for member in args), key=len)
    if kind is Any or kind is object:
        return []
    if kind is None or kind is type(None):
        return [] if value is None else [f"{path}: is not null"]
    if origin is Literal:
        return [] if value in args else [f"{path}: {value!r} is none of {args}"] * 2
    if is_typeddict(kind):
        return _object(value, kind, path)
    if origin in (dict, Mapping) or kind is dict:
        if not isinstance(value, Mapping):
            return [f"{path}: is no object"] * _FAR
        return [
            each for name, inner in value.items() for each in misfits(inner, (*args, Any, Any)[1], f"{path}.{name}")
        ]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Iterable):
        if not isinstance(value, Sequence) or isinstance(value, str):
            return [f"{path}: is no array"] * _FAR
        return [each for index, inner in enumerate(value) for each in misfits(inner, args[0], f"{path}[{index}]")]
    if getattr(kind, "__name__", "") == "SequenceNotStr":
        return misfits(value, Sequence[str], path)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [f"{path}: would be an object of the SDK"] * _FAR
    if origin is not None:
        return [] if isinstance(value, origin) else [f"{path}: is no {kind}"] * _FAR
    if kind is float:
        kind = (int, float)
    return [] if isinstance(value, kind) and not (kind is int and value is True) else [f"{path}: is no {kind}"] * _FAR


def _object(value: Any, kind: Any, path: str) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{path}: is no object"] * _FAR
    hints = get_type_hints(kind, include_extras=True)
    unknown = [f"{path}.{name}: is unknown" for name in value if name not in hints]
    missing = [
        f"{path}.{name}: is missing"
        for name, hint in hints.items()
        if get_origin(hint) is _REQUIRED and name not in value
    ]
    inner = (misfits(each, hints[name], f"{path}.{name}") for name, each in value.items() if name in hints)
    return [*unknown, *missing, *(each for found in inner for each in found)]
