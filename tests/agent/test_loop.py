"""The turn loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest

from aura_py.agent.loop import MAX_PARALLEL_CALLS, Conversation, LoopResult, LoopSpec
from aura_py.config.models import ScriptedLLM
from aura_py.context import RunContext
from aura_py.errors import ProviderError, ProviderProtocolError
from aura_py.events import Event, ModelCallCompleted, ReasoningDelta, TextDelta, ToolCompleted, ToolRequested
from aura_py.llm import build_model
from aura_py.llm.contract import ChatModel, Delta, Finish, Text, Thinking, ThinkingBlock, ToolCallReady, ToolSpec
from aura_py.messages import FinishReason, JsonObject, Reasoning, ToolCall, user
from aura_py.tools.contract import BuiltinTool, CallContext, Tool, ToolOutcome, success
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset
from tests.agent.scenario import call_context
from tests.llm.fakes import Says, Script, answer

Rule = Mapping[str, Any]


def scripted(*rules: Rule) -> ChatModel:
    return build_model(ScriptedLLM.model_validate({"model": "demo", "rules": rules}), agent="test")


def tool(name: str, answer: str = "data") -> Tool:
    async def handler(_arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        return success(answer)

    return BuiltinTool(name, "", {"type": "object"}, handler, "filesystem")


def spec(model: ChatModel, *tools: Tool, depth: int = 5) -> LoopSpec:
    return LoopSpec(model=model, system="You test.", runner=ToolRunner(Toolset(tools)), turn_depth=depth)


async def talk(loop: LoopSpec, question: str = "go") -> tuple[LoopResult, list[Event]]:
    events: list[Event] = []
    context = replace(call_context().run, emit=events.append)
    conversation = Conversation(loop, [user(question)], context)
    async for batch in conversation.run():
        events += batch
    return conversation.result, events


async def test_thoughts_of_consecutive_turns_and_blocks_are_kept_apart() -> None:
    block = ThinkingBlock(Reasoning("ab"))
    model = Says(
        (
            [Thinking("a")],
            [Thinking("b"), block, Text("x"), Thinking("c"), ToolCallReady(ToolCall("1", "look", "{}"))],
            [Finish("tool_calls")],
        ),
        ([Thinking("d")], [Text("done")], [Finish("stop")]),
    )
    result, events = await talk(spec(model, tool("look")))
    assert result.reasoning == "ab\n\nc\n\nd"
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == result.reasoning


async def exhaust(conversation: Conversation) -> None:
    async for _ in conversation.run():
        pass


def completed(events: Sequence[Event]) -> list[str]:
    return [e.name for e in events if isinstance(e, ToolCompleted)]


async def test_a_plain_answer_takes_one_turn() -> None:
    result, events = await talk(spec(scripted({"say": "Hello there"})))
    assert (result.answer, result.turns, result.finish_reason) == ("Hello there", 1, "stop")
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "Hello there"


async def test_a_tool_result_goes_back_to_the_model() -> None:
    model = scripted(
        {"after_tool": "look", "say": "It says {{ result }}."},
        {"say": "Let me see.", "tool_calls": [{"name": "look"}]},
    )
    result, events = await talk(spec(model, tool("look", "42")))
    assert result.answer == "It says 42."
    assert [m.role for m in result.conversation] == ["user", "assistant", "tool", "assistant"]
    assert completed(events) == ["look"]
    assert sum(isinstance(e, ModelCallCompleted) for e in events) == 2


async def test_calls_of_one_turn_run_side_by_side_and_answer_in_call_order() -> None:
    both = [anyio.Event(), anyio.Event()]

    def waiting(name: str, mine: int) -> Tool:
        async def handler(_arguments: JsonObject, _context: CallContext) -> ToolOutcome:
            both[mine].set()
            await both[1 - mine].wait()
            return success(name)

        return BuiltinTool(name, "", {"type": "object"}, handler, "filesystem")

    model = scripted(
        {"after_tool": "*", "say": "{{ results | join(',') }}"},
        {"tool_calls": [{"name": "first"}, {"name": "second"}]},
    )
    with anyio.fail_after(10):
        result, events = await talk(spec(model, waiting("first", 0), waiting("second", 1)))
    assert completed(events) == ["first", "second"]
    assert [m.text for m in result.conversation if m.role == "tool"] == ["first", "second"]


@pytest.mark.parametrize("depth", [0, 1, 3])
async def test_the_last_turn_answers_without_tools_and_says_so(depth: int) -> None:
    model = scripted(
        {"call": depth + 2, "say": "Done with what I have."}, {"say": "More.", "tool_calls": [{"name": "look"}]}
    )
    result, events = await talk(spec(model, tool("look"), depth=depth))
    assert result.turns == depth + 2
    assert result.turn_limit
    assert result.finish_reason == "length"
    assert result.answer == "Done with what I have."
    assert len(completed(events)) == depth + 1


async def test_a_model_that_still_asks_for_tools_on_the_last_turn_is_not_obeyed() -> None:
    result, events = await talk(
        spec(scripted({"say": "Again.", "tool_calls": [{"name": "look"}]}), tool("look"), depth=1)
    )
    assert result.turn_limit
    assert len(completed(events)) == 2


async def test_call_ids_are_unique_within_the_conversation() -> None:
    model = scripted({"call": 3, "say": "ok"}, {"tool_calls": [{"name": "look"}, {"name": "look"}]})
    _, events = await talk(spec(model, tool("look")))
    ids = [e.call_id for e in events if isinstance(e, ToolRequested)]
    assert len(ids) == 4
    assert len(set(ids)) == 4


async def test_a_recorded_decision_ends_the_loop_and_later_calls_of_the_turn_are_not_executed() -> None:
    decided: list[str] = []

    def deciding(name: str) -> Tool:
        async def handler(_arguments: JsonObject, _context: CallContext) -> ToolOutcome:
            decided.append(name)
            return success("recorded")

        return BuiltinTool(name, "", {"type": "object"}, handler, "orchestration")

    model = scripted({"tool_calls": [{"name": "route"}, {"name": "other"}]})
    loop = spec(model, deciding("route"), deciding("other"))
    loop.done = lambda: bool(decided)
    loop.serial = True
    result, _ = await talk(loop)
    assert decided == ["route"]
    assert result.decided
    assert result.turns == 1


async def test_a_client_tool_ends_the_turn_after_the_servers_own_calls() -> None:
    model = scripted({"tool_calls": [{"name": "edit", "arguments": {"path": "a"}}, {"name": "look"}]})
    loop = spec(model, tool("look"))
    loop.client_tools = (ToolSpec("edit", "", {"type": "object"}),)
    result, events = await talk(loop)
    assert result.finish_reason == "tool_calls"
    assert [call.name for call in result.client_calls] == ["edit"]
    assert completed(events) == ["look"]
    assert [e.kind for e in events if isinstance(e, ToolRequested)] == ["client", "filesystem"]


HALF = '{"path": "/tmp'
DELETE = ToolSpec("delete", "", {"type": "object"})


def calls(*written: tuple[str, str], finish: FinishReason = "tool_calls", text: str = "") -> Script:
    ready: list[Delta] = [ToolCallReady(ToolCall(f"c{n}", name, args)) for n, (name, args) in enumerate(written)]
    return ([Text(text)] if text else [], ready, [Finish(finish)])


@pytest.mark.parametrize("written", [HALF, "{}", ""])
@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_a_client_call_that_was_cut_is_not_passed_on(written: str, finish: FinishReason) -> None:
    model = Says(calls(("look", '{"a": 1}'), ("delete", written), finish=finish, text="Well:"))
    result, events = await talk(replace(spec(model, tool("look")), client_tools=(DELETE,)))
    assert (result.finish_reason, result.client_calls, result.answer) == (finish, (), "Well:")
    assert not any(isinstance(event, ToolRequested) for event in events)
    assert [message.role for message in result.conversation] == ["user", "assistant"]


@pytest.mark.parametrize("written", [HALF, "null]", "[1]", '"text"', "5"])
async def test_a_malformed_client_call_is_asked_for_again(written: str) -> None:
    model = Says(
        calls(("delete", '{"path": "a"}'), ("delete", written), ("look", "{}")), calls(("delete", '{"path": "b"}'))
    )
    result, events = await talk(replace(spec(model, tool("look")), client_tools=(DELETE,)))
    assert [call.arguments for call in result.client_calls] == ['{"path": "b"}']
    assert [event.name for event in events if isinstance(event, ToolRequested)] == ["look", "delete"]
    not_passed_on, malformed, looked = [m.text for m in model.requests[1].messages if m.role == "tool"]
    assert "none was passed on" in not_passed_on
    assert malformed.startswith("JsonError: the arguments are")
    assert looked == "data"


async def test_a_client_call_that_stays_malformed_ends_the_run_when_the_turns_are_used_up() -> None:
    model = Says(calls(("delete", HALF)))
    with pytest.raises(ProviderProtocolError, match="tools `delete` with arguments that are no JSON object"):
        await talk(replace(spec(model, depth=2), client_tools=(DELETE,)))
    assert len(model.requests) == 3


@pytest.mark.parametrize(
    ("written", "passed"),
    [("", "{}"), ("null", "{}"), ('"{\\"a\\": 1}"', '{"a":1}'), ('{"a": 1}', '{"a": 1}'), ('{"a": NaN}', '{"a": NaN}')],
)
async def test_a_client_call_is_passed_on_as_an_object(written: str, passed: str) -> None:
    model = Says(calls(("delete", written)))
    result, events = await talk(replace(spec(model), client_tools=(DELETE,)))
    assert [call.arguments for call in result.client_calls] == [passed]
    assert [event.arguments for event in events if isinstance(event, ToolRequested)] == [passed]


async def test_a_call_that_was_cut_before_its_arguments_is_not_executed() -> None:
    executed: list[JsonObject] = []

    async def wipe(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        executed.append(arguments)
        return success("gone")

    model = Says(calls(("wipe", "{}"), finish="length"), answer("sorry"))
    result, events = await talk(spec(model, BuiltinTool("wipe", "", {"type": "object"}, wipe, "mcp")))
    assert (executed, completed(events), result.answer) == ([], ["wipe"], "sorry")
    assert "was cut" in model.requests[1].messages[-1].text


async def test_an_unknown_tool_is_answered_and_the_run_goes_on() -> None:
    model = scripted({"after_error": True, "say": "I see."}, {"tool_calls": [{"name": "nonsense"}]})
    result, _ = await talk(spec(model, tool("look")))
    assert result.answer == "I see."


async def test_a_failure_in_mid_answer_still_counts_what_was_used() -> None:
    model = scripted({"say": "one two three four", "error": {"status": 400, "message": "no", "after_chars": 8}})
    events: list[Event] = []
    context = replace(call_context().run, emit=events.append)
    conversation = Conversation(spec(model), [user("go")], context)
    with pytest.raises(ProviderError):
        await exhaust(conversation)
    assert conversation.result.usage.total > 0


@pytest.mark.parametrize("count", [1, MAX_PARALLEL_CALLS + 8])
async def test_cancelling_a_turn_completes_its_open_calls_as_failed(count: int) -> None:
    begun = anyio.Event()

    async def hang(_arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    model = scripted({"tool_calls": [{"name": "hang"}] * count})
    events: list[Event] = []
    context: RunContext = replace(call_context().run, emit=events.append)
    conversation = Conversation(
        spec(model, BuiltinTool("hang", "", {"type": "object"}, hang, "filesystem")), [user("go")], context
    )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exhaust, conversation)
        await begun.wait()
        tasks.cancel_scope.cancel()
    done = [e for e in events if isinstance(e, ToolCompleted)]
    assert [e.call_id for e in done] == [e.call_id for e in events if isinstance(e, ToolRequested)]
    assert len(done) == count
    assert all(not e.ok and e.error is not None and "cancelled" in e.error for e in done)
