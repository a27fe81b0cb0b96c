"""The only executor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aura_py.errors import RequestError
from aura_py.messages import JsonObject, ToolCall
from aura_py.tools.contract import Annotations, BuiltinTool, CallContext, ToolOutcome, success
from aura_py.tools.runner import ToolRunner, parse_arguments
from aura_py.tools.toolset import Toolset
from tests.agent.scenario import Scenario, call_context


def runner(handler: object) -> ToolRunner:
    assert callable(handler)
    return ToolRunner(Toolset([BuiltinTool("search_logs", "", {"type": "object"}, handler, "mcp")]))


async def echo(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
    return success(repr(dict(arguments)))


async def test_a_call_reaches_its_tool_with_parsed_arguments() -> None:
    outcome = await runner(echo).run(ToolCall("1", "search_logs", '{"q": "x"}'), call_context())
    assert (outcome.ok, outcome.text) == (True, "{'q': 'x'}")


async def test_a_name_outside_the_toolset_is_answered_with_what_was_probably_meant() -> None:
    outcome = await runner(echo).run(ToolCall("1", "serach_logs", "{}"), call_context())
    assert not outcome.ok
    assert outcome.text == "ToolCallError: no tool is called `serach_logs`; did you mean `search_logs`?"


@pytest.mark.parametrize("text", ["[1]", "3", "not json", '{"a":'])
async def test_arguments_that_are_no_object_are_refused_without_running_the_tool(text: str) -> None:
    scenario = Scenario([success("x")])
    outcome = await scenario.call(text)
    assert outcome.outcome == "schema_error"
    assert "one JSON object" in outcome.text
    assert scenario.executed == 0


@pytest.mark.parametrize(("text", "value"), [("", {}), ("  ", {}), ("null", {}), ('"{\\"a\\": 1}"', {"a": 1})])
def test_lenient_spellings_of_an_object_are_understood(text: str, value: JsonObject) -> None:
    assert parse_arguments(text) == value


async def test_whatever_a_tool_raises_becomes_an_outcome_without_its_message_leaking() -> None:
    async def explode(_arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        raise RuntimeError("secret-token")

    outcome = await runner(explode).run(ToolCall("1", "search_logs", "{}"), call_context())
    assert not outcome.ok
    assert "RuntimeError" in outcome.text
    assert "secret-token" not in outcome.text


async def test_our_own_errors_keep_their_sentence() -> None:
    async def refuse(_arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        raise RequestError("`x` is not allowed; use `y`.")

    outcome = await runner(refuse).run(ToolCall("1", "search_logs", "{}"), call_context())
    assert outcome.text == "ToolCallError: `x` is not allowed; use `y`."


@pytest.mark.parametrize(("read_only", "noted"), [(True, 0), (False, 1), (None, 1)])
async def test_a_tool_that_is_not_marked_as_read_only_is_noted_before_it_runs(
    read_only: bool | None, noted: int
) -> None:
    notes: list[str] = []

    async def handle(_arguments: JsonObject, _context: CallContext) -> str:
        notes.append("ran")
        return "done"

    tool = BuiltinTool("write", "", {}, handle, "mcp", annotations=Annotations(read_only=read_only))
    context = call_context()
    noting = replace(context, run=replace(context.run, note_side_effect=lambda: notes.append("noted")))
    await ToolRunner(Toolset((tool,))).run(ToolCall("c", "write", "{}"), noting)
    assert notes == ["noted"] * noted + ["ran"]
