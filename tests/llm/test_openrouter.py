"""What only OpenRouter's dialect does; the rest is in the contract suite."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import SecretStr

from aura_py.config.models import OpenRouterLLM
from aura_py.errors import ProviderOverloaded
from aura_py.llm.contract import ChatRequest, Delta, Thinking, ThinkingBlock
from aura_py.llm.openrouter.client import build
from aura_py.llm.openrouter.stream import OpenRouterStream
from aura_py.messages import Reasoning
from tests.llm.conversations import WEATHER, after_a_call, ask, asked, sampled


def body(request: ChatRequest, **rest: Any) -> dict[str, Any]:
    return build(OpenRouterLLM(model="m", api_key=SecretStr("k"), **rest), agent="tester").body(request)


def read(*chunks: dict[str, Any]) -> tuple[list[Delta], OpenRouterStream]:
    reader = OpenRouterStream(asked("openrouter", "m"))
    return reader.feed(b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)), reader


def thought(*details: dict[str, Any], finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {**delta, "reasoning_details": list(details)}, "finish_reason": finish}]}


def test_max_tokens_and_effort_have_openrouters_names() -> None:
    sent = body(sampled(reasoning_effort="low"), max_tokens=9)
    assert (sent["max_tokens"], sent["reasoning"]) == (9, {"effort": "low"})
    assert "reasoning_effort" not in sent


def test_additional_params_win_over_the_effort() -> None:
    sent = body(sampled(reasoning_effort="low"), additional_params={"reasoning": {"max_tokens": 5}})
    assert sent["reasoning"] == {"max_tokens": 5}


def test_reasoning_details_go_back_to_their_message() -> None:
    details: Any = [{"type": "reasoning.encrypted", "data": "x"}]
    kept = Reasoning("hm", "openrouter", {"reasoning_details": details})
    messages = body(ask(*after_a_call(kept), tools=(WEATHER,)))["messages"]
    assert [message.get("reasoning_details") for message in messages] == [None, details, None]


def test_pieces_of_a_detail_are_joined() -> None:
    deltas, reader = read(
        thought({"type": "reasoning.text", "index": 0, "text": "a"}, reasoning="a"),
        thought({"type": "reasoning.text", "index": 0, "text": "b", "signature": "s"}, reasoning="b"),
        thought({"type": "reasoning.encrypted", "index": 1, "data": "z"}, finish="stop"),
    )
    assert deltas == [Thinking("a"), Thinking("b")]
    block = reader.end()[0]
    assert isinstance(block, ThinkingBlock)
    assert block.reasoning.text == "ab"
    assert block.reasoning.opaque["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "ab", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 1, "data": "z"},
    ]


def test_details_without_plain_reasoning_are_shown() -> None:
    deltas, _ = read(thought({"type": "reasoning.summary", "index": 0, "summary": "in short"}))
    assert deltas == [Thinking("in short")]


def test_an_error_beside_a_choice_keeps_its_status() -> None:
    choice = {"delta": {"content": ""}, "finish_reason": "error"}
    _, reader = read({"error": {"code": 502, "message": "gone"}, "choices": [choice]})
    assert type(reader.failure) is ProviderOverloaded
    assert reader.failure.provider_status == 502
