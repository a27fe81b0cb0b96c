"""A warning about patterns in an agent file's tool filters that match no tool."""

from __future__ import annotations

import difflib
import logging

from aura_py.config.models import AgentConfig
from aura_py.mcp import McpAttachment
from aura_py.tools.toolset import unmatched_patterns

logger = logging.getLogger(__name__)


class ToolFilterCheck:
    """Warn once per agent, as soon as every server is connected."""

    def __init__(self, config: AgentConfig) -> None:
        self._id = config.id
        self._filters = {"agent.mcp_filter": config.agent.mcp_filter}
        if config.orchestrated:
            for name, worker in config.orchestration.worker.items():
                self._filters[f"orchestration.worker.{name}.mcp_filter"] = worker.mcp_filter
        self._done = not any(self._filters.values())

    def check(self, attachment: McpAttachment | None) -> None:
        if self._done or attachment is None:
            return
        if any(status.status != "connected" for status in attachment.statuses):
            return
        self._done = True
        names = [tool.name for tool in attachment.tools]
        for key, patterns in self._filters.items():
            for pattern in unmatched_patterns(attachment.tools, patterns):
                near = difflib.get_close_matches(pattern, names, n=3)
                hint = f"; did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
                logger.warning("WARN-FI01 agent `%s`: `%s` in `%s` matches no tool%s", self._id, pattern, key, hint)
