"""One attempt of one worker at one task: an agent built anew and thrown away."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from aura_py.agent.duplicates import DuplicateGuard
from aura_py.agent.knowledge import knowledge_section, search_tools
from aura_py.agent.loop import Conversation, LoopResult, LoopSpec
from aura_py.agent.middlewares import ordered_middlewares
from aura_py.agent.nudges import TurnNudges
from aura_py.agent.prompt import system_prompt
from aura_py.agent.scratchpad_session import ScratchpadSession
from aura_py.events import Event, ModelCallCompleted, ScratchpadUsage
from aura_py.llm.contract import CallInfo, NamedTool
from aura_py.messages import Message, user
from aura_py.orchestration.artifact_reader import ArtifactReader, token_limit
from aura_py.orchestration.coordinator import consume
from aura_py.orchestration.event_mapper import EventMapper
from aura_py.orchestration.failures import WorkerUnavailable
from aura_py.orchestration.plan import Task
from aura_py.orchestration.run import OrchestrationRun
from aura_py.orchestration.submission import SUBMIT, Submission, SubmissionOrder, SubmissionRunner, SubmissionSlot
from aura_py.orchestration.team import WorkerProfile
from aura_py.orchestration.tool_records import ArtifactFooter, ToolCallRecorder, with_reasoning
from aura_py.orchestration.wait_for import WaitForTool
from aura_py.tokens import counter_for
from aura_py.tools.contract import CallContext, Middleware, Tool
from aura_py.tools.runner import ToolRunner
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
class Attempt:
    """One attempt. ``depth`` replaces the worker's turn depth when the attempt goes on with an earlier conversation
    (``history``), and ``forced`` demands ``submit_result``."""

    run: OrchestrationRun
    profile: WorkerProfile
    task: Task
    iteration: int
    prompt: str
    history: Sequence[Message] = ()
    depth: int | None = None
    forced: bool = False
    number: int = field(init=False)
    recorder: ToolCallRecorder = field(init=False)
    text: str = ""
    """The longest text of any turn, kept for attempts that fail: the last one may only announce the next step."""
    _slot: SubmissionSlot = field(default_factory=SubmissionSlot)
    _guard: DuplicateGuard = field(init=False)
    _events: EventMapper = field(init=False)
    _scratchpad: ScratchpadSession | None = None

    def __post_init__(self) -> None:
        run, settings = self.run, self.run.config.orchestration
        self.number = self.task.attempts
        self._guard = DuplicateGuard(
            nudge=settings.duplicate_call_nudge_threshold, block=settings.duplicate_call_block_threshold, submit=SUBMIT
        )
        self.recorder = ToolCallRecorder(
            run.files,
            self.task.trace,
            settings.artifacts,
            task_id=self.task.id,
            worker=self.profile.name,
            iteration=self.iteration,
            attempt=self.number,
        )
        self._events = EventMapper(
            run.context.emit,
            self.worker_id,
            task_id=self.task.id,
            iteration=self.iteration,
            named=self.profile.name is not None,
        )

    @property
    def worker_id(self) -> str:
        return self.profile.name or self.run.orchestrator_id

    @property
    def stem(self) -> str:
        """The beginning of the names of the attempt's files."""
        return f"iteration-{self.iteration}/task-{self.task.id}.attempt-{self.number}"

    async def execute(self) -> AttemptResult:
        """Runs the worker's loop on the history and the prompt.

        Raises:
            WorkerUnavailable: The worker cannot be built.
            AttemptTimeout: It took too long.
            AuraError: Its model failed.
        """
        run, clock = self.run, self.run.context.clock
        allowed = run.call_limit()
        try:
            system, tools = await self._prepare(None if allowed is None else clock.monotonic() + allowed)
            who = f"Worker: {self.profile.name}" if self.profile.name else "Worker"
            await run.journal.entry(
                f"{who} (Iteration {self.iteration}, Task {self.task.id}, Attempt {self.number})",
                clock.now(),
                system=system,
                history=self.history,
                prompt=self.prompt,
                tools=tools.names,
                response_file=f"{self.stem}.response.txt",
            )
            messages = (*self.history, user(self.prompt))
            if self._scratchpad is not None:
                await self._scratchpad.seed(message.text for message in messages)
            depth = self._turn_depth()
            conversation = self._conversation(system, tools, depth, messages)
            try:
                who = f"worker `{self.profile.label}`"
                await run.run_limited(who, allowed, lambda: consume(conversation, self._events))
            finally:
                self.text = _longest_text(conversation.result, after=len(messages))
            result = conversation.result
            if not self._slot.is_set:
                await self._slot.read(result.answer, CallContext(run.context, "", emit=run.context.emit))
            return AttemptResult(
                text=result.answer,
                submission=self._slot.submission,
                escalated=self._guard.escalated,
                turn_limit=result.turn_limit or (result.turns >= depth + 2 and not result.answer.strip()),
                turns=result.turns,
                conversation=result.conversation,
            )
        finally:
            self._events.close()
            await self._close_scratchpad()

    def _conversation(self, system: str, tools: Toolset, depth: int, messages: Sequence[Message]) -> Conversation:
        run, profile, task = self.run, self.profile, self.task
        timeouts = run.config.orchestration.timeouts

        def emit(event: Event) -> None:
            if isinstance(event, ModelCallCompleted):
                task.model_calls += 1
            self._events(event)

        scratchpad = self._scratchpad
        spec = LoopSpec(
            model=profile.model,
            system=system,
            runner=SubmissionRunner(tools, self._middlewares()),
            turn_depth=depth,
            info=CallInfo(
                "worker", profile.name or run.config.agent.name, worker=profile.name, call=task.model_calls + 1
            ),
            tool_choice=lambda _turn: NamedTool(SUBMIT) if self.forced else "auto",
            done=lambda: self._slot.is_set,
            last_turn_tools=(SUBMIT,),
            last_turn_note=_LAST_TURN,
            on_usage=scratchpad.observe if scratchpad is not None else lambda _usage, _sent: None,
            inactivity_timeout=float(timeouts.stream_inactivity_timeout_secs) or None,
            agent_id=self.worker_id,
            parent_agent_id="coordinator",
            initiator=self.worker_id,
            task_id=task.id,
            attempt=self.number,
            iteration=self.iteration,
        )
        return Conversation(spec, messages, replace(run.context, emit=emit))

    async def _prepare(self, deadline: float | None) -> tuple[str, Toolset]:
        """The system prompt and the tools; opens the scratchpad."""
        run, profile = self.run, self.profile
        mcp_tools = profile.mcp_tools(run.mcp_tools)
        self._require_tools(mcp_tools)
        tools: list[Tool] = [
            *(with_reasoning(tool) for tool in mcp_tools),
            *run.team.builtin_tools(),
            *await search_tools(profile.stores),
            *profile.skills.tools,
        ]
        limits = self._scratchpad_thresholds(tools)
        # the prompt speaks of the scratchpad, and the scratchpad counts the prompt: hence thresholds first
        worker_prompt = run.prompts.render(
            "worker",
            custom_prompt=profile.custom_prompt,
            artifacts=run.files.enabled,
            scratchpad=limits is not None,
        )
        system = system_prompt(worker_prompt, (), [run.unavailable, knowledge_section(profile.stores)])
        self._scratchpad = scratchpad = await self._open_scratchpad(limits, tools, system)
        if scratchpad is not None:
            tools += scratchpad.tools
        counted = len(tools)  # the scratchpad has counted these; what comes now is added to its budget
        if run.files.enabled:
            tools.append(self._artifact_reader().tool())
        tools.append(self._slot.tool())
        if mcp_tools:
            # a probe is not recorded call by call, but one that changes something forbids a retry of the attempt
            probes = ToolRunner(Toolset(mcp_tools), (self.recorder.watch,))
            park = scratchpad.middleware if scratchpad is not None else None
            tools.append(WaitForTool(probes, park=park, deadline=deadline).tool())
        if scratchpad is not None:
            await scratchpad.also_sent(tools[counted:])
            system = system_prompt(system, (), [scratchpad.prompt])
        return system_prompt(system, (), [profile.skills.prompt]), Toolset(tools)

    def _turn_depth(self) -> int:
        if self.depth is not None:
            return self.depth
        return self.profile.turn_depth + (self._scratchpad.turn_depth_bonus if self._scratchpad is not None else 0)

    def _middlewares(self) -> tuple[Middleware, ...]:
        agent = self.run.config.agent
        nudges = TurnNudges(
            last_turn=True if agent.nudge_last_turn is None else agent.nudge_last_turn,
            remaining=WRAP_UP_TURNS if agent.nudge_turns_remaining is None else agent.nudge_turns_remaining,
            submit=SUBMIT,
        )
        scratchpad = self._scratchpad
        return ordered_middlewares(
            submission=SubmissionOrder(lambda: self._slot.is_set),
            nudges=nudges,
            guard=self._guard,
            footer=ArtifactFooter() if scratchpad is not None else None,
            scratchpad=scratchpad.middleware if scratchpad is not None else None,
            recorder=self.recorder,
        )

    def _artifact_reader(self) -> ArtifactReader:
        model = self.profile.model
        return ArtifactReader(
            self.run.files,
            counter=counter_for(model.provider, model.model),
            limit=token_limit(model.context_window),
            scratchpad=self._scratchpad,
        )

    def _require_tools(self, mcp_tools: Sequence[Tool]) -> None:
        """Refuses a worker that lives by tools and has none, before it costs a model call."""
        run, inherits = self.run, None in self.profile.filters
        if mcp_tools or self.profile.stores or not self.profile.wants_tools:
            return
        statuses = run.attachment.statuses if run.attachment is not None else ()
        if inherits and (not statuses or run.team.builtin_tools()):
            return
        missing = [f"`{s.server_name}` ({s.reason or 'failed'})" for s in statuses if s.status == "failed"]
        cause = f"MCP server {', '.join(missing)} is not available" if missing else "its `mcp_filter` matches no tool"
        message = f"worker `{self.profile.label}` has no tools: {cause}."
        logger.warning("task %d: %s", self.task.id, message)
        raise WorkerUnavailable(message)

    # --- scratchpad ------------------------------------------------------------------------------------------------

    def _scratchpad_thresholds(self, tools: Sequence[Tool]) -> Mapping[str, int] | None:
        """From how many tokens on each tool's output is parked; ``None`` when the scratchpad is off, has no directory,
        or nothing the worker can reach would ever be parked."""
        profile, settings = self.profile, self.profile.scratchpad
        if not settings.enabled or self.run.files.path is None or profile.model.context_window is None:
            return None
        from aura_py.scratchpad import thresholds  # only workers that use it pay for its import

        limits = thresholds(self.run.config.mcp.servers, tools)
        if not limits and settings.default_min_tokens is None:
            log = logger.warning if profile.wants_tools else logger.info
            log("worker `%s` reaches no tool with a scratchpad threshold; its scratchpad is off", profile.name)
            return None
        return limits

    async def _open_scratchpad(
        self, limits: Mapping[str, int] | None, tools: Sequence[Tool], prompt: str
    ) -> ScratchpadSession | None:
        """The directory belongs to the iteration, the budget to the attempt; nothing outside the run can be read."""
        path, model = self.run.files.path, self.profile.model
        if limits is None or path is None or model.context_window is None:
            return None
        try:
            return await ScratchpadSession.open(
                self.profile.scratchpad,
                model,
                window=model.context_window,
                directory=path / f"iteration-{self.iteration}" / "scratchpad",
                read_root=path,
                limits=limits,
                prompt=prompt,
                tools=tools,
            )
        except OSError as error:
            logger.warning("worker `%s` runs without its scratchpad: %s", self.profile.name, error.strerror)
            return None

    async def _close_scratchpad(self) -> None:
        if self._scratchpad is None:
            return
        intercepted, extracted = self._scratchpad.usage()
        if intercepted or extracted:
            self.run.context.emit(ScratchpadUsage(intercepted, extracted, self.worker_id))
        await self._scratchpad.close()


def _longest_text(result: LoopResult, *, after: int) -> str:
    """What is written in vain stands in ``answer`` only: a turn that failed is no part of the conversation."""
    written = [message.text for message in result.conversation[after:] if message.role == "assistant"]
    return max((result.answer, *written), key=lambda text: len(text.strip()))
