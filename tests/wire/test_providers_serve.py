"""Every provider behind the real server, asked with the unmodified ``openai`` SDK. Fakes play the providers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.wire.process import AuraServer
from tests.wire.providers.agents import MOCK, FakeAgent
from tests.wire.providers.conftest import Fakes
from tests.wire.providers.providers import AWS, KEY, NAMES

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
EVERY_OVERRIDE = (
    'request_overrides = ["temperature", "top_p", "max_tokens", "stop", "seed", "response_format", "tool_choice",'
    ' "reasoning_effort"]'
)
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
WITHOUT_SEED = ("anthropic", "bedrock")
DETAILS = {
    "openai": (60, 10, 30),
    "openrouter": (60, 10, 30),
    "anthropic": (60, 10, 30),
    "gemini": (60, None, 30),
    "ollama": (None, None, None),
    "bedrock": (60, 10, None),
}
"""Cached, cache-write and reasoning tokens of the scenario, as far as the provider's protocol has them."""


@dataclass(slots=True)
class Scene:
    server: AuraServer
    client: openai.OpenAI
    agents: Mapping[str, FakeAgent]

    def ask(self, agent: str, **parameters: Any) -> Any:
        return self.client.chat.completions.create(model=agent, messages=QUESTION, **parameters)

    def text(self, agent: str, **parameters: Any) -> str:
        return cast("str", self.ask(agent, **parameters).choices[0].message.content)

    def sent(self, agent: str) -> Mapping[str, Any]:
        """The last body that the agent's provider got."""
        return self.agents[agent].bodies()[-1]


class Cast:
    """Writes the agents' files."""

    def __init__(self, fakes: Fakes, directory: Path) -> None:
        self._fakes = fakes
        self._directory = directory
        self.agents: dict[str, FakeAgent] = {}

    def add(self, provider: str, scenario: str, suffix: str = "", **file: str) -> FakeAgent:
        agent = FakeAgent.on(self._fakes, provider, scenario, suffix)
        self.agents[agent.name] = agent
        self.write(agent.name, agent.file(**file))
        return agent

    def write(self, name: str, text: str) -> None:
        (self._directory / f"{name}.toml").write_text(text)

    def chain(self, name: str, *scenarios: str, agent: str = "") -> None:
        """An agent whose first scenario is OpenAI's and whose fallbacks are Anthropic's."""
        first, *others = (
            FakeAgent.on(self._fakes, "anthropic" if place else "openai", scenario, f"-{name}-{place}")
            for place, scenario in enumerate(scenarios)
        )
        self.agents |= {f"{name}-{place}": each for place, each in enumerate((first, *others))}
        tables = "".join(f"[[agent.llm.fallback]]\n{other.llm()}" for other in others)
        self.write(name, first.file(agent, rest=tables).replace(first.name, name))


def prepare(cast_: Cast) -> None:
    for provider in NAMES:
        for scenario in (
            "plain_text",
            "reasoning",
            "full_usage",
            "wrong_key",
            "error_after_text",
            "context_overflow",
            "stop_length",
        ):
            cast_.add(provider, scenario)
        cast_.add(provider, "overflow_in_stream")
        cast_.add(provider, "real_tool", rest=MOCK)
        cast_.add(provider, "plain_text", "-open", agent=EVERY_OVERRIDE, llm="temperature = 0.9\nmax_tokens = 500")
        cast_.add(provider, "real_tool", "-open", agent=EVERY_OVERRIDE, rest=MOCK)
        cast_.add(provider, "bad_request", agent=EVERY_OVERRIDE)
    for provider in NAMES:
        cast_.add(provider, "plain_text", "-strict", agent="enable_client_tools = true", rest=MOCK)
    for name in ("busy-first-False", "busy-first-True", "busy-first-unfit"):
        cast_.chain(name, "overloaded", "plain_text", agent=EVERY_OVERRIDE)
    cast_.chain("slow-down-first", "rate_limited", "plain_text")
    cast_.chain("later-first", "come_back_later", "plain_text")
    cast_.chain("key-first", "wrong_key", "plain_text")
    cast_.chain("seen-first", "error_after_text", "plain_text")
    cast_.chain("all-busy", "overloaded", "overloaded")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("providers") / "agents"
    directory.mkdir()
    with ExitStack() as stack:
        cast_ = Cast(Fakes(stack), directory)
        prepare(cast_)
        server = AuraServer.start(
            directory, tmp_path_factory.mktemp("server"), env={**AWS, "PYTHONPATH": str(Path.cwd())}
        )
        stack.callback(server.stop)
        client = stack.enter_context(openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0))
        yield Scene(server, client, cast_.agents)


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", NAMES)
def test_text_is_streamed_and_given_in_one_piece(scene: Scene, provider: str) -> None:
    chunks = list(scene.ask(f"{provider}-plain_text", stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello, world!"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert scene.text(f"{provider}-plain_text") == "Hello, world!"


@pytest.mark.parametrize("provider", NAMES)
def test_reasoning_stands_apart_from_the_text(scene: Scene, provider: str) -> None:
    deltas = [chunk.choices[0].delta for chunk in scene.ask(f"{provider}-reasoning", stream=True)]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "First think."
    assert "".join(delta.content or "" for delta in deltas) == "Then speak."


@pytest.mark.parametrize("provider", NAMES)
def test_a_tool_of_a_real_server_runs_and_its_result_goes_back(scene: Scene, provider: str) -> None:
    answer = scene.ask(f"{provider}-real_tool")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.tool_calls is None
    assert "Hello, world!" in answer.choices[0].message.content
    first, second = scene.agents[f"{provider}-real_tool"].bodies()
    assert "mock_tool" in str(first)
    assert "Mock tool received: ping" in str(second)


@pytest.mark.parametrize("provider", NAMES)
def test_an_answer_that_the_provider_cut_off_says_length(scene: Scene, provider: str) -> None:
    agent = f"{provider}-stop_length"
    chunks = list(scene.ask(agent, stream=True))
    ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert ends == ["length"]
    choice = scene.ask(agent).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("length", "cut")
    response = scene.client.responses.create(model=agent, input="hello")
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("provider", NAMES)
def test_usage_has_the_details_that_the_provider_tells(scene: Scene, provider: str) -> None:
    usage = scene.ask(f"{provider}-full_usage").usage.model_dump()
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] == 140
    given, made = usage["prompt_tokens_details"] or {}, usage["completion_tokens_details"] or {}
    told = (given.get("cached_tokens"), given.get("cache_write_tokens"), made.get("reasoning_tokens"))
    assert told == DETAILS[provider]


# --- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_key_is_told_with_the_remedy_and_without_the_key(scene: Scene, provider: str, stream: bool) -> None:
    agent = scene.agents[f"{provider}-wrong_key"]
    with pytest.raises(openai.APIError) as failed:
        list(scene.ask(agent.name, stream=stream))
    # A provider that takes more than a second to refuse finds the stream open: then it is told there.
    assert isinstance(failed.value, openai.APIStatusError) or stream
    error = cast("dict[str, Any]", failed.value.body)
    assert error["code"] == "provider_auth_error"
    remedy = "credentials" if provider == "bedrock" else "`api_key`"
    for part in (agent.name, f"`{provider}`", f"`{agent.model}`", remedy):
        assert part in error["message"]
    assert f"`{agent.name}`" in scene.server.log
    assert error["message"] in scene.server.log
    assert KEY not in f"{failed.value}{error}" + scene.server.log


@pytest.mark.parametrize("provider", NAMES)
def test_a_failure_after_text_is_an_error_frame(scene: Scene, provider: str) -> None:
    agent = scene.agents[f"{provider}-error_after_text"]
    seen: list[str] = []

    def read() -> None:
        for chunk in scene.ask(agent.name, stream=True):
            assert chunk.choices[0].finish_reason is None
            seen.append(chunk.choices[0].delta.content or "")

    with pytest.raises(openai.APIError) as failed:
        read()
    assert "".join(seen) == "so far so good"
    assert f"`{agent.model}`" in str(failed.value)
    assert len(agent.bodies()) == 1


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("scenario", ["context_overflow", "overflow_in_stream"])
def test_a_conversation_that_is_too_long_has_one_code(scene: Scene, provider: str, scenario: str) -> None:
    with pytest.raises(openai.BadRequestError) as failed:
        scene.ask(f"{provider}-{scenario}")
    assert failed.value.code == "context_length_exceeded"


# --- what a request may change -------------------------------------------------------------------------------------

KNOBS: dict[str, dict[str, Any]] = {
    "openai": {"temperature": 0.25, "top_p": 0.5, "max_tokens": 99, "stop": ["END"], "seed": 11},
    "openrouter": {"temperature": 0.25, "top_p": 0.5, "max_tokens": 99, "stop": ["END"], "seed": 11},
    "anthropic": {"temperature": 0.25, "top_p": 0.5, "max_tokens": 99, "stop_sequences": ["END"]},
    "gemini": {"temperature": 0.25, "topP": 0.5, "maxOutputTokens": 99, "stopSequences": ["END"], "seed": 11},
    "ollama": {"temperature": 0.25, "top_p": 0.5, "num_predict": 99, "stop": ["END"], "seed": 11},
    "bedrock": {"temperature": 0.25, "topP": 0.5, "maxTokens": 99, "stopSequences": ["END"]},
}
PLACES = {"gemini": "generationConfig", "ollama": "options", "bedrock": "inferenceConfig"}
ASKED: dict[str, Any] = {"temperature": 0.25, "top_p": 0.5, "stop": "END"}


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("cap", ["max_tokens", "max_completion_tokens"])
def test_allowed_parameters_reach_the_provider_under_its_names(scene: Scene, provider: str, cap: str) -> None:
    seed = {} if provider in WITHOUT_SEED else {"seed": 11}
    scene.ask(f"{provider}-plain_text-open", **ASKED, **seed, **{cap: 99})
    body = scene.sent(f"{provider}-plain_text-open")
    sent = body[PLACES[provider]] if provider in PLACES else body
    assert {name: sent.get(name) for name in KNOBS[provider]} == KNOBS[provider]


@pytest.mark.parametrize("provider", NAMES)
def test_parameters_that_are_not_allowed_change_nothing(scene: Scene, provider: str) -> None:
    name = f"{provider}-plain_text"
    scene.ask(name)
    usual = scene.sent(name)
    scene.ask(name, **ASKED, seed=11, max_tokens=99, response_format=FORMAT, reasoning_effort="high")
    assert scene.sent(name) == usual


@pytest.mark.parametrize("provider", NAMES)
def test_the_file_s_cap_is_not_exceeded(scene: Scene, provider: str) -> None:
    scene.ask(f"{provider}-plain_text-open", max_tokens=100_000)
    body = scene.sent(f"{provider}-plain_text-open")
    sent = body[PLACES[provider]] if provider in PLACES else body
    assert 500 in sent.values()


@pytest.mark.parametrize("provider", NAMES)
def test_a_response_format_reaches_the_provider(scene: Scene, provider: str) -> None:
    scene.ask(f"{provider}-plain_text-open", response_format=FORMAT)
    body = scene.sent(f"{provider}-plain_text-open")
    assert "city" in str({key: value for key, value in body.items() if key != "messages"})


def test_responses_say_the_same_in_their_own_way(scene: Scene) -> None:
    text: Any = {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA}}
    scene.client.responses.create(
        model="openai-plain_text-open", input="hello", reasoning={"effort": "low"}, text=text, max_output_tokens=77
    )
    sent = scene.sent("openai-plain_text-open")
    assert (sent["reasoning_effort"], sent["max_tokens"], sent["response_format"]) == ("low", 77, FORMAT)


@pytest.mark.parametrize("provider", NAMES)
def test_a_value_that_the_provider_refuses_is_the_callers_where_he_set_it(scene: Scene, provider: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        scene.ask(f"{provider}-bad_request", temperature=1.5)
    assert refused.value.param == "temperature"
    with pytest.raises(openai.APIError) as streamed:
        list(scene.ask(f"{provider}-bad_request", temperature=1.5, stream=True))
    assert streamed.value.param == "temperature"
    with pytest.raises(openai.InternalServerError) as failed:
        scene.ask(f"{provider}-bad_request")
    assert failed.value.code == "provider_rejected"


@pytest.mark.parametrize("provider", ["openai", "openrouter", "ollama"])
def test_an_effort_reaches_the_provider_as_its_own_knob(scene: Scene, provider: str) -> None:
    scene.ask(f"{provider}-plain_text-open", reasoning_effort="high")
    sent = scene.sent(f"{provider}-plain_text-open")
    knobs = {"openai": "high", "openrouter": {"effort": "high"}, "ollama": True}
    assert sent.get({"openai": "reasoning_effort", "openrouter": "reasoning"}.get(provider, "think")) == knobs[provider]


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "bedrock"])
def test_an_effort_is_refused_for_a_model_that_does_not_think(scene: Scene, provider: str) -> None:
    with pytest.raises(openai.BadRequestError) as failed:
        scene.ask(f"{provider}-plain_text-open", reasoning_effort="high")
    assert failed.value.param == "reasoning_effort"


@pytest.mark.parametrize("provider", WITHOUT_SEED)
def test_an_allowed_parameter_without_a_knob_is_refused_in_one_sentence(scene: Scene, provider: str) -> None:
    agent = scene.agents[f"{provider}-plain_text-open"]
    before = len(agent.bodies())
    with pytest.raises(openai.BadRequestError) as failed:
        scene.ask(agent.name, seed=11)
    assert failed.value.param == "seed"
    assert f"Agent `{agent.name}`: provider `{provider}`, model `{agent.model}`, cannot take `seed`" in str(
        failed.value
    )
    assert len(agent.bodies()) == before


@pytest.mark.parametrize("provider", [name for name in NAMES if name != "ollama"])
def test_a_tool_choice_forces_the_agent_s_own_tool_where_the_file_allows_it(scene: Scene, provider: str) -> None:
    choice = {"type": "function", "function": {"name": "mock_tool"}}
    for agent, forced in ((f"{provider}-real_tool", False), (f"{provider}-real_tool-open", True)):
        before = len(scene.agents[agent].bodies())
        scene.ask(agent, tool_choice=choice)
        first, *later = scene.agents[agent].bodies()[before:]
        assert _forces(first) == forced
        assert not any(_forces(body) for body in later)


def test_a_tool_choice_that_cannot_be_met_is_refused(scene: Scene) -> None:
    with pytest.raises(openai.BadRequestError) as missing:
        scene.ask("openai-real_tool-open", tool_choice={"type": "function", "function": {"name": "nope"}})
    with pytest.raises(openai.BadRequestError) as unable:
        scene.ask("ollama-real_tool-open", tool_choice="required")
    assert (missing.value.param, unable.value.param) == ("tool_choice", "tool_choice")
    assert "`nope`" in str(missing.value)


@pytest.mark.parametrize("provider", NAMES)
def test_a_caller_s_own_tool_is_strict_where_the_provider_speaks_its_protocol(scene: Scene, provider: str) -> None:
    function = {"name": "place", "description": "A place.", "parameters": SCHEMA, "strict": True}
    scene.ask(f"{provider}-plain_text-strict", tools=[{"type": "function", "function": function}])
    tools = [tool.get("function", {}) for tool in scene.sent(f"{provider}-plain_text-strict").get("tools", ())]
    strict = {tool["name"]: tool.get("strict") for tool in tools if provider in ("openai", "openrouter")}
    if strict:
        assert strict.pop("place") is True
        # The agent's own tools come from servers whose schemas nobody wrote for a provider's strict mode.
        assert set(strict.values()) == {None}
    else:
        assert "strict" not in json.dumps(tools)


def _forces(body: Mapping[str, Any]) -> bool:
    config = body.get("toolConfig", {})
    return "mock_tool" in str((body.get("tool_choice"), config.get("toolChoice"), config.get("functionCallingConfig")))


@pytest.mark.parametrize("provider", NAMES)
def test_a_chat_client_s_title_in_json_is_not_refused(scene: Scene, provider: str) -> None:
    title = {"role": "user", "content": "### Task:\nGenerate a title."}
    answer = scene.client.chat.completions.create(
        model=f"{provider}-plain_text",
        messages=cast("list[ChatCompletionMessageParam]", [title]),
        response_format={"type": "json_object"},
    )
    assert answer.choices[0].message.content


# --- fallbacks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_the_next_model_answers_for_an_overloaded_one(scene: Scene, stream: bool) -> None:
    agent = f"busy-first-{stream}"
    if stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in scene.ask(agent, stream=True))
    else:
        text = scene.text(agent)
    assert text == "Hello, world!"
    assert len(scene.agents[f"{agent}-0"].bodies()) == 2
    assert "Trying the next model of the fallback chain." in scene.server.log


def test_a_model_that_wants_to_be_left_alone_for_a_while_is_not_asked_by_the_next_call(scene: Scene) -> None:
    for _ in range(3):
        assert scene.text("later-first") == "Hello, world!"
    assert len(scene.agents["later-first-0"].bodies()) == 1
    assert "is asked after the others of its chain for 600 s." in scene.server.log


def test_a_wish_to_wait_is_not_waited_for_when_another_model_can_answer(scene: Scene) -> None:
    assert scene.text("slow-down-first") == "Hello, world!"
    assert len(scene.agents["slow-down-first-0"].bodies()) == 1


def test_the_next_model_is_not_asked_after_refused_credentials(scene: Scene) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        scene.ask("key-first")
    assert failed.value.code == "provider_auth_error"
    assert scene.agents["key-first-1"].bodies() == []


def test_the_next_model_is_not_asked_after_visible_text(scene: Scene) -> None:
    with pytest.raises(openai.APIError):
        list(scene.ask("seen-first", stream=True))
    assert scene.agents["seen-first-1"].bodies() == []


def test_the_last_failure_of_the_chain_is_told(scene: Scene) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        scene.ask("all-busy")
    assert (failed.value.status_code, failed.value.code) == (503, "provider_overloaded")
    assert "`anthropic`" in str(failed.value)


def test_a_fallback_that_cannot_take_the_request_leaves_the_first_failure(scene: Scene) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        scene.ask("busy-first-unfit", seed=11)
    assert (failed.value.status_code, failed.value.code) == (503, "provider_overloaded")
    assert "`openai`" in str(failed.value)
    assert "cannot take `seed`" in scene.server.log
