"""What belongs to the process, not to a run: the engine, pooled MCP connections, model clients."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread

from aura_py.agent.agent import Agent
from aura_py.agent.contract import Runnable
from aura_py.config.models import LLM, AgentConfig, McpServer, QdrantStore, StdioServer
from aura_py.config.settings import ServerSettings
from aura_py.context import RunLimits
from aura_py.errors import ConfigurationError
from aura_py.llm import build_model, preload
from aura_py.llm.contract import ChatModel
from aura_py.mcp import McpPool
from aura_py.run.engine import Engine
from aura_py.storage import agent_directories
from aura_py.tools.contract import Tool
from aura_py.tools.toolset import filter_tools

if TYPE_CHECKING:
    from aura_py.knowledge import KnowledgeBase, KnowledgePool

logger = logging.getLogger(__name__)

_MANY_TOOLS = 128


class Services:
    """Process-wide services; an async context manager that gives everything back when it is left."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.engine = Engine()
        self.mcp = McpPool()
        self._knowledge: KnowledgePool | None = None
        self._models: dict[int, list[ChatModel]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.mcp)
        self._stack.push_async_callback(self._close_all)
        await self._stack.enter_async_context(self.engine)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

    def build(self, config: AgentConfig) -> Runnable:
        """The agent or the orchestration that ``config`` declares."""
        models = self._models.setdefault(id(config), [])

        def model(llm: LLM) -> ChatModel:
            built = build_model(llm, agent=config.id)
            models.append(built)
            return built

        stores = self._stores(config)
        if config.orchestrated:
            from aura_py.orchestration import Orchestrator  # imported when the first orchestration is built

            return Orchestrator(
                config,
                model_for=model,
                mcp=self.mcp,
                knowledge=stores,
                prompt_journal=self.settings.prompt_journal,
                escape_hatch=self.settings.escape_hatch,
            )
        return Agent(config, model=model(config.agent.llm), mcp=self.mcp, knowledge=stores)

    @property
    def knowledge(self) -> KnowledgePool | None:
        """The vector stores; ``None`` while no agent has one."""
        return self._knowledge

    def _stores(self, config: AgentConfig) -> dict[str, KnowledgeBase]:
        if not config.vector_stores:
            return {}
        for store in config.vector_stores:
            if self.settings.workers > 1 and isinstance(store, QdrantStore) and store.path is not None:
                raise ConfigurationError(
                    f"agent `{config.id}`: the embedded vector store `{store.name}` belongs to one process; serve with"
                    " one worker, or use a Qdrant server (`url`)"
                )
        from aura_py.knowledge import KnowledgePool  # only agents with a store pay for its import

        if self._knowledge is None:
            self._knowledge = KnowledgePool()
        return self._knowledge.stores(config)

    async def keep_indexed(self, configs: Sequence[AgentConfig]) -> None:
        """Fills the vector stores of agents from their sources, while they are served and until they are retired."""
        if self._knowledge is None:
            return
        async with anyio.create_task_group() as tasks:
            for config in configs:
                tasks.start_soon(self._knowledge.keep_indexed, config)

    async def warm(self, configs: Sequence[AgentConfig]) -> None:
        """Does in the background, once the port is bound, what the first request would wait for.

        Imports the SDKs in use, connects the MCP servers that need no caller's header, and removes scratchpad files
        past their age. Whatever fails is logged and tried again when a request needs it.
        """
        await anyio.to_thread.run_sync(_preload, configs)
        for config in configs:
            await self._sweep(config)
        async with anyio.create_task_group() as tasks:
            for config in configs:
                tasks.start_soon(self._connect, config)

    async def retire(self, configs: Sequence[AgentConfig]) -> None:
        """Closes the models of agents that a reload has replaced, when the runs they have started are over."""
        for run in self.engine.live:
            await run.closed()
        for config in configs:
            await self._close(self._models.pop(id(config), []))
            if self._knowledge is not None and config.vector_stores:
                await self._knowledge.release(config)

    def forget(self, configs: Sequence[AgentConfig]) -> None:
        """Drops the models of agents that were built and never served; such models hold nothing open."""
        for config in configs:
            self._models.pop(id(config), None)
            if self._knowledge is not None:
                self._knowledge.forget(config)

    async def _connect(self, config: AgentConfig) -> None:
        servers = {name: server.model_copy(update={"required": False}) for name, server in _callerless(config)}
        offered = any(patterns is None or patterns for patterns in _tool_filters(config).values())
        if servers and offered:  # servers whose every tool is filtered out wait until something needs them
            attachment = await self.mcp.attach(servers, headers={}, sanitize=config.mcp.sanitize_schemas)
            _warn_of_many_tools(config, attachment.tools)
            await attachment.release()

    async def failed_servers(self, configs: Sequence[AgentConfig], *, seconds: float) -> list[tuple[str, McpServer]]:
        """The MCP servers that cannot be reached now, of those that need no caller's header, with their names.

        A server is tried again where one must be there or the last attempt failed, with the usual back-off; one that
        does not answer within ``seconds`` counts as failed. Servers that nobody has needed yet are no failures.
        """
        failed: list[tuple[str, McpServer]] = []

        async def look(name: str, server: McpServer) -> None:
            reached = False
            with anyio.move_on_after(seconds):
                reached = await self.mcp.reachable(name, server)
            if not reached:
                failed.append((name, server))

        async with anyio.create_task_group() as tasks:
            for config in configs:
                for name, server in _callerless(config):
                    if server.enabled:
                        tasks.start_soon(look, name, server)
        return failed

    async def _sweep(self, config: AgentConfig) -> None:
        settings = config.agent.scratchpad
        if settings.enabled and config.memory_dir is not None:
            from aura_py.scratchpad import sweep

            for directory in await anyio.to_thread.run_sync(agent_directories, config.memory_dir, config.id):
                await anyio.to_thread.run_sync(sweep, directory, settings, datetime.now(UTC))

    def limits(self) -> RunLimits:
        """The server's timers; 0 is no limit."""
        settings = self.settings
        return RunLimits(
            total=settings.streaming_timeout_secs or None,
            first_chunk=settings.first_chunk_timeout_secs or None,
            inactivity=settings.stream_inactivity_timeout_secs or None,
        )

    async def _close_all(self) -> None:
        for models in self._models.values():
            await self._close(models)
        if self._knowledge is not None:
            await self._knowledge.close()

    async def _close(self, models: Sequence[ChatModel]) -> None:
        for model in models:
            try:
                await model.aclose()
            except Exception:
                logger.exception("a client of `%s/%s` did not close cleanly", model.provider, model.model)


def _callerless(config: AgentConfig) -> list[tuple[str, McpServer]]:
    """The agent's servers that can be connected without a request."""
    servers = config.mcp.servers.items()
    return [(name, each) for name, each in servers if isinstance(each, StdioServer) or not each.headers_from_request]


def _tool_filters(config: AgentConfig) -> dict[str, Sequence[str] | None]:
    """Which tools of MCP servers whom is offered."""
    own = config.agent.mcp_filter
    if not config.orchestrated:
        return {f"agent `{config.id}`": own}
    return {
        f"worker `{name}` of agent `{config.id}`": own if worker.mcp_filter is None else worker.mcp_filter
        for name, worker in config.orchestration.worker.items()
    }


def _warn_of_many_tools(config: AgentConfig, tools: Sequence[Tool]) -> None:
    """OpenAI and those who follow it refuse a request with more tools, and long before that models choose badly."""
    for who, patterns in _tool_filters(config).items():
        count = len(filter_tools(tools, patterns))
        if count > _MANY_TOOLS:
            logger.warning(
                "%s offers %d tools of MCP servers; many providers refuse more than %d: narrow `mcp_filter`",
                who,
                count,
                _MANY_TOOLS,
            )


def _preload(configs: Sequence[AgentConfig]) -> None:
    if any(config.agent.scratchpad.enabled for config in configs):
        import_module("aura_py.scratchpad")
    for config in configs:
        workers = config.orchestration.worker.values() if config.orchestrated else ()
        for llm in (config.agent.llm, *(worker.llm for worker in workers if worker.llm is not None)):
            try:
                preload(llm)
            except ImportError as error:
                logger.error(
                    "agent `%s`: the SDK of provider `%s` cannot be imported: %s", config.id, llm.provider, error
                )
