"""Who can do what: an orchestration's workers, resolved when it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aura_py.config.models import LLM, AgentConfig, ScratchpadSettings
from aura_py.llm.contract import ChatModel
from aura_py.skills import SkillLibrary
from aura_py.tools.contract import Tool
from aura_py.tools.filesystem import filesystem_tools
from aura_py.tools.toolset import filter_tools

if TYPE_CHECKING:
    from aura_py.knowledge import KnowledgeBase


@dataclass(slots=True, frozen=True)
class WorkerProfile:
    """A worker as it is built for every attempt. ``name`` is ``None`` for the generic worker.

    ``filters`` are alternatives: a tool is the worker's when one of them lets it pass, and ``None`` lets all pass.
    """

    name: str | None
    description: str
    custom_prompt: str
    model: ChatModel
    turn_depth: int
    filters: tuple[tuple[str, ...] | None, ...]
    scratchpad: ScratchpadSettings
    skills: SkillLibrary
    stores: tuple[KnowledgeBase, ...] = ()
    accept_unsubmitted: bool = False
    shares_provider: bool = True
    """It talks to the coordinator's provider with the coordinator's credentials."""

    def mcp_tools(self, tools: Sequence[Tool]) -> tuple[Tool, ...]:
        names = {tool.name for patterns in self.filters for tool in filter_tools(tools, patterns)}
        return tuple(tool for tool in tools if tool.name in names)

    @property
    def label(self) -> str:
        """The name for logs and errors."""
        return self.name or "generic"

    @property
    def wants_tools(self) -> bool:
        """It has a filter that could let something pass."""
        return any(patterns is None or patterns for patterns in self.filters)


class Team:
    """All profiles of one agent file, in file order."""

    def __init__(
        self,
        config: AgentConfig,
        coordinator: ChatModel,
        model_for: Callable[[LLM], ChatModel],
        knowledge: Mapping[str, KnowledgeBase],
    ) -> None:
        agent, settings = config.agent, config.orchestration

        def stores(names: Iterable[str]) -> tuple[KnowledgeBase, ...]:
            return tuple(knowledge[name] for name in dict.fromkeys(names) if name in knowledge)

        # Alone, the generic worker has every store, as a single agent has; beside named ones it has to be given some.
        default = settings.default_vector_stores
        if default is None:
            default = () if settings.worker else tuple(knowledge)
        self.coordinator_stores = stores(settings.coordinator_vector_stores)
        self._config = config
        self.skills = SkillLibrary.open(agent.skills)
        """The agent's own, for the coordinator and for workers without a table of their own."""
        self.named: dict[str, WorkerProfile] = {}
        for name, worker in settings.worker.items():
            own = worker.llm is not None and worker.llm != agent.llm
            self.named[name] = WorkerProfile(
                name=name,
                description=worker.description,
                custom_prompt=worker.preamble,
                model=model_for(worker.llm) if own and worker.llm is not None else coordinator,
                turn_depth=agent.turn_depth if worker.turn_depth is None else worker.turn_depth,
                filters=(agent.mcp_filter if worker.mcp_filter is None else worker.mcp_filter,),
                scratchpad=worker.scratchpad or agent.scratchpad,
                skills=self.skills if worker.skills is None else SkillLibrary.open(worker.skills),
                stores=stores(worker.vector_stores),
                accept_unsubmitted=worker.accept_unsubmitted,
                shares_provider=not own or _same_account(worker.llm, agent.llm),
            )
        self.generic = WorkerProfile(
            name=None,
            description="",
            custom_prompt=settings.worker_system_prompt or "No custom instructions.",
            model=coordinator,
            turn_depth=agent.turn_depth,
            filters=tuple(p.filters[0] for p in self.named.values()) if self.named else (agent.mcp_filter,),
            scratchpad=agent.scratchpad,
            skills=self.skills,
            stores=stores(default),
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.named)

    @property
    def default_worker(self) -> str | None:
        """Who takes tasks that no coordinator assigned: the only worker, else the generic one (``None``)."""
        return self.names[0] if len(self.named) == 1 else None

    def profile(self, worker: str | None) -> WorkerProfile:
        return self.generic if worker is None else self.named[worker]

    def max_parallel_tasks(self) -> dict[str, int]:
        workers = self._config.orchestration.worker
        return {name: worker.max_parallel_tasks for name, worker in workers.items() if worker.max_parallel_tasks}

    def builtin_tools(self) -> tuple[Tool, ...]:
        tools = self._config.tools
        return tuple(filesystem_tools(tools.filesystem_root)) if tools.filesystem else ()

    def reachable_tools(self, tools: Sequence[Tool]) -> tuple[Tool, ...]:
        """MCP tools that some worker may call."""
        profiles = tuple(self.named.values()) or (self.generic,)
        names = {tool.name for profile in profiles for tool in profile.mcp_tools(tools)}
        return tuple(tool for tool in tools if tool.name in names)


def _same_account(own: LLM | None, agents: LLM) -> bool:
    if own is None:
        return True
    if own.provider != agents.provider:
        return False
    keys = ("api_key", "base_url", "region", "profile")
    return all(getattr(own, key, None) == getattr(agents, key, None) for key in keys) and own.provider != "scripted"
