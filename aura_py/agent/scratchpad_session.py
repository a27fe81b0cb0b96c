"""An open scratchpad with what the agent around it needs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import anyio.to_thread
import orjson

from aura_py.config.models import AgentConfig, ScratchpadSettings
from aura_py.context import RunContext
from aura_py.llm.contract import ChatModel, ToolSpec
from aura_py.messages import Message, Usage
from aura_py.storage import session_directory
from aura_py.tokens import counter_for
from aura_py.tools.contract import Middleware, Tool

if TYPE_CHECKING:
    from aura_py.scratchpad import Scratchpad

logger = logging.getLogger(__name__)


class ScratchpadSession:
    """The scratchpad of one run of an agent, or of one attempt of a worker."""

    def __init__(self, scratchpad: Scratchpad, turn_depth_bonus: int, count: Callable[[str], int]) -> None:
        self.tools: tuple[Tool, ...] = scratchpad.tools
        self.middleware: Middleware = scratchpad.middleware
        self.prompt = scratchpad.prompt
        self.turn_depth_bonus = turn_depth_bonus
        self.offer_artifact = scratchpad.offer_artifact
        self._scratchpad = scratchpad
        self._count = count

    @classmethod
    async def open(
        cls,
        settings: ScratchpadSettings,
        model: ChatModel,
        *,
        window: int,
        directory: Path,
        read_root: Path,
        limits: Mapping[str, int],
        prompt: str,
        tools: Iterable[Tool | ToolSpec],
    ) -> Self:
        """Makes the directory in a thread.

        Args:
            window: The model's context window.
            limits: From how many tokens on the output of each tool is parked.
            prompt: The system prompt without the scratchpad's section.
            tools: Everything that is sent with every model call.

        Raises:
            OSError: The directory cannot be made or used.
        """
        counter = counter_for(model.provider, model.model)
        baseline = [prompt, *(_schema(tool) for tool in tools)]

        def make() -> Scratchpad:
            from aura_py.scratchpad import Scratchpad

            return Scratchpad.open(
                settings,
                directory=directory,
                read_root=read_root,
                thresholds=limits,
                counter=counter,
                context_window=window,
                baseline=baseline,
            )

        return cls(await anyio.to_thread.run_sync(make), settings.turn_depth_bonus, counter.count)

    async def seed(self, texts: Iterable[str]) -> None:
        """Charges what is sent before the first turn: the query and the history."""
        sent = list(texts)
        tokens = await anyio.to_thread.run_sync(lambda: sum(self._count(text) for text in sent))
        self._scratchpad.budget.seed(tokens)

    async def also_sent(self, tools: Sequence[Tool]) -> None:
        """Counts tools that could be made only when this was open."""
        schemas = [_schema(tool) for tool in tools]
        await anyio.to_thread.run_sync(self._scratchpad.also_sent, schemas)

    def observe(self, usage: Usage, sent: Sequence[Message]) -> None:
        """Takes a turn's usage, and the conversation that the turn was called with."""
        self._scratchpad.observe_turn(usage, sent)

    def usage(self) -> tuple[int, int]:
        """Tokens intercepted and tokens extracted."""
        return self._scratchpad.usage()

    async def close(self) -> None:
        """Gives the directory back and lets retention decide about the files, cancelled or not."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._scratchpad.close)


async def open_agent_scratchpad(
    config: AgentConfig,
    model: ChatModel,
    tools: Sequence[Tool],
    prompt: str,
    extra: Iterable[ToolSpec],
    context: RunContext,
) -> ScratchpadSession | None:
    """``None`` when the scratchpad is off, or when nothing a single agent can reach would be parked.

    Args:
        tools: Everything the agent may call, MCP tools and built-in ones.
        prompt: The system prompt without the scratchpad's section.
        extra: Client tools, which are sent with every model call too.
    """
    settings, window = config.agent.scratchpad, model.context_window
    if not settings.enabled or config.memory_dir is None or window is None:
        return None
    from aura_py.scratchpad import run_scratchpad, thresholds  # only agents that use it pay for its import

    limits = thresholds(config.mcp.servers, tools)
    if not limits and settings.default_min_tokens is None:
        logger.info("agent `%s` can reach no tool with a scratchpad threshold; the scratchpad is off", config.id)
        return None
    session = session_directory(config.memory_dir, owner=context.owner, agent=config.id, session=context.session_id)
    directory = run_scratchpad(session, context.run_id)
    try:
        return await ScratchpadSession.open(
            settings,
            model,
            window=window,
            directory=directory,
            read_root=directory,
            limits=limits,
            prompt=prompt,
            tools=(*tools, *extra),
        )
    except OSError as error:
        logger.warning(
            "agent `%s` runs without its scratchpad: `%s` cannot be used (%s)", config.id, directory, error.strerror
        )
        return None


def _schema(tool: Tool | ToolSpec) -> str:
    return orjson.dumps({"name": tool.name, "description": tool.description, "input_schema": tool.parameters}).decode()
