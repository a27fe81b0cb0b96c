"""The top level of an agent file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from aura_py.config.models.agent import AgentSection
from aura_py.config.models.approvals import Hitl
from aura_py.config.models.knowledge import StoreList, VectorStore
from aura_py.config.models.mcp import Mcp
from aura_py.config.models.orchestration import Orchestration
from aura_py.config.models.tools import Tools
from aura_py.config.tables import Advice, Key, Section

_WORKERS = Advice("`[workers.*]` is not read", "the table is `[orchestration.worker.<name>]` (singular)")
_FOREIGN_SERVERS = Advice(
    "a table of MCP servers in another program's form",
    'write each server as `[mcp.servers.<name>]` with `transport = "stdio"`, `cmd = ["npx"]`, `args` and `env`, or with'
    ' `transport = "http_streamable"`, `url` and `headers`',
)
_DEPLOYMENT = "deployment settings are not part of an agent's file"
_VARIABLES = "use a command-line flag or an environment variable"


class AgentConfig(Section):
    """One agent of Aura."""

    misplaced: ClassVar = {
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
    }

    path: Path
    """The file as it was named when it was loaded."""
    memory_dir: Annotated[Path | None, Key("Directory for everything that Aura keeps for this agent.")] = None
    agent: Annotated[
        AgentSection,
        Key(
            "The agent.",
            example='`[agent]` with `name = "Helper"` and `system_prompt = "You are helpful."`',
            missing_code="CFG-A01",
            missing_message="`[agent]` is missing: a file declares exactly one agent",
        ),
    ]
    mcp: Annotated[Mcp, Key("Tool servers.")] = Mcp()
    vector_stores: Annotated[tuple[VectorStore, ...], StoreList(), Key("Stores to search.")] = ()
    tools: Annotated[Tools, Key("Built-in tools.")] = Tools()
    hitl: Annotated[Hitl | None, Key("Approval of tool calls by people.")] = None
    orchestration: Annotated[Orchestration, Key("Coordinator and workers.")] = Orchestration()

    @property
    def id(self) -> str:
        """The effective id: the alias, else the name."""
        return self.agent.alias or self.agent.name

    @property
    def orchestrated(self) -> bool:
        return self.orchestration.enabled
