"""The first message to a coordinator: the request and who can work on it (``orchestration.md`` §7, §8.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from aura_py.orchestration.run import OrchestrationRun
from aura_py.tools.contract import Tool


class _ToolView(TypedDict):
    name: str
    description: str


class _WorkerView(TypedDict):
    name: str
    description: str
    tools: list[_ToolView]
    more: int


def planning_prompt(run: OrchestrationRun, query: str) -> str:
    settings = run.config.orchestration
    return run.prompts.render(
        "planning",
        now=run.context.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        query=query,
        workers=_workers(run, settings.max_tools_per_worker),
        worker_names=", ".join(f'"{name}"' for name in run.team.names),
        show_tools=settings.tools_in_planning,
        unavailable=run.unavailable,
        direct_allowed=settings.allow_direct_answers,
        clarification_allowed=settings.allow_clarification,
    )


def _workers(run: OrchestrationRun, limit: int) -> list[_WorkerView]:
    builtin = run.team.builtin_tools()
    views: list[_WorkerView] = []
    for name, profile in run.team.named.items():
        tools = (*profile.mcp_tools(run.mcp_tools), *builtin)
        shown = tools[: max(0, limit)]
        views.append(
            {
                "name": name,
                "description": profile.description,
                "tools": _views(shown),
                "more": len(tools) - len(shown),
            }
        )
    return views


def _views(tools: Sequence[Tool]) -> list[_ToolView]:
    return [{"name": tool.name, "description": " ".join(tool.description.split())} for tool in tools]
