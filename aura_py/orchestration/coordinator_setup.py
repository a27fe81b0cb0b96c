"""How a coordinator is put together: its system prompt, its look-up tools, its first message."""

from __future__ import annotations

from collections.abc import Sequence

from aura_py.agent.history import repaired
from aura_py.agent.knowledge import knowledge_section, search_tools
from aura_py.agent.prompt import system_prompt
from aura_py.llm.contract import ChatModel
from aura_py.messages import Message
from aura_py.orchestration.artifact_reader import ArtifactReader, token_limit
from aura_py.orchestration.coordinator import Coordinator
from aura_py.orchestration.lookup_tools import inspect_tool_params, list_prior_runs, list_tools
from aura_py.orchestration.prior_runs import MAX_LISTED, Manifest, prior_runs, run_summary
from aura_py.orchestration.routing import ROUTING_TOOLS
from aura_py.orchestration.run import OrchestrationRun
from aura_py.tokens import counter_for
from aura_py.tools.contract import Tool


async def create_coordinator(
    run: OrchestrationRun, model: ChatModel, messages: Sequence[Message], *, escape_hatch: bool
) -> Coordinator:
    """The coordinator of ``run`` for a conversation whose last message from the user is asked now."""
    settings, files = run.config.orchestration, run.files

    async def earlier_runs(limit: int) -> Sequence[Manifest]:
        session = files.session
        if session is None or not files.enabled:
            return ()
        return await files.read(lambda: prior_runs(session, run.run_id, limit)) or ()

    worker_tools: list[Tool] = []
    if settings.tools_in_planning == "none":
        reachable = run.team.reachable_tools(run.mcp_tools)
        worker_tools = [list_tools(reachable), inspect_tool_params(reachable)]
    reader = ArtifactReader(
        files, counter=counter_for(model.provider, model.model), limit=token_limit(model.context_window)
    )
    stored: list[Tool] = [reader.tool()]
    history: Sequence[Manifest] = ()
    if files.enabled and run.context.session_id:
        stored.append(list_prior_runs(lambda: earlier_runs(MAX_LISTED)))
        history = await earlier_runs(settings.artifacts.session_history_turns)
    return Coordinator(
        run,
        model,
        system=_system_prompt(run, worker_tools, stored, history, escape_hatch=escape_hatch),
        history=_before_query(repaired(messages)),
        tools=[*worker_tools, *stored, *await search_tools(run.team.coordinator_stores), *run.team.skills.tools],
    )


def _system_prompt(
    run: OrchestrationRun,
    worker_tools: Sequence[Tool],
    stored: Sequence[Tool],
    history: Sequence[Manifest],
    *,
    escape_hatch: bool,
) -> str:
    agent = run.config.agent
    inventory = [{"title": "Routing, one per decision", "names": list(ROUTING_TOOLS)}]
    if worker_tools:
        inventory.append({"title": "Tools of the workers", "names": [tool.name for tool in worker_tools]})
    inventory.append({"title": "Results and earlier runs", "names": [tool.name for tool in stored]})
    text = run.prompts.render(
        "coordinator",
        custom_instructions=system_prompt(agent.system_prompt, agent.context),
        inventory=inventory,
        recon=bool(worker_tools),
        history_tool=len(stored) > 1,
        escape_hatch=escape_hatch,
    )
    last = [run.team.skills.prompt, knowledge_section(run.team.coordinator_stores)]
    if not history:
        return system_prompt(text, (), last)
    runs = [
        {"timestamp": m.timestamp.isoformat(timespec="seconds"), "status": m.status, "text": run_summary(m)}
        for m in reversed(history)
    ]
    return system_prompt(text, (), [run.prompts.render("history", runs=runs, count=len(runs)), *last])


def _before_query(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation without the message that is asked now."""
    last = max((i for i, message in enumerate(messages) if message.role == "user"), default=None)
    return tuple(messages) if last is None else (*messages[:last], *messages[last + 1 :])


def planning_prompt(run: OrchestrationRun) -> str:
    """The first message to a coordinator: the request and who can work on it."""
    settings = run.config.orchestration
    return run.prompts.render(
        "planning",
        now=timestamp(run),
        query=run.query,
        workers=_workers(run, settings.max_tools_per_worker),
        worker_names=", ".join(f'"{name}"' for name in run.team.names),
        show_tools=settings.tools_in_planning,
        unavailable=run.unavailable,
        direct_allowed=settings.allow_direct_answers,
        clarification_allowed=settings.allow_clarification,
    )


def timestamp(run: OrchestrationRun) -> str:
    return run.context.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _workers(run: OrchestrationRun, limit: int) -> list[dict[str, object]]:
    """The workers as the planning prompt shows them, each with its first ``limit`` tools."""
    builtin = run.team.builtin_tools()
    workers: list[dict[str, object]] = []
    for name, profile in run.team.named.items():
        tools = (*profile.mcp_tools(run.mcp_tools), *builtin)
        inventory = [(tool.name, tool.description) for tool in tools]
        inventory += [
            (store.tool_name, store.config.context_prefix or f"Searches the vector store {store.name}.")
            for store in profile.stores
        ]
        shown = [{"name": each, "description": " ".join(text.split())} for each, text in inventory[: max(0, limit)]]
        more = len(inventory) - len(shown)
        workers.append({"name": name, "description": profile.description, "tools": shown, "more": more})
    return workers
