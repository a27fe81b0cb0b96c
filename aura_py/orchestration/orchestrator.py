"""An orchestration as something that can be run: set-up, the cycle, delivery (``orchestration.md`` §3, §20)."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from aura_py.agent.contract import Description, Turn
from aura_py.agent.filters import ToolFilterCheck
from aura_py.agent.history import repaired
from aura_py.agent.loop import Conversation, LoopSpec
from aura_py.agent.prompt import system_prompt
from aura_py.agent.reserved import reserved_names
from aura_py.config.models import LLM, AgentConfig
from aura_py.context import RunContext
from aura_py.events import Event, McpStatus, ModelCallCompleted, RunFinished, SessionInfo, TextDelta
from aura_py.ids import uuid7
from aura_py.llm.contract import CallInfo, ChatModel
from aura_py.mcp import McpAttachment, McpPool
from aura_py.messages import Message, Part, TextPart, Usage
from aura_py.orchestration.artifact_reader import ArtifactReader, token_limit
from aura_py.orchestration.coordinator import Coordinator
from aura_py.orchestration.cycle import Cycle, Ending
from aura_py.orchestration.deadline import run_alongside
from aura_py.orchestration.lookup_tools import inspect_tool_params, list_prior_runs, list_tools
from aura_py.orchestration.manifest import Manifest, RunRecord
from aura_py.orchestration.naming import is_uuid7
from aura_py.orchestration.prior_runs import MAX_LISTED, prior_runs, run_summary
from aura_py.orchestration.prompt_journal import PromptJournal
from aura_py.orchestration.prompts import PromptLibrary
from aura_py.orchestration.routing import ROUTING_TOOLS
from aura_py.orchestration.run import OrchestrationRun
from aura_py.orchestration.run_directory import RunDirectory
from aura_py.orchestration.run_retention import INTERVAL_SECONDS, sweep_runs
from aura_py.orchestration.team import Team
from aura_py.storage import session_directory
from aura_py.tokens import counter_for
from aura_py.tools.contract import Tool
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset

logger = logging.getLogger(__name__)

PIECE = 50
"""Code points of one piece of an answer that was not streamed while it was written."""
RESERVE_SECONDS = 5.0
RESERVE_SHARE = 0.05
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
        prompt_journal: bool = False,
        escape_hatch: bool = True,
    ) -> None:
        self._config = config
        self._prompt_journal, self._escape_hatch = prompt_journal, escape_hatch
        self._mcp = mcp
        self._prompts = PromptLibrary(config.orchestration.prompts)
        self._model = model_for(config.agent.llm)
        self._team = Team(config, self._model, model_for)
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
            async with aclosing(self._aside(turn, context)) as events:
                async for batch in events:
                    yield batch
            return
        if turn.client_tools:
            logger.warning("agent `%s` is an orchestration: the request's own tools are left out", self._config.id)
        ending = await self._orchestrate(turn, context)
        if not ending.streamed:
            for start in range(0, len(ending.text), PIECE):
                yield [TextDelta(ending.text[start : start + PIECE])]
        yield [
            RunFinished(
                finish_reason="length" if ending.cut else "stop",
                usage=ending.usage,
                context_usage=ending.usage,
                answer=ending.text,
            )
        ]

    async def _aside(self, turn: Turn, context: RunContext) -> AsyncGenerator[list[Event], None]:
        """A chat UI's side request: one call of the coordinator's model, without tools and plans."""
        conversation = Conversation(
            LoopSpec(
                model=self._model,
                system="",
                runner=ToolRunner(Toolset()),
                turn_depth=0,
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

    async def _orchestrate(self, turn: Turn, context: RunContext) -> Ending:
        usage = _UsageSum(context.emit)
        context = replace(context, emit=usage.emit)
        attachment = await self._attach(context)
        try:
            if attachment is not None and attachment.statuses:
                context.emit(McpStatus(attachment.statuses))
            self._filters.check(attachment)
            return await self._with_files(turn, context, attachment, usage)
        finally:
            if attachment is not None:
                await attachment.release()

    async def _with_files(
        self, turn: Turn, context: RunContext, attachment: McpAttachment | None, usage: _UsageSum
    ) -> Ending:
        settings = self._config.orchestration.artifacts
        run_id = context.run_id if is_uuid7(context.run_id) else uuid7()
        files = await RunDirectory.open(
            self._session_directory(context),
            run_id,
            keep=settings.max_session_runs,
            emit=context.emit,
            patience=settings.persistence_drain_timeout_ms / 1000,
        )
        record = RunRecord(
            run_id=run_id,
            session_id=context.session_id,
            agent=self._config.id,
            owner=context.owner,
            query=turn.query,
            started_at=context.clock.now(),
        )
        run = self._new_run(context, attachment, files, record)
        try:
            await self._sweep(context)
            await run.journal.open(run_id, run.orchestrator_id, record.started_at)
            coordinator = await self._coordinator(run, turn, record)
            cycle = Cycle(run, coordinator, record, query=turn.query, attachments=_attachments(turn), usage=usage.total)
            return await run_alongside(files.keep_alive, cycle.run) if files.enabled else await cycle.run()
        except asyncio.CancelledError:
            record.cancelled = True
            await self._close(files, record, usage, context)
            raise
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSING_SECONDS):
                await files.close()

    async def _close(self, files: RunDirectory, record: RunRecord, usage: _UsageSum, context: RunContext) -> None:
        record.usage = usage.total()
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSING_SECONDS):
            await files.write_json("manifest.json", record.to_json(context.clock.now()))

    def _session_directory(self, context: RunContext) -> Path | None:
        memory_dir = self._config.memory_dir
        if memory_dir is None:
            return None
        return session_directory(memory_dir, owner=context.owner, agent=self._config.id, session=context.session_id)

    async def _sweep(self, context: RunContext) -> None:
        """Age and size limits of the memory dir, at the first run and hourly after it."""
        settings, memory_dir = self._config.orchestration.artifacts, self._config.memory_dir
        limits = (settings.max_memory_mb, settings.max_age_days)
        now = context.clock.monotonic()
        if memory_dir is None or not any(limits) or (self._swept is not None and now - self._swept < INTERVAL_SECONDS):
            return
        self._swept = now
        sweep = partial(sweep_runs, memory_dir, self._config.id, max_memory_mb=limits[0], max_age_days=limits[1])
        with anyio.move_on_after(_SWEEP_SECONDS):
            await anyio.to_thread.run_sync(sweep, abandon_on_cancel=True)

    # --- putting a run together ------------------------------------------------------------------------------------

    async def _attach(self, context: RunContext) -> McpAttachment | None:
        mcp = self._config.mcp
        if not mcp.servers:
            return None
        return await self._mcp.attach(
            mcp.servers, headers=context.headers, sanitize=mcp.sanitize_schemas, reserved=reserved_names(self._config)
        )

    def _new_run(
        self, context: RunContext, attachment: McpAttachment | None, files: RunDirectory, record: RunRecord
    ) -> OrchestrationRun:
        reserve = 0.0 if context.limits.total is None else min(RESERVE_SECONDS, context.limits.total * RESERVE_SHARE)
        return OrchestrationRun(
            config=self._config,
            context=context,
            orchestrator_id=str(uuid.uuid4()),
            team=self._team,
            prompts=self._prompts,
            files=files,
            journal=PromptJournal(files, active=self._prompt_journal),
            traces=record.traces,
            attachment=attachment,
            stop_at=None if context.deadline is None else context.deadline - reserve,
        )

    async def _coordinator(self, run: OrchestrationRun, turn: Turn, record: RunRecord) -> Coordinator:
        settings, files = self._config.orchestration, run.files

        async def earlier(limit: int) -> Sequence[Manifest]:
            session = files.session
            if session is None or not files.enabled:
                return ()
            return await files.read(lambda: prior_runs(session, record.run_id, limit)) or ()

        tools: list[Tool] = []
        if settings.tools_in_planning == "none":
            reachable = run.team.reachable(run.mcp_tools)
            tools += [list_tools(reachable), inspect_tool_params(reachable)]
        reader = ArtifactReader(
            files,
            counter=counter_for(self._model.provider, self._model.model),
            cap=token_limit(self._model.context_window),
        )
        tools.append(reader.tool())
        has_history = files.enabled and bool(run.context.session_id)
        if has_history:
            tools.append(list_prior_runs(lambda: earlier(MAX_LISTED)))
        history = await earlier(settings.artifacts.session_history_turns) if has_history else ()
        return Coordinator(
            run,
            self._model,
            system=self._system(tools, history, recon=settings.tools_in_planning == "none"),
            history=_before_query(repaired(turn.messages)),
            tools=tools,
        )

    def _system(self, tools: Sequence[Tool], history: Sequence[Manifest], *, recon: bool) -> str:
        agent = self._config.agent
        names = [tool.name for tool in tools]
        inventory = [{"title": "Routing, one per decision", "names": list(ROUTING_TOOLS)}]
        if recon:
            inventory.append({"title": "Tools of the workers", "names": names[:2]})
        inventory.append({"title": "Results and earlier runs", "names": names[2:] if recon else names})
        text = self._prompts.render(
            "coordinator",
            custom_instructions=system_prompt(agent.system_prompt, agent.context),
            inventory=inventory,
            recon=recon,
            history_tool="list_prior_runs" in names,
            escape_hatch=self._escape_hatch,
        )
        if not history:
            return text
        runs = [
            {"timestamp": m.timestamp.isoformat(timespec="seconds"), "status": m.status, "text": run_summary(m)}
            for m in reversed(history)
        ]
        return system_prompt(text, (), [self._prompts.render("history", runs=runs, count=len(runs))])


class _UsageSum:
    """Adds up what the model calls of a run cost, for its manifest."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._calls: list[ModelCallCompleted] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, ModelCallCompleted):
            self._calls.append(event)
        self._emit(event)

    def total(self) -> Usage:
        return sum((call.usage for call in self._calls), Usage())


def _before_query(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation without the message that is asked now."""
    last = max((i for i, message in enumerate(messages) if message.role == "user"), default=None)
    return tuple(messages) if last is None else (*messages[:last], *messages[last + 1 :])


def _attachments(turn: Turn) -> tuple[Part, ...]:
    asked = next((message for message in reversed(turn.messages) if message.role == "user"), None)
    return () if asked is None else tuple(part for part in asked.content if not isinstance(part, TextPart))
