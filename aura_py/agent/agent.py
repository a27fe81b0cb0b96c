"""A single agent: one model, its prompt, its tools, its limits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from aura_py.agent.client_tools import filter_client_tools
from aura_py.agent.contract import Description, Turn
from aura_py.agent.duplicates import DuplicateGuard
from aura_py.agent.filters import ToolFilterCheck
from aura_py.agent.history import repaired
from aura_py.agent.knowledge import search_tools
from aura_py.agent.loop import Conversation, LoopResult, LoopSpec
from aura_py.agent.middlewares import ordered_middlewares
from aura_py.agent.nudges import TurnNudges
from aura_py.agent.prompt import system_prompt
from aura_py.agent.reserved import reserved_names
from aura_py.agent.scratchpad_session import ScratchpadSession, open_agent_scratchpad
from aura_py.config.models import AgentConfig
from aura_py.context import RunContext
from aura_py.errors import RequestError
from aura_py.events import Event, McpStatus, RunFinished, ScratchpadUsage, SessionInfo, TextDelta
from aura_py.llm.contract import CallInfo, ChatModel, NamedTool, Sampling, ToolChoice, ToolSpec
from aura_py.mcp import McpAttachment, McpPool
from aura_py.skills import SkillLibrary
from aura_py.tools.contract import Middleware, Tool
from aura_py.tools.filesystem import filesystem_tools
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset, filter_tools

if TYPE_CHECKING:
    from aura_py.knowledge import KnowledgeBase


_SAMPLING: Final = tuple(f.name for f in fields(Sampling))


@dataclass(slots=True)
class _Equipment:
    """What one run of the agent works with."""

    toolset: Toolset
    middlewares: tuple[Middleware, ...]
    client_tools: tuple[ToolSpec, ...]
    system: str
    turn_depth: int
    scratchpad: ScratchpadSession | None


class Agent:
    """Runs one agent file without orchestration. Safe for concurrent runs; all state of a run is local to it."""

    def __init__(
        self,
        config: AgentConfig,
        *,
        model: ChatModel,
        mcp: McpPool,
        knowledge: Mapping[str, KnowledgeBase] | None = None,
    ) -> None:
        self._config = config
        self._knowledge = tuple((knowledge or {}).values())
        self._model = model
        self._mcp = mcp
        self._reserved = reserved_names(config)
        self._filters = ToolFilterCheck(config)
        self._skills = SkillLibrary.open(config.agent.skills)
        self._may_choose = "tool_choice" in config.agent.request_overrides
        self._overrides = tuple(name for name in _SAMPLING if name in config.agent.request_overrides)
        self._description = Description(
            config.id,
            model.provider,
            model.model,
            model.context_window,
            orchestrated=False,
            images=model.capabilities.images,
        )
        self._without_tools = self._prepared()

    def _prepared(self) -> _Equipment | None:
        """The equipment of every run of an agent without tools of its own; no middleware would ever be asked."""
        config, agent = self._config, self._config.agent
        if config.mcp.servers or config.tools.filesystem or self._knowledge or self._skills.tools:
            return None
        if agent.scratchpad.enabled:
            return None
        system = system_prompt(agent.system_prompt, agent.context, [self._skills.prompt])
        return _Equipment(Toolset(), (), (), system, agent.turn_depth, None)

    def describe(self) -> Description:
        return self._description

    async def run(self, turn: Turn, context: RunContext) -> AsyncGenerator[list[Event], None]:
        """See :class:`~aura_py.agent.contract.Runnable`."""
        model = self._model
        yield [SessionInfo(f"{model.provider}/{model.model}", model.context_window)]
        async with AsyncExitStack() as open_things:
            # A side request is one model call, whatever comes of it.
            equipment = _Equipment(Toolset(), (), (), "", -1, None)
            if not turn.side:
                attachment = await self._attach(context)
                if attachment is not None:
                    open_things.push_async_callback(attachment.release)
                    if attachment.statuses:
                        yield [McpStatus(attachment.statuses)]
                equipment = await self._equip(turn, context, attachment)
                if equipment.scratchpad is not None:
                    open_things.push_async_callback(equipment.scratchpad.close)
            conversation = await self._conversation(turn, context, equipment)
            async with aclosing(conversation.run()) as events:
                async for batch in events:
                    yield batch
            left = _left_undone(conversation.result)
            if left is not None:
                conversation.result.answer = left
                yield [TextDelta(left)]
            yield _closing(conversation.result, equipment.scratchpad)

    async def _conversation(self, turn: Turn, context: RunContext, equipment: _Equipment) -> Conversation:
        scratchpad = equipment.scratchpad
        messages = repaired(turn.messages)
        sampling = turn.sampling if turn.side else self._sampling(turn)
        choice, chosen = self._choice(turn, equipment)
        if scratchpad is not None:
            await scratchpad.seed(message.text for message in messages)
        spec = LoopSpec(
            model=self._model,
            system=equipment.system,
            runner=ToolRunner(equipment.toolset, equipment.middlewares),
            turn_depth=equipment.turn_depth,
            info=CallInfo("side" if turn.side else "agent", self._config.agent.name),
            sampling=sampling,
            parallel_tool_calls=turn.parallel_tool_calls if equipment.client_tools else None,
            client_tools=equipment.client_tools,
            tool_choice=choice,
            from_caller=frozenset() if turn.side else _given(sampling) | chosen,
            on_usage=scratchpad.observe if scratchpad is not None else lambda _usage, _sent: None,
        )
        return Conversation(spec, messages, context)

    # --- putting a run together ------------------------------------------------------------------------------------

    async def _attach(self, context: RunContext) -> McpAttachment | None:
        servers = self._config.mcp.servers
        if not servers:
            return None
        return await self._mcp.attach(
            servers,
            headers=context.headers,
            sanitize=self._config.mcp.sanitize_schemas,
            reserved=self._reserved,
        )

    async def _equip(self, turn: Turn, context: RunContext, attachment: McpAttachment | None) -> _Equipment:
        config, agent = self._config, self._config.agent
        if self._without_tools is not None and not (agent.enable_client_tools and turn.client_tools):
            return self._without_tools
        discovered: tuple[Tool, ...] = attachment.tools if attachment is not None else ()
        mcp_tools = filter_tools(discovered, agent.mcp_filter)
        self._filters.check(attachment)
        tools: list[Tool] = list(mcp_tools)
        if config.tools.filesystem:
            tools += filesystem_tools(config.tools.filesystem_root)
        tools += await search_tools(self._knowledge)
        tools += self._skills.tools
        base = system_prompt(
            agent.system_prompt, agent.context, [attachment.unavailable_note if attachment is not None else None]
        )
        client_tools = filter_client_tools(
            turn.client_tools,
            enabled=agent.enable_client_tools,
            patterns=agent.client_tool_filter,
            taken={tool.name for tool in tools},
        )
        if turn.allowed_tools is not None:
            client_tools = tuple(tool for tool in client_tools if tool.name in turn.allowed_tools)
            if self._may_choose:
                tools = [tool for tool in tools if tool.name in turn.allowed_tools]
        scratchpad = await open_agent_scratchpad(config, self._model, tools, base, client_tools, context)
        if scratchpad is not None:
            tools += scratchpad.tools
        toolset = Toolset(tools)
        client_tools = tuple(tool for tool in client_tools if tool.name not in toolset)
        limits = config.orchestration
        middlewares = ordered_middlewares(
            nudges=TurnNudges(last_turn=bool(agent.nudge_last_turn), remaining=agent.nudge_turns_remaining),
            guard=DuplicateGuard(
                nudge=limits.duplicate_call_nudge_threshold, block=limits.duplicate_call_block_threshold
            ),
            scratchpad=scratchpad.middleware if scratchpad is not None else None,
        )
        return _Equipment(
            toolset=toolset,
            middlewares=middlewares,
            client_tools=client_tools,
            system=system_prompt(
                base, (), [scratchpad.prompt if scratchpad is not None else None, self._skills.prompt]
            ),
            turn_depth=agent.turn_depth + (scratchpad.turn_depth_bonus if scratchpad is not None else 0),
            scratchpad=scratchpad,
        )

    def _sampling(self, turn: Turn) -> Sampling:
        """The caller's sampling, reduced to what the file lets it override."""
        return Sampling(**{name: getattr(turn.sampling, name) for name in self._overrides})

    def _choice(self, turn: Turn, equipment: _Equipment) -> tuple[Callable[[int], ToolChoice], frozenset[str]]:
        """The caller's ``tool_choice`` by turn, and its name if it was given.

        It concerns the first turn, and the agent's own tools only if the file allows it.

        Raises:
            RequestError: It names a tool that there is not.
        """
        choice, names = turn.tool_choice, {tool.name for tool in equipment.client_tools}
        if self._may_choose and not turn.side:
            names |= {tool.name for tool in equipment.toolset}
            if isinstance(choice, NamedTool) and choice.name not in names:
                raise RequestError(
                    f"Agent `{self._config.id}` has no tool `{choice.name}`; correct `tool_choice`.",
                    param="tool_choice",
                )
        applies = bool(names) and (not isinstance(choice, NamedTool) or choice.name in names)
        given = frozenset({"tool_choice"}) if applies and choice != "auto" else frozenset[str]()
        return lambda number: choice if applies and number == 1 else "auto", given


def _given(sampling: Sampling) -> frozenset[str]:
    return frozenset(name for name in _SAMPLING if getattr(sampling, name) not in (None, ()))


def _left_undone(result: LoopResult) -> str | None:
    """What a caller is told when the last turn, without tools, brought no answer."""
    if not result.turn_limit or result.conversation[-1].text.strip():
        return None
    wanted = ", ".join(f"`{name}`" for name in dict.fromkeys(result.withheld))
    undone = f" It still wanted to call {wanted}." if wanted else ""
    return f"The model used all {result.turns} turns of this request and gave no answer at the end.{undone}"


def _closing(result: LoopResult, scratchpad: ScratchpadSession | None) -> list[Event]:
    """The last events of a run; the engine fills in the usage."""
    closing: list[Event] = []
    if scratchpad is not None and any(scratchpad.usage()):
        closing.append(ScratchpadUsage(*scratchpad.usage()))
    closing.append(
        RunFinished(
            finish_reason=result.finish_reason,
            usage=result.usage,
            context_usage=result.usage,
            answer=result.answer,
            reasoning=result.reasoning,
            client_calls=result.client_calls,
            turn_limit=result.turn_limit,
        )
    )
    return closing
