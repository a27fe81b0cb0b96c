"""What belongs to the process, not to a run: the engine, pooled MCP connections, model clients."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from aura_py.agent.agent import Agent
from aura_py.agent.contract import Runnable
from aura_py.config.models import LLM, AgentConfig
from aura_py.config.settings import ServerSettings
from aura_py.context import RunLimits
from aura_py.llm import build_model
from aura_py.llm.contract import ChatModel
from aura_py.mcp import McpPool
from aura_py.run.engine import Engine

logger = logging.getLogger(__name__)


class Services:
    """Process-wide services; an async context manager that gives everything back when it is left."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.engine = Engine()
        self.mcp = McpPool()
        self._models: list[ChatModel] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.mcp)
        self._stack.push_async_callback(self._close_models)
        await self._stack.enter_async_context(self.engine)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

    def build(self, config: AgentConfig) -> Runnable:
        """The agent or the orchestration that ``config`` declares."""
        if config.orchestrated:
            from aura_py.orchestration import Orchestrator  # imported when the first orchestration is built

            return Orchestrator(
                config,
                model_for=lambda llm: self.model(llm, agent=config.id),
                mcp=self.mcp,
                prompt_journal=self.settings.prompt_journal,
                escape_hatch=self.settings.escape_hatch,
            )
        return Agent(config, model=self.model(config.agent.llm, agent=config.id), mcp=self.mcp)

    def model(self, llm: LLM, *, agent: str) -> ChatModel:
        """A model of this process; closed with the services."""
        model = build_model(llm, agent=agent)
        self._models.append(model)
        return model

    def limits(self) -> RunLimits:
        """The server's timers; 0 is no limit (``http-api.md`` §13, B1)."""
        settings = self.settings
        return RunLimits(
            total=settings.streaming_timeout_secs or None,
            first_chunk=settings.first_chunk_timeout_secs or None,
            inactivity=settings.stream_inactivity_timeout_secs or None,
        )

    async def _close_models(self) -> None:
        for model in self._models:
            try:
                await model.aclose()
            except Exception:
                logger.exception("a client of `%s/%s` did not close cleanly", model.provider, model.model)
