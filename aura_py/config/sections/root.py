"""The top level of an agent file (``config.md`` §6)."""

from __future__ import annotations

from aura_py.config import models
from aura_py.config.sections.agent import AGENT
from aura_py.config.sections.approvals import HITL
from aura_py.config.sections.knowledge import VECTOR_STORES
from aura_py.config.sections.mcp import MCP
from aura_py.config.sections.orchestration import ORCHESTRATION
from aura_py.config.sections.tools import TOOLS
from aura_py.config.tables import Advice, Key, Shape
from aura_py.config.values import FilePath

_WORKERS = Advice("`[workers.*]` is not read", "the table is `[orchestration.worker.<name>]` (singular)")
_FOREIGN_SERVERS = Advice(
    "a table of MCP servers in another program's form",
    'write each server as `[mcp.servers.<name>]` with `transport = "stdio"`, `cmd = ["npx"]`, `args` and `env`, or with'
    ' `transport = "http_streamable"`, `url` and `headers`',
)
_DEPLOYMENT = "deployment settings are not part of an agent's file"
_VARIABLES = "use a command-line flag or an environment variable"

ROOT = Shape(
    models.AgentConfig,
    {
        "memory_dir": Key(FilePath(), "Directory for everything that Aura keeps for this agent."),
        "agent": Key(
            AGENT,
            "The agent.",
            True,
            '`[agent]` with `name = "Helper"` and `system_prompt = "You are helpful."`',
            "CFG-A01",
            "`[agent]` is missing: a file declares exactly one agent",
        ),
        "mcp": Key(MCP, "Tool servers."),
        "vector_stores": Key(VECTOR_STORES, "Stores to search."),
        "tools": Key(TOOLS, "Built-in tools."),
        "hitl": Key(HITL, "Approval of tool calls by people."),
        "orchestration": Key(ORCHESTRATION, "Coordinator and workers."),
    },
    "One agent of Aura.",
    misplaced={
        "llm": Advice(
            "this is the legacy top-level [llm] layout",
            "move it to [agent.llm] and [llm.additional_params] to [agent.llm.additional_params]; workers override the"
            " model in [orchestration.worker.<name>.llm]; if [agent.llm] exists already, delete the top-level one",
        ),
        "workers": _WORKERS,
        "worker": _WORKERS,
        "orchestrator": Advice(
            "`[orchestrator]` is not read", "use `[agent]` for the coordinator and `[orchestration]` for settings"
        ),
        "scratchpad": Advice("`[scratchpad]` does not stand at the top level", "move it to `[agent.scratchpad]`"),
        "skills": Advice("`[skills]` does not stand at the top level", "move it to `[agent.skills]`"),
        "llm_config": Advice("`[llm_config]` does not stand at the top level", "move it to `[agent.llm]`"),
        "vector_store": Advice("`[vector_store]` is not read", "use `[[vector_stores]]`"),
        "mcpServers": _FOREIGN_SERVERS,
        "servers": _FOREIGN_SERVERS,
        "mcp_servers": Advice("`[mcp_servers.*]` is not read", "rename it to `[mcp.servers.<name>]`"),
        "session_store": Advice(f"`[session_store]`: {_DEPLOYMENT}", _VARIABLES),
        "server": Advice(f"`[server]`: {_DEPLOYMENT}", _VARIABLES),
    },
)
