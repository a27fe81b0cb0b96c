"""From which size on a tool's output is parked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from aura_py.config.models import McpServer, ScratchpadThreshold
from aura_py.globs import any_match
from aura_py.tools.contract import Tool

_log = logging.getLogger(__name__)


def thresholds(servers: Mapping[str, McpServer], tools: Iterable[Tool]) -> Mapping[str, int]:
    """``min_tokens`` per public tool name; tools that no pattern of their own server names are absent.

    ``tools`` are the MCP tools that pass the agent's filter. When the result is empty the scratchpad stays inactive.
    """
    found: dict[str, int] = {}
    for tool in tools:
        server = servers.get(tool.source)
        if tool.kind != "mcp" or server is None:
            continue
        threshold = _threshold(server.scratchpad, tool.name, tool.native_name)
        if threshold is None:
            continue
        earlier = found.get(tool.name)
        if earlier is not None and earlier != threshold:
            _log.warning(
                "tool `%s` has the scratchpad thresholds %d and %d on different servers; the smaller one is used",
                tool.name,
                earlier,
                threshold,
            )
        found[tool.name] = threshold if earlier is None else min(earlier, threshold)
    return found


def _threshold(patterns: Mapping[str, ScratchpadThreshold], *names: str) -> int | None:
    matching = [
        (-len(pattern.encode()), entry.min_tokens)
        for pattern, entry in patterns.items()
        if any(any_match((pattern,), name) for name in names)
    ]
    return min(matching)[1] if matching else None
