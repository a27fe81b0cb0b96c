"""The tools of one agent in one run, in a fixed order."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

from aura_py.globs import Glob
from aura_py.tools.contract import Tool

logger = logging.getLogger(__name__)


class Toolset:
    """Tools by public name, in the order given, so that prompts stay cacheable.

    Of two tools with one name the first wins; the other is left out with a warning that names both sources.
    """

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            first = self._tools.setdefault(tool.name, tool)
            if first is not tool:
                logger.warning(
                    "tool `%s` of %s is left out: %s already offers that name",
                    tool.name,
                    _origin(tool),
                    _origin(first),
                )

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)


def filter_tools(tools: Iterable[Tool], patterns: Sequence[str] | None) -> tuple[Tool, ...]:
    """Return the tools whose public name matches a pattern: ``None`` permits all, an empty list none."""
    if patterns is None:
        return tuple(tools)
    globs = [Glob(pattern) for pattern in patterns]
    return tuple(tool for tool in tools if any(glob.matches(tool.name) for glob in globs))


def unmatched_patterns(tools: Iterable[Tool], patterns: Sequence[str] | None) -> tuple[str, ...]:
    """The patterns that match no tool at all."""
    names = [tool.name for tool in tools]
    return tuple(p for p in patterns or () if not any(Glob(p).matches(name) for name in names))


def _origin(tool: Tool) -> str:
    return f"server `{tool.source}`" if tool.source else f"the built-in {tool.kind} tools"
