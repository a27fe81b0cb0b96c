"""Texts that came from the environment. They remember what the file says instead, which is all that is ever shown."""

from __future__ import annotations

Path = tuple[str | int, ...]
"""Steps from the root of a file to a value: keys and indexes."""


class EnvironmentText(str):
    """A string (part of) which came from the environment; ``source`` is what the file says instead."""

    __slots__ = ("source", "variables")
    source: str
    variables: tuple[str, ...]

    def __new__(cls, value: str, source: str, variables: tuple[str, ...]) -> EnvironmentText:
        made = super().__new__(cls, value)
        made.source = source
        made.variables = variables
        return made

    def __repr__(self) -> str:
        return repr(self.source)


class UnresolvedText(EnvironmentText):
    """A template that could not be resolved; the problem is reported already, so readers pass over it."""

    __slots__ = ()


def source_of(step: str | int) -> str | int:
    """A step as the file spells it."""
    return step.source if isinstance(step, EnvironmentText) else step
