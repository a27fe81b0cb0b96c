"""An orchestration as something that can be run: set-up, the planning loop, delivery."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aura_py.agent.contract import Description, Turn
from aura_py.agent.filters import ToolFilterCheck
from aura_py.agent.history import repaired
from aura_py.agent.loop import Conversation, LoopSpec
from aura_py.agent.reserved import reserved_names
from aura_py.config.models import LLM, AgentConfig
from aura_py.context import RunContext
from aura_py.events import Event, McpStatus, RunFinished, SessionInfo, TextDelta
from aura_py.ids import uuid7
from aura_py.llm.contract import CallInfo, ChatModel
from aura_py.mcp import McpAttachment, McpPool
from aura_py.messages import FinishReason, Usage
from aura_py.orchestration.coordinator_setup import create_coordinator
from aura_py.orchestration.deadline import run_alongside
from aura_py.orchestration.manifest import manifest_json
from aura_py.orchestration.naming import is_uuid7
from aura_py.orchestration.planning_loop import FinalAnswer, PlanningLoop
from aura_py.orchestration.prompt_journal import PromptJournal
from aura_py.orchestration.prompts import PromptLibrary
from aura_py.orchestration.run import OrchestrationRun
from aura_py.orchestration.run_directory import RunDirectory
from aura_py.orchestration.run_retention import SWEEP_INTERVAL_SECONDS, sweep_runs
from aura_py.orchestration.team import Team
from aura_py.storage import session_directory
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset

if TYPE_CHECKING:
    from aura_py.knowledge import KnowledgeBase

logger = logging.getLogger(__name__)

_PIECE = 50
"""Code points of one piece of an answer that was not streamed while it was written."""
_RESERVE_SECONDS = 5.0
_RESERVE_SHARE = 0.05
"""Work ends this long before the run's deadline, or this share of its time, so that there is an answer."""
_CLOSING_SECONDS = 1.0
_SWEEP_SECONDS = 2.0


class Orchestrator:
    """Runs one agent file with ``[orchestration] enabled = true``. Safe for concurrent runs.

    Args:
        prompt_journal: ``AURA_PROMPT_JOURNAL``.
        escape_hatch: ``AURA_ESCAPE_HATCH``.

    Raises:
        ConfigurationError: A prompt of the author's cannot be used.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        model_for: Callable[[LLM], ChatModel],
        mcp: McpPool,
        knowledge: Mapping[str, KnowledgeBase] | None = None,
        prompt_journal: bool = False,
        escape_hatch: bool = True,
    ) -> None:
        self._config = config
        self._prompt_journal, self._escape_hatch = prompt_journal, escape_hatch
        self._mcp = mcp
        self._prompts = PromptLibrary(config.orchestration.prompts)
        self._model = model_for(config.agent.llm)
        self._team = Team(config, self._model, model_for, knowledge or {})
        self._filters = ToolFilterCheck(config)
        self._swept: float | None = None

    def describe(self) -> Description:
        model = self._model
        return Description(
            self._config.id,
            model.provider,
            model.model,
            model.context_window,
            orchestrated=True,
            images=model.capabilities.images,
        )

    async def run(self, turn: Turn, context: RunContext) -> AsyncGenerator[list[Event], None]:
        """See :class:`~aura_py.agent.contract.Runnable`."""
        model = self._model
        yield [SessionInfo(f"{model.provider}/{model.model}", model.context_window)]
        if turn.side:
            async with aclosing(self._side_request(turn, context)) as events:
                async for batch in events:
                    yield batch
            return
        if turn.client_tools:
            logger.warning("agent `%s` is an orchestration: the request's own tools are left out", self._config.id)
        answer, usage = await self._orchestrate(turn, context)
        if not answer.streamed:
            for start in range(0, len(answer.text), _PIECE):
                yield [TextDelta(answer.text[start : start + _PIECE])]
        reason: FinishReason = "length" if answer.cut else "stop"
        yield [RunFinished(reason, usage, usage, answer=answer.text)]

    async def _side_request(self, turn: Turn, context: RunContext) -> AsyncGenerator[list[Event], None]:
        """A chat UI's side request: one call of the coordinator's model, without tools and plans."""
        conversation = Conversation(
            LoopSpec(
                model=self._model,
                system="",
                runner=ToolRunner(Toolset()),
                turn_depth=-1,
                info=CallInfo("side", self._config.agent.name),
                sampling=turn.sampling,
            ),
            repaired(turn.messages),
            context,
        )
        async with aclosing(conversation.run()) as events:
            async for batch in events:
                yield batch
        result = conversation.result
        yield [RunFinished(result.finish_reason, result.usage, result.usage, answer=result.answer)]

    async def _orchestrate(self, turn: Turn, context: RunContext) -> tuple[FinalAnswer, Usage]:
        mcp = self._config.mcp
        if not mcp.servers:
            return await self._with_tools(turn, context, None)
        attachment = await self._mcp.attach(
            mcp.servers, headers=context.headers, sanitize=mcp.sanitize_schemas, reserved=reserved_names(self._config)
        )
        try:
            if attachment.statuses:
                context.emit(McpStatus(attachment.statuses))
            self._filters.check(attachment)
            return await self._with_tools(turn, context, attachment)
        finally:
            await attachment.release()

    async def _with_tools(
        self, turn: Turn, context: RunContext, attachment: McpAttachment | None
    ) -> tuple[FinalAnswer, Usage]:
        run = await self._open(turn, context, attachment)
        files = run.files
        try:
            await self._sweep(context)
            await run.journal.open(run.run_id, run.orchestrator_id, run.started_at)
            coordinator = await create_coordinator(run, self._model, turn.messages, escape_hatch=self._escape_hatch)
            loop = PlanningLoop(run, coordinator, turn.messages)
            # the lock is touched while the run goes on, so that other processes do not remove its directory
            answer = await run_alongside(files.keep_alive, loop.run) if files.enabled else await loop.run()
            return answer, run.usage
        except asyncio.CancelledError:
            run.cancelled = True
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSING_SECONDS):
                await files.write("manifest.json", manifest_json(run))
            raise
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSING_SECONDS):
                await files.close()

    async def _open(self, turn: Turn, context: RunContext, attachment: McpAttachment | None) -> OrchestrationRun:
        config, memory_dir = self._config, self._config.memory_dir
        settings = config.orchestration.artifacts
        run_id = context.run_id if is_uuid7(context.run_id) else uuid7()
        session = None
        if memory_dir is not None:
            session = session_directory(memory_dir, owner=context.owner, agent=config.id, session=context.session_id)
        files = await RunDirectory.open(
            session,
            run_id,
            keep=settings.max_session_runs,
            emit=context.emit,
            timeout=settings.persistence_drain_timeout_ms / 1000,
        )
        total = context.limits.total
        reserve = 0.0 if total is None else min(_RESERVE_SECONDS, total * _RESERVE_SHARE)
        return OrchestrationRun(
            config=config,
            context=context,
            run_id=run_id,
            orchestrator_id=str(uuid.uuid4()),
            query=turn.query,
            team=self._team,
            prompts=self._prompts,
            files=files,
            journal=PromptJournal(files, active=self._prompt_journal),
            started_at=context.clock.now(),
            attachment=attachment,
            stop_at=None if context.deadline is None else context.deadline - reserve,
        )

    async def _sweep(self, context: RunContext) -> None:
        """Age and size limits of the memory dir, at the first run and hourly after it."""
        settings, memory_dir = self._config.orchestration.artifacts, self._config.memory_dir
        now = context.clock.monotonic()
        if memory_dir is None or not (settings.max_memory_mb or settings.max_age_days):
            return
        if self._swept is not None and now - self._swept < SWEEP_INTERVAL_SECONDS:
            return
        self._swept = now
        sweep = partial(
            sweep_runs,
            memory_dir,
            self._config.id,
            max_memory_mb=settings.max_memory_mb,
            max_age_days=settings.max_age_days,
        )
        with anyio.move_on_after(_SWEEP_SECONDS):
            await anyio.to_thread.run_sync(sweep, abandon_on_cancel=True)
