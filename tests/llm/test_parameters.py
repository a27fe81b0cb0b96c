"""Parameters that a model refuses: left out where Aura added them, told to the caller where the caller did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aura_py.errors import ProviderError, ProviderRejected, RequestError
from aura_py.llm.circuit import Circuit
from aura_py.llm.contract import CallInfo, Capabilities, ChatRequest, NamedTool, Sampling, ToolChoice
from aura_py.llm.resilience import ResilientModel
from aura_py.messages import TextPart, ToolCall, assistant, tool_result, user
from tests.llm.conversations import ADD, WEATHER, ask, asked
from tests.llm.fakes import Says, Sleeper, answer, overloaded

REFUSALS = {
    "Moonshot": (400, "tool_choice 'required' is incompatible with thinking enabled"),
    "DashScope": (400, "The tool_choice parameter does not support being set to required or object in thinking mode"),
    "DeepSeek": (400, '{"error":{"message":"deepseek-reasoner does not support this tool_choice"}}'),
    "LM Studio": (400, "Invalid tool_choice type: 'object'. Supported string values: none, auto, required"),
    "Anthropic": (400, "Thinking may not be enabled when tool_choice forces tool use."),
    "Bedrock": (400, "This model doesn't support the toolConfig.toolChoice.any field."),
    "OpenRouter": (404, "No endpoints found that support the provided 'tool_choice' value."),
    "Mistral": (422, '{"detail":[{"loc":["body","tool_choice"],"msg":"value is not valid"}]}'),
    "Gemini": (400, "Forced function calling (mode = ANY) is unsupported"),
    "llama.cpp": (500, "Unsupported param: tool_choice"),
    "a server of few words": (400, "Bad Request"),
}


def refusal(status: int, text: str) -> ProviderError:
    return asked("openai", "m").status(status, text)


def forced(choice: ToolChoice = "required", **rest: Any) -> ChatRequest:
    return replace(ask(user("go"), tools=(WEATHER, ADD), tool_choice=choice), **rest)


async def run(model: ResilientModel, request: ChatRequest) -> None:
    async for _ in model.stream(request):
        pass


def resilient(*models: Says, never_forced: bool = False) -> ResilientModel:
    return ResilientModel(models[0], models[1:], agent="tester", never_forced=[never_forced], clock=Sleeper())


@pytest.mark.parametrize(("status", "text"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_forced_call_is_asked_for_once_more_in_words_and_never_forced_again(
    status: int, text: str
) -> None:
    says = Says((refusal(status, text),), answer())
    model = resilient(says)
    await run(model, forced(NamedTool("add")))
    await run(model, forced())
    first, second, later = says.requests
    assert first.tool_choice == NamedTool("add")
    assert (second.tool_choice, later.tool_choice) == ("auto", "auto")
    assert second.messages[-1].text == "go\n\nCall the tool `add` now. Answer with that call, not with text."
    assert "Call one of these tools now: `get_weather`, `add`." in later.messages[-1].text


async def test_the_words_follow_a_tool_result_as_a_message_of_their_own() -> None:
    says = Says((refusal(400, "no tool_choice here"),), answer())
    call = ToolCall("c", "add", "{}")
    conversation = (user("go"), assistant("", (call,)), tool_result(call, (TextPart("3"),)))
    await run(resilient(says), forced(messages=conversation))
    assert [m.role for m in says.requests[1].messages] == ["user", "assistant", "tool", "user"]


async def test_a_refusal_that_has_nothing_to_do_with_the_forced_call_is_reported_and_not_remembered() -> None:
    says = Says((refusal(400, "messages must alternate"),))
    model = resilient(says)
    for calls in (2, 4):
        with pytest.raises(ProviderRejected, match="rejected the request as malformed"):
            await run(model, forced())
        assert len(says.requests) == calls
    assert says.requests[2].tool_choice == "required"


async def test_a_model_whose_table_says_so_is_never_forced() -> None:
    says = Says(answer())
    await run(resilient(says, never_forced=True), forced())
    assert says.requests[0].tool_choice == "auto"


async def test_a_model_that_cannot_be_forced_is_asked_in_words_also_as_a_fallback() -> None:
    weak = Says(answer())
    weak.capabilities = Capabilities(tool_choice=False)
    await run(resilient(Says((overloaded(),)), weak), forced())
    assert weak.requests[0].tool_choice == "auto"
    assert "`get_weather`" in weak.requests[0].messages[-1].text


async def test_what_one_agent_learnt_of_a_model_the_others_know() -> None:
    memory, says = Circuit(), Says((refusal(400, "tool_choice"),), answer())
    for _ in range(2):
        await run(ResilientModel(says, agent="tester", circuits=[memory], clock=Sleeper()), forced())
    assert [request.tool_choice for request in says.requests] == ["required", "auto", "auto"]


async def test_a_forbidden_call_that_is_refused_leaves_forced_calls_as_they_are() -> None:
    says = Says((refusal(400, "tool_choice `none` is not supported"),), answer())
    model = resilient(says)
    for choice in ("none", "none", "required"):
        await run(model, forced(choice))
    assert [request.tool_choice for request in says.requests] == ["none", "auto", "auto", "required"]
    assert says.requests[1].messages == forced().messages


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stream_options", "Unrecognized request argument supplied: stream_options"),
        ("parallel_tool_calls", "Unsupported parameter: 'parallel_tool_calls' is not supported with this model."),
        ("strict", "tools.0.function.strict: Extra inputs are not permitted"),
        ("cache_control", "You invoked an unsupported model or your request did not allow prompt caching."),
        ("eager_input_streaming", "tools.0.eager_input_streaming: Extra inputs are not permitted"),
        ("include_thoughts", "Thinking_config.include_thoughts is only enabled when thinking is enabled."),
        ("reasoning_content", "property 'reasoning_content' is unsupported"),
    ],
)
async def test_what_aura_adds_on_its_own_is_left_out_once_refused(name: str, text: str) -> None:
    says = Says((refusal(400, text),), answer())
    model = resilient(says)
    request = ask(user("go"), tools=(replace(ADD, strict=True),), parallel_tool_calls=True)
    for _ in range(2):
        await run(model, request)
    assert [name in request.left_out for request in says.requests] == [False, True, True]
    sent = says.requests[1]
    assert sent.parallel_tool_calls is (None if name == "parallel_tool_calls" else True)
    assert sent.tools[0].strict is (name != "strict")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "`max_tokens` must be greater than `thinking.budget_tokens`",
            Sampling(response_format={"type": "json_object"}),
        ),
        ("This response_format type is unavailable now", Sampling(max_tokens=1000)),
    ],
)
async def test_a_side_request_goes_without_its_cap_or_its_format_where_they_are_refused(
    text: str, left: Sampling
) -> None:
    says = Says((refusal(400, text),), answer())
    asked_for = Sampling(max_tokens=1000, response_format={"type": "json_object"})
    model = resilient(says)
    await run(model, ask(user("title?"), sampling=asked_for, info=CallInfo("side")))
    await run(model, ask(user("hi"), sampling=asked_for))
    assert [request.sampling for request in says.requests] == [asked_for, left, asked_for]


async def test_refusals_of_one_thing_after_another_end_and_cost_no_attempt() -> None:
    scripts = [(refusal(400, f"unknown field {name}"),) for name in ("stream_options", "cache_control", "tool_choice")]
    says = Says(*scripts, (overloaded(),), (overloaded(),), answer())
    await run(resilient(says), forced())
    assert len(says.requests) == 6


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temperature", "temperature: range: 0..1"),
        ("max_tokens", "max_tokens: 999999 > 64000, which is the maximum allowed number of output tokens"),
        ("top_p", "Invalid value at 'generation_config.topP'"),
        ("stop", '{"error":{"message":"too many","param":"stop"}}'),
        ("reasoning_effort", "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model."),
        ("response_format", "Invalid schema for response_format 'x': missing additionalProperties"),
        ("tool_choice", "tool_choice is not supported"),
        ("seed", "seed must fit 32 bits"),
    ],
)
async def test_a_refused_parameter_of_the_caller_is_the_caller_s_to_mend(name: str, text: str) -> None:
    says = Says((refusal(400, text),))
    with pytest.raises(RequestError, match=f"does not take `{name}` as the request sets it") as raised:
        await run(resilient(says), forced(sampling=Sampling(), from_caller=frozenset({name})))
    assert (raised.value.status, raised.value.param) == (400, name)


async def test_a_forced_call_that_the_caller_wants_of_a_model_that_is_never_forced_is_refused() -> None:
    says = Says(answer())
    with pytest.raises(RequestError) as raised:
        await run(resilient(says, never_forced=True), forced(from_caller=frozenset({"tool_choice"})))
    assert raised.value.param == "tool_choice"
    assert says.requests == []
