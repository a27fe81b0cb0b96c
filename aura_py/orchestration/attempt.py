"""One attempt of one worker at one task: an agent built anew and thrown away (``orchestration-workers.md`` §1, §4)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from aura_py.agent.duplicates import DuplicateGuard
from aura_py.agent.loop import Conversation, LoopResult, LoopSpec
from aura_py.agent.nudges import TurnNudges
from aura_py.agent.parking import Parking
from aura_py.agent.prompt import system_prompt
from aura_py.events import Event, ModelCallCompleted, ReasoningDelta, ScratchpadUsage
from aura_py.llm.contract import CallInfo, NamedTool, ToolChoice
from aura_py.messages import Message, ToolCall, user
from aura_py.orchestration.artifact_reader import ArtifactReader, token_limit
from aura_py.orchestration.deadline import DeadlineExceeded, run_with_timeout
from aura_py.orchestration.event_mapper import EventMapper
from aura_py.orchestration.failures import AttemptTimeout, WorkerUnavailable
from aura_py.orchestration.plan import Task
from aura_py.orchestration.recorder import ArtifactFooter, ToolCallRecorder, with_reasoning
from aura_py.orchestration.run import OrchestrationRun
from aura_py.orchestration.submission import CUT_ADVICE, SUBMIT, Submission, SubmissionSlot
from aura_py.orchestration.team import WorkerProfile
from aura_py.orchestration.turn_order import SubmissionOrder
from aura_py.orchestration.wait_for import WaitForTool
from aura_py.orchestration.worker_scratchpad import ArtifactPager, parking_limits, worker_parking
from aura_py.tokens import counter_for
from aura_py.tools.contract import CallContext, Middleware, Tool, ToolOutcome
from aura_py.tools.runner import ToolRunner, parse_arguments
from aura_py.tools.toolset import Toolset

logger = logging.getLogger(__name__)

WRAP_UP_TURNS = 2
_LAST_TURN = "This is your last turn. Call `submit_result` now with what you have, and say plainly what is missing."


@dataclass(slots=True)
class AttemptResult:
    """What an attempt came to, when it did not raise."""

    text: str
    submission: Submission | None
    escalated: bool
    turn_limit: bool
    turns: int
    conversation: tuple[Message, ...]


@dataclass(slots=True)
class _Equipment:
    system: str
    toolset: Toolset
    stages: tuple[Middleware, ...]
    turn_depth: int
    scratchpad: Parking | None
    slot: SubmissionSlot
    guard: DuplicateGuard
    event_mapper: EventMapper
    recorder: ToolCallRecorder


class WorkerRunner(ToolRunner):
    """Adds advice where a submission was cut in the middle (W11)."""

    async def run(self, call: ToolCall, context: CallContext) -> ToolOutcome:
        outcome = await super().run(call, context)
        if call.name == SUBMIT and not outcome.ok and isinstance(parse_arguments(call.arguments), str):
            return replace(outcome, text=f"{outcome.text} {CUT_ADVICE}")
        return outcome


@dataclass(slots=True)
class Attempt:
    """One attempt. ``number`` counts from 1; ``depth`` replaces the worker's depth when an attempt goes on with an
    earlier conversation, and ``forced`` demands ``submit_result``."""

    run: OrchestrationRun
    profile: WorkerProfile
    task: Task
    iteration: int
    number: int
    depth: int | None = None
    forced: bool = False
    text: str = ""
    """The longest text of any turn, kept for attempts that fail: the last one may only announce the next step."""
    recorder: ToolCallRecorder | None = None
    _equipment: _Equipment | None = field(default=None)

    @property
    def worker_id(self) -> str:
        return self.profile.name or self.run.orchestrator_id

    @property
    def stem(self) -> str:
        return f"iteration-{self.iteration}/task-{self.task.id}.attempt-{self.number}"

    async def execute(self, history: Sequence[Message], prompt: str) -> AttemptResult:
        """Runs the worker's loop on ``history`` and ``prompt``.

        Raises:
            WorkerUnavailable: The worker cannot be built.
            AttemptTimeout: It took too long.
            AuraError: Its model failed.
        """
        run = self.run
        seconds = run.config.orchestration.timeouts.per_call_timeout_secs
        allowed = run.bounded(seconds)
        clock = run.context.clock
        equipment = await self._equip(None if allowed is None else clock.monotonic() + allowed)
        try:
            await run.journal.entry(
                self._phase(),
                clock.now(),
                system=equipment.system,
                history=history,
                prompt=prompt,
                tools=equipment.toolset.names,
                response_file=f"{self.stem}.response.txt",
            )
            messages = (*history, user(prompt))
            if equipment.scratchpad is not None:
                await equipment.scratchpad.seed(message.text for message in messages)
            conversation = self._conversation(equipment, messages)
            try:
                await run_with_timeout(clock, allowed, lambda: self._consume(conversation, equipment.event_mapper))
            except DeadlineExceeded:
                limit = f"timed out after {seconds}s" if allowed == seconds else "was stopped: the request's time is up"
                raise AttemptTimeout(f"worker `{self._label()}` {limit}.") from None
            finally:
                self.text = _longest_text(conversation.result, after=len(messages))
            result = conversation.result
            if not equipment.slot.taken:
                await equipment.slot.read(result.answer, CallContext(run.context, "", emit=run.context.emit))
            return self._end(result, equipment)
        finally:
            equipment.event_mapper.close()
            await self._close(equipment.scratchpad)

    def _end(self, result: LoopResult, equipment: _Equipment) -> AttemptResult:
        return AttemptResult(
            text=result.answer,
            submission=equipment.slot.submission,
            escalated=equipment.guard.escalated,
            turn_limit=result.turn_limit or (result.turns >= equipment.turn_depth + 2 and not result.answer.strip()),
            turns=result.turns,
            conversation=result.conversation,
        )

    async def _consume(self, conversation: Conversation, event_mapper: EventMapper) -> None:
        async with aclosing(conversation.run()) as events:
            async for batch in events:
                for event in batch:
                    if isinstance(event, ReasoningDelta):
                        event_mapper(event)

    def _conversation(self, equipment: _Equipment, messages: Sequence[Message]) -> Conversation:
        run, profile = self.run, self.profile
        timeouts = run.config.orchestration.timeouts
        name = profile.name or run.config.agent.name
        made = run.calls.get(self._key(), 0)

        def emit(event: Event) -> None:
            if isinstance(event, ModelCallCompleted):
                run.calls[self._key()] = run.calls.get(self._key(), 0) + 1
            equipment.event_mapper(event)

        def choose(_turn: int) -> ToolChoice:
            return NamedTool(SUBMIT) if self.forced else "auto"

        scratchpad = equipment.scratchpad
        spec = LoopSpec(
            model=profile.model,
            system=equipment.system,
            runner=WorkerRunner(equipment.toolset, equipment.stages),
            turn_depth=equipment.turn_depth,
            info=CallInfo("worker", name, worker=profile.name, call=made + 1),
            tool_choice=choose,
            done=lambda: equipment.slot.taken,
            last_turn_tools=(SUBMIT,),
            last_turn_note=_LAST_TURN,
            on_usage=scratchpad.observe if scratchpad is not None else lambda _usage, _sent: None,
            inactivity_timeout=float(timeouts.stream_inactivity_timeout_secs) or None,
            agent_id=self.worker_id,
            parent_agent_id="coordinator",
            initiator=self.worker_id,
            task_id=self.task.id,
            attempt=self.number,
            iteration=self.iteration,
        )
        return Conversation(spec, messages, replace(run.context, emit=emit))

    async def _equip(self, ends: float | None) -> _Equipment:
        run, profile, config = self.run, self.profile, self.run.config
        mcp_tools = profile.mcp_tools(run.mcp_tools)
        self._require_tools(mcp_tools)
        slot = SubmissionSlot()
        settings = config.orchestration
        guard = DuplicateGuard(
            nudge=settings.duplicate_call_nudge_threshold, block=settings.duplicate_call_block_threshold, submit=SUBMIT
        )
        self.recorder = recorder = ToolCallRecorder(
            run.files,
            run.traces.of(self.iteration, self.task.id),
            settings.artifacts,
            task_id=self.task.id,
            worker=profile.name,
            iteration=self.iteration,
            attempt=self.number,
        )
        tools: list[Tool] = [with_reasoning(tool) for tool in mcp_tools]
        tools += run.team.builtin_tools()
        limits = parking_limits(run, profile, tools)
        base = system_prompt(
            run.prompts.render(
                "worker",
                custom_prompt=profile.custom_prompt,
                artifacts=run.files.enabled,
                scratchpad=limits is not None,
            ),
            (),
            [run.unavailable],
        )
        scratchpad = await worker_parking(run, profile, tools, base, limits=limits, iteration=self.iteration)
        if scratchpad is not None:
            tools += scratchpad.tools
        counted = len(tools)
        if run.files.enabled:
            tools.append(self._artifacts(scratchpad).tool())
        tools.append(slot.tool())
        if mcp_tools:
            probes = ToolRunner(Toolset(mcp_tools), (recorder.watch,))
            park = scratchpad.middleware if scratchpad is not None else None
            tools.append(WaitForTool(probes, park=park, ends=ends).tool())
        if scratchpad is not None:
            await scratchpad.also_sent(tools[counted:])
        depth = profile.turn_depth + (scratchpad.turn_depth_bonus if scratchpad is not None else 0)
        return _Equipment(
            system=system_prompt(base, (), [scratchpad.prompt if scratchpad is not None else None]),
            toolset=Toolset(tools),
            stages=self._stages(slot, guard, scratchpad, recorder),
            turn_depth=depth if self.depth is None else self.depth,
            scratchpad=scratchpad,
            slot=slot,
            guard=guard,
            recorder=recorder,
            event_mapper=EventMapper(
                run.context.emit,
                self.worker_id,
                task_id=self.task.id,
                iteration=self.iteration,
                named=profile.name is not None,
            ),
        )

    def _stages(
        self, slot: SubmissionSlot, guard: DuplicateGuard, scratchpad: Parking | None, recorder: ToolCallRecorder
    ) -> tuple[Middleware, ...]:
        agent = self.run.config.agent
        nudges = TurnNudges(
            last_turn=True if agent.nudge_last_turn is None else agent.nudge_last_turn,
            remaining=WRAP_UP_TURNS if agent.nudge_turns_remaining is None else agent.nudge_turns_remaining,
            submit=SUBMIT,
        )
        stages: list[Middleware] = [SubmissionOrder(SUBMIT, lambda: slot.taken)]
        if nudges.active:
            stages.append(nudges)
        stages.append(guard)
        if scratchpad is not None:
            stages += [ArtifactFooter(), scratchpad.middleware]
        stages.append(recorder)
        return tuple(stages)

    def _artifacts(self, scratchpad: Parking | None) -> ArtifactReader:
        model, path = self.profile.model, self.run.files.path
        return ArtifactReader(
            self.run.files,
            counter=counter_for(model.provider, model.model),
            cap=token_limit(model.context_window),
            pager=ArtifactPager(scratchpad, path) if scratchpad is not None and path is not None else None,
        )

    def _require_tools(self, mcp_tools: Sequence[Tool]) -> None:
        """W26: a worker that lives by tools and has none is refused before it costs a model call."""
        run, inherits = self.run, None in self.profile.filters
        if mcp_tools or not self.profile.wants_tools:
            return
        statuses = run.attachment.statuses if run.attachment is not None else ()
        if inherits and (not statuses or run.team.builtin_tools()):
            return
        missing = [f"`{s.server_name}` ({s.reason or 'failed'})" for s in statuses if s.status == "failed"]
        cause = f"MCP server {', '.join(missing)} is not available" if missing else "its `mcp_filter` matches no tool"
        message = f"worker `{self._label()}` has no tools: {cause}."
        logger.warning("task %d: %s", self.task.id, message)
        raise WorkerUnavailable(message)

    async def _close(self, scratchpad: Parking | None) -> None:
        if scratchpad is None:
            return
        intercepted, extracted = scratchpad.usage()
        if intercepted or extracted:
            self.run.context.emit(ScratchpadUsage(intercepted, extracted, self.worker_id))
        await scratchpad.close()

    def _phase(self) -> str:
        who = f"Worker: {self.profile.name}" if self.profile.name else "Worker"
        return f"{who} (Iteration {self.iteration}, Task {self.task.id}, Attempt {self.number})"

    def _label(self) -> str:
        return self.profile.name or "generic"

    def _key(self) -> str:
        return f"worker:{self.iteration}:{self.task.id}"


def _longest_text(result: LoopResult, *, after: int) -> str:
    """What is written in vain stands in ``answer`` only: a turn that failed is no part of the conversation."""
    written = [message.text for message in result.conversation[after:] if message.role == "assistant"]
    return max((result.answer, *written), key=lambda text: len(text.strip()))
