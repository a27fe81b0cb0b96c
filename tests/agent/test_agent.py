"""A single agent over a real MCP server."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aura_py.agent.agent import Agent
from aura_py.agent.contract import ClientTool, Turn
from aura_py.config.models import AgentConfig
from aura_py.events import (
    Event,
    McpStatus,
    ModelCallCompleted,
    RunFinished,
    SessionInfo,
    TextDelta,
    ToolCompleted,
    ToolRequested,
)
from aura_py.llm import build_model
from aura_py.llm.contract import NamedTool, Sampling
from aura_py.mcp import McpPool
from aura_py.messages import user
from aura_py.run.engine import Engine
from aura_py.run.identity import new_context
from tests.servers.forking import server_command

MOCK: Mapping[str, Any] = {"transport": "stdio", "cmd": server_command("mock")}
SILENT: Mapping[str, Any] = {"transport": "stdio", "cmd": ["/nonexistent/server"], "connect_timeout_secs": 5}
ECHO: Mapping[str, Any] = {"tool_calls": [{"name": "mock_tool", "arguments": {"message": "hi"}}]}


Rules = list[Mapping[str, Any]]


def config(
    rules: Sequence[Mapping[str, Any]], servers: Mapping[str, Any] | None = None, **agent: object
) -> AgentConfig:
    return AgentConfig.model_validate(
        {
            "path": "agent.toml",
            "agent": {
                "name": "tester",
                "system_prompt": "You test.",
                "llm": {"provider": "scripted", "model": "demo", "rules": rules},
                **agent,
            },
            "mcp": {"servers": servers or {}},
        }
    )


async def ask(file: AgentConfig, turn: Turn) -> list[Event]:
    async with McpPool() as mcp, Engine() as engine:
        agent = Agent(file, model=build_model(file.agent.llm, agent=file.id), mcp=mcp)
        run = engine.start(agent, turn, new_context(), agent=file.id)
        return [event async for batch in run.events() for event in batch]


def question(text: str = "go", **turn: Any) -> Turn:
    return Turn((user(text),), **turn)


def end(events: Sequence[Event]) -> RunFinished:
    last = events[-1]
    assert isinstance(last, RunFinished), last
    return last


async def test_an_answer_is_made_of_what_a_real_server_returned() -> None:
    rules: Rules = [{"after_tool": "mock_tool", "say": "{{ result }}"}, ECHO]
    events = await ask(config(rules, {"mock": MOCK}), question())
    assert end(events).answer == "Mock tool received: hi"
    assert isinstance(events[0], SessionInfo)
    assert isinstance(events[1], McpStatus)
    assert [type(e).__name__ for e in events if type(e).__name__.startswith("Tool")] == [
        "ToolRequested",
        "ToolStarted",
        "ToolCompleted",
    ]


async def test_a_tool_that_the_filter_leaves_out_cannot_be_called() -> None:
    rules: Rules = [{"after_error": True, "say": "refused"}, ECHO]
    events = await ask(config(rules, {"mock": MOCK}, mcp_filter=["list_*"]), question())
    assert end(events).answer == "refused"
    [done] = [e for e in events if isinstance(e, ToolCompleted)]
    assert done.error is not None
    assert "no tool is called `mock_tool`" in done.error


async def test_an_empty_filter_means_no_tools() -> None:
    rules: Rules = [{"tools": ["*"], "say": "tools"}, {"say": "none"}]
    assert end(await ask(config(rules, {"mock": MOCK}, mcp_filter=[]), question())).answer == "none"


async def test_a_pattern_that_matches_nothing_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await ask(config([{"say": "x"}], {"mock": MOCK}, mcp_filter=["mock_*", "lits_files", "zzz*"]), question())
    assert [record.getMessage() for record in caplog.records if "WARN-FI01" in record.getMessage()] == [
        "WARN-FI01 agent `tester`: `lits_files` in `agent.mcp_filter` matches no tool; did you mean `list_files`?",
        "WARN-FI01 agent `tester`: `zzz*` in `agent.mcp_filter` matches no tool",
    ]


async def test_a_missing_server_is_reported_and_the_model_is_told_while_the_agent_still_answers() -> None:
    rules: Rules = [
        {"system": "(?s)`gone`.*unavailable|unavailable.*`gone`", "say": "I know"},
        {"say": "I was not told"},
    ]
    events = await ask(config(rules, {"gone": SILENT}), question())
    assert end(events).answer == "I know"
    [status] = [e for e in events if isinstance(e, McpStatus)]
    assert [s.status for s in status.servers] == ["failed"]


CLIENT = (ClientTool("edit", "Edits a file", {"type": "object", "properties": {}}),)
EDIT: Mapping[str, Any] = {"tools": ["edit"], "tool_calls": [{"name": "edit", "arguments": {"path": "a"}}]}


async def test_client_tools_are_unknown_to_an_agent_that_does_not_opt_in() -> None:
    events = await ask(config([EDIT, {"say": "no tools"}]), question(client_tools=CLIENT))
    assert end(events).answer == "no tools"


async def test_a_client_tool_call_ends_the_run_and_hands_the_call_over() -> None:
    events = await ask(config([EDIT], enable_client_tools=True), question(client_tools=CLIENT))
    finished = end(events)
    assert finished.finish_reason == "tool_calls"
    assert [(c.name, c.arguments) for c in finished.client_calls] == [("edit", '{"path":"a"}')]
    assert [e.kind for e in events if isinstance(e, ToolRequested)] == ["client"]


async def test_the_client_tool_filter_is_applied_and_an_empty_one_lets_all_through() -> None:
    blocked = config([EDIT, {"say": "no tools"}], enable_client_tools=True, client_tool_filter=["read_*"])
    assert end(await ask(blocked, question(client_tools=CLIENT))).answer == "no tools"
    open_to_all = config([EDIT], enable_client_tools=True, client_tool_filter=[])
    assert end(await ask(open_to_all, question(client_tools=CLIENT))).finish_reason == "tool_calls"


async def test_a_client_tool_never_takes_the_name_of_a_server_tool() -> None:
    rules: Rules = [{"after_tool": "mock_tool", "say": "{{ result }}"}, ECHO]
    clash = (ClientTool("mock_tool", "", {"type": "object"}),)
    file = config(rules, {"mock": MOCK}, enable_client_tools=True)
    assert end(await ask(file, question(client_tools=clash))).answer == "Mock tool received: hi"


async def test_a_side_request_is_one_model_call_without_tools_or_the_agents_prompt() -> None:
    rules: Rules = [{"system": "You test", "say": "agent"}, {"tools": ["*"], "say": "tools"}, {"say": "A title"}]
    events = await ask(config(rules, {"mock": MOCK}), question(side=True))
    assert end(events).answer == "A title"
    assert not [e for e in events if isinstance(e, McpStatus)]


async def test_a_side_request_stays_one_model_call_when_the_model_wants_a_tool() -> None:
    rules: Rules = [{"call": 1, "say": "A title", "tool_calls": [{"name": "mock_tool"}]}, {"say": "second"}]
    events = await ask(config(rules), question(side=True))
    assert (end(events).answer, end(events).finish_reason) == ("A title", "stop")
    assert sum(isinstance(event, ModelCallCompleted) for event in events) == 1


async def test_context_blocks_follow_the_system_prompt() -> None:
    rules: Rules = [{"system": "(?s)^You test\\.\n\nFirst\\.\n\nSecond\\.$", "say": "yes"}, {"say": "no"}]
    assert end(await ask(config(rules, context=["First.", "Second."]), question())).answer == "yes"


@pytest.mark.parametrize(("allowed", "kept"), [((), None), (("temperature",), 0.3)])
def test_a_request_overrides_only_what_the_file_allows(allowed: tuple[str, ...], kept: float | None) -> None:
    file = config([{"say": "x"}], request_overrides=allowed)
    agent = Agent(file, model=build_model(file.agent.llm, agent="t"), mcp=McpPool())
    sampling = agent._sampling(question(sampling=Sampling(temperature=0.3, seed=7)))
    assert sampling == Sampling(temperature=kept)


async def test_tool_choice_concerns_client_tools_only() -> None:
    rules: Rules = [{"say": "fine"}]
    events = await ask(config(rules, {"mock": MOCK}), question(tool_choice=NamedTool("mock_tool")))
    assert end(events).answer == "fine"


async def test_text_before_and_after_a_tool_is_streamed_and_the_answer_is_the_last() -> None:
    rules: Rules = [{"after_tool": "*", "say": "After."}, {"say": "Before.", **ECHO}]
    events = await ask(config(rules, {"mock": MOCK}), question())
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "Before.After."
    assert end(events).answer == "After."


@pytest.mark.parametrize("enabled", [False, True])
async def test_a_built_in_name_is_reserved_only_while_its_feature_is_on(enabled: bool, tmp_path: Path) -> None:
    rules: Rules = [{"say": "{{ tools | sort | join(' ') }}"}]
    server = {**MOCK, "scratchpad": {"*": {}}}
    file = config(rules, {"mock": server}, scratchpad={"enabled": enabled}).model_copy(update={"memory_dir": tmp_path})
    llm = file.agent.llm.model_copy(update={"context_window": 100_000})
    file = file.model_copy(update={"agent": file.agent.model_copy(update={"llm": llm})})
    names = end(await ask(file, question())).answer.split()
    assert ("mock_list_files" in names) is enabled
    assert "list_files" in names


async def test_a_last_turn_without_an_answer_says_what_was_left_undone() -> None:
    events = await ask(config([ECHO], {"mock": MOCK}, turn_depth=0), question())
    said = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert said == (
        "The model used all 2 turns of this request and gave no answer at the end. It still wanted to call `mock_tool`."
    )
    assert (end(events).answer, end(events).turn_limit, end(events).finish_reason) == (said, True, "length")
