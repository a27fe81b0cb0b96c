"""How much one request may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from aura_py.errors import RequestError
from aura_py.messages import TextPart
from aura_py.server.openai import parse_chat
from aura_py.server.openai.responses_request import parse_responses
from aura_py.server.request_body import body_digest, json_object
from tests.server.rig import Rig, serving

USER: dict[str, Any] = {"role": "user", "content": "hi"}
PART: dict[str, Any] = {"type": "text", "text": "x"}
TOOL: dict[str, Any] = {"type": "function", "name": "f", "function": {"name": "f"}}
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


@pytest.fixture
def limits() -> dict[str, int]:
    return {"max_messages": 3, "max_parts": 8, "max_tools": 2, "max_input_items": 3}


@pytest.mark.parametrize(
    ("path", "body", "setting", "param"),
    [
        (CHAT, {"messages": [USER] * 4}, "AURA_MAX_MESSAGES", "messages"),
        (CHAT, {"messages": [{"role": "user", "content": [PART] * 5}] * 2}, "AURA_MAX_PARTS", "messages"),
        (CHAT, {"messages": [USER], "tools": [TOOL] * 3}, "AURA_MAX_TOOLS", "tools"),
        (RESPONSES, {"input": [USER] * 4}, "AURA_MAX_INPUT_ITEMS", "input"),
        (RESPONSES, {"input": [{"role": "user", "content": [PART] * 9}]}, "AURA_MAX_PARTS", "input"),
        (RESPONSES, {"input": "hi", "tools": [TOOL] * 3}, "AURA_MAX_TOOLS", "tools"),
        (CHAT, {"messages": [USER], "metadata": {"a": [[]] * 50}}, "AURA_MAX_PARTS", None),
    ],
)
async def test_more_than_a_limit_is_400_and_names_the_setting(
    agents: Path, limits: dict[str, int], path: str, body: dict[str, Any], setting: str, param: str | None
) -> None:
    async with serving(agents, default_agent="ops", **limits) as rig:
        reply = await rig.ask("POST", path, body)
    assert (reply.status, reply.error()["param"]) == (400, param)
    assert setting in reply.error()["message"]


async def test_as_much_as_a_limit_is_taken(agents: Path, limits: dict[str, int]) -> None:
    async with serving(agents, default_agent="ops", **limits) as rig:
        messages = [{"role": "user", "content": [PART] * 4}] * 2
        assert (await rig.ask("POST", CHAT, {"messages": messages, "tools": [TOOL] * 2})).status == 200
        assert (await rig.ask("POST", RESPONSES, {"input": [USER] * 3})).status == 200


async def test_a_large_body_is_answered_like_a_small_one(rig: Rig) -> None:
    texts = [{"type": "text", "text": "x" * 3000}] * 200
    body = {
        "model": "ops",
        "messages": [{"role": "user", "content": texts}, {"role": "assistant", "content": "a"}, USER],
    }
    assert (await rig.ask("POST", CHAT, body)).json()["choices"][0]["message"]["content"] == "You said hi"
    error = (await rig.ask("POST", CHAT, {**body, "messages": [*body["messages"], 5]})).error()
    assert error["param"] == "messages[3]"


@pytest.mark.parametrize("text", ["[1,2,3]," * 9, '\\"[,[,[,[,[,[', "\\\\", '\\\\\\"{,{,{,{,{,{,'])
def test_values_in_strings_do_not_count(text: str) -> None:
    body = {"messages": [{"role": "user", "content": text}], "stop": text}
    assert json_object(orjson.dumps(body), max_values=6) == body
    with pytest.raises(RequestError):
        json_object(orjson.dumps({**body, "extra": [[], [], []]}), max_values=6)


def test_neighbouring_texts_are_one_part_and_images_stay_between_them() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    content = [PART, PART, image, {"type": "text", "text": ""}, PART, PART]
    (message,) = parse_chat({"messages": [{"role": "user", "content": content}]}).messages
    assert [part.text if isinstance(part, TextPart) else "image" for part in message.content] == ["xx", "image", "xx"]


def test_calls_in_a_row_are_one_message_with_what_was_said_before() -> None:
    def call(number: int) -> dict[str, Any]:
        return {"type": "function_call", "call_id": f"c{number}", "name": "f", "arguments": "{}"}

    def result(number: int) -> dict[str, Any]:
        return {"type": "function_call_output", "call_id": f"c{number}", "output": "x"}

    said = {"role": "assistant", "content": "Looking."}
    items = [USER, said, call(1), call(2), result(1), result(2), call(3), result(3), said, said, USER]
    messages = parse_responses({"input": items}).messages
    assert [(m.role, m.text, [c.id for c in m.tool_calls]) for m in messages if m.role == "assistant"] == [
        ("assistant", "Looking.", ["c1", "c2"]),
        ("assistant", "", ["c3"]),
        ("assistant", "Looking.", []),
        ("assistant", "Looking.", []),
    ]


def test_odd_parts_are_told_once_a_request(caplog: pytest.LogCaptureFixture) -> None:
    odd = [{"type": f"odd_{number % 3}"} for number in range(300)]
    parse_chat({"messages": [{"role": "user", "content": [PART, *odd]}] * 5})
    assert len(caplog.records) == 3


async def test_a_large_body_is_hashed_beside_the_event_loop() -> None:
    order: list[str] = []

    async def digest() -> None:
        order.append(await body_digest(b"x" * 1_000_000, anyio.CapacityLimiter(1)))

    async def other() -> None:
        order.append("other")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(digest)
        tasks.start_soon(other)
    assert order == ["other", await body_digest(b"x" * 1_000_000, anyio.CapacityLimiter(1))]
