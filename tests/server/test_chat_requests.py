"""Which requests are accepted, and how every other one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from aura_py.server.request_body import SlowClient, read_body
from tests.server.rig import Rig, agent_file, serving

USER = {"role": "user", "content": "hi"}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "read_file", "arguments": '{"path":"a"}'}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
FTP = {"type": "image_url", "image_url": {"url": "ftp://example.com/a.png"}}

REFUSED: dict[str, tuple[object, int, str | None]] = {
    "not json": (b"{", 400, None),
    "an array": ([], 400, None),
    "a string": (b'"hi"', 400, None),
    "no messages": ({}, 400, None),
    "null messages": ({"messages": None}, 400, None),
    "empty messages": ({"messages": []}, 400, None),
    "messages of a wrong type": ({"messages": "hi"}, 400, None),
    "a message that is text": ({"messages": ["hi"]}, 400, None),
    "a role that is a number": ({"messages": [{"role": 1, "content": "x"}]}, 400, None),
    "content that is a number": ({"messages": [{"role": "user", "content": 1}]}, 400, None),
    "a part without a type": ({"messages": [{"role": "user", "content": [{}]}]}, 400, None),
    "stream that is text": ({"messages": [USER], "stream": "yes"}, 400, None),
    "a model that is a number": ({"messages": [USER], "model": 3}, 400, None),
    "tools that are no array": ({"messages": [USER], "tools": {}}, 400, None),
    "a tool without a name": ({"messages": [USER], "tools": [{"type": "function", "function": {}}]}, 400, None),
    "metadata that is text": ({"messages": [USER], "metadata": "x"}, 400, None),
    "an assistant at the end": ({"messages": [USER, {"role": "assistant", "content": "x"}]}, 400, None),
    "a tool result without tools": (
        {"messages": [USER, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
        400,
        None,
    ),
    "a tool result without a question": (
        {"messages": [{"role": "tool", "tool_call_id": "1", "content": "x"}], "tools": [TOOL]},
        400,
        None,
    ),
    "an unknown model": ({"messages": [USER], "model": "nope"}, 404, "model_not_found"),
    "an empty model": ({"messages": [USER], "model": ""}, 404, "model_not_found"),
    "an image without a usable address": (
        {"messages": [{"role": "user", "content": [FTP]}]},
        400,
        "unsupported_content",
    ),
    "audio": ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, 400, "unsupported_content"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_that_cannot_be_served_gets_its_status_and_the_envelope(
    rig: Rig, case: str, stream: bool
) -> None:
    body, status, code = REFUSED[case]
    if isinstance(body, dict) and "stream" not in body:
        body = {**body, "stream": stream}
    reply = await rig.ask("POST", "/v1/chat/completions", body)
    assert (reply.status, reply.error()["code"]) == (status, code)
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 500_000, 400),
        (b'{"messages":' + b"[" * 900 + b"]" * 900 + b"}", 400),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, 400),
        (b'{"messages":[{"role":"user","content":"\xff"}]}', 400),
        (b'{"messages":[{"role":"user","content":"\\ud83d half"}]}', 200),
    ],
)
async def test_hostile_json_never_breaks_the_server(rig: Rig, body: bytes, status: int) -> None:
    reply = await rig.ask("POST", "/v1/chat/completions", body)
    assert reply.status == status


ACCEPTED: dict[str, dict[str, Any]] = {
    "parts": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}]
    },
    "only a system message": {"messages": [{"role": "developer", "content": "hi"}]},
    "a developer message": {"messages": [{"role": "developer", "content": "Be rude."}, USER]},
    "an image": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, IMAGE]}]},
    "an unknown part": {
        "messages": [{"role": "user", "content": [{"type": "sticker"}, {"type": "text", "text": "hi"}]}]
    },
    "echoed thinking": {
        "messages": [
            USER,
            {"role": "assistant", "content": [{"type": "thinking"}, {"type": "text", "text": "ok"}], "reasoning": "x"},
            USER,
        ]
    },
    "unknown parameters": {"messages": [USER], "knob": {"a": 1}, "n": 3, "logprobs": True, "temperature": "hot"},
    "nulls": {"messages": [USER], "stream": None, "tools": None, "metadata": None, "model": None, "stop": None},
    "a user object": {"messages": [USER], "user": {"id": 1}},
    "metadata of all kinds": {"messages": [USER], "metadata": {"a": 1, "b": None, "c": ["x"]}},
    "a call without a result": {
        "messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, USER],
        "tools": [TOOL],
        "model": "team/dev helper",
    },
    "a result without a call": {
        "messages": [USER, {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "y"}]}, USER],
        "tools": [TOOL],
    },
    "a function message": {"messages": [USER, {"role": "function", "name": "f", "content": "1"}]},
}


@pytest.mark.parametrize("case", ACCEPTED)
async def test_what_clients_really_send_is_accepted(rig: Rig, case: str) -> None:
    reply = await rig.ask("POST", "/v1/chat/completions", ACCEPTED[case])
    assert (reply.status, reply.json()["choices"][0]["message"]["content"]) == (200, "You said hi")


async def test_the_whole_body_of_an_answer_is_as_documented(rig: Rig) -> None:
    reply = await rig.chat(model="ops", metadata={"chat_session_id": "cs_1"})
    body = reply.json()
    assert body.pop("id").startswith("chatcmpl-")
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "chat.completion",
        "model": "ops",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "You said hi",
                    "refusal": None,
                    "reasoning_content": "Thinking.",
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 4,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
        "metadata": {"chat_session_id": "cs_1"},
    }


async def test_a_client_tool_ends_the_turn_and_its_result_continues_it(rig: Rig) -> None:
    first = await rig.chat("use it", model="team/dev helper", tools=[TOOL])
    choice = first.json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    message = choice["message"]
    assert message["tool_calls"][0]["function"] == {"name": "read_file", "arguments": '{"path":"a.cfg"}'}
    answered = [
        {"role": "user", "content": "use it"},
        message,
        {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "port=9000"},
    ]
    body = {"model": "team/dev helper", "messages": answered, "tools": [TOOL]}
    second = await rig.ask("POST", "/v1/chat/completions", body)
    assert second.json()["choices"][0]["message"]["content"] == "It says port=9000"


async def test_a_client_tool_call_that_was_cut_ends_the_answer_with_length_and_without_the_call(tmp_path: Path) -> None:
    rules = '[[agent.llm.rules]]\nsay = "Well:"\nfinish = "length"\ntool_calls = [{ name = "read_file" }]\n'
    (tmp_path / "a.toml").write_text(agent_file("ops", "enable_client_tools = true", rules))
    async with serving(tmp_path) as rig:
        choice = (await rig.chat("use it", tools=[TOOL])).json()["choices"][0]
        assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "Well:")
        assert "tool_calls" not in choice["message"]
        streamed = (await rig.chat("use it", tools=[TOOL], stream=True)).text
        assert '"finish_reason":"length"' in streamed
        assert "tool_calls" not in streamed
        flat = {"type": "function", **TOOL["function"]}
        response = (await rig.ask("POST", "/v1/responses", {"input": "use it", "tools": [flat]})).json()
        assert response["status"] == "incomplete"
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
        assert [item["type"] for item in response["output"]] == ["message"]


async def test_an_agent_that_does_not_opt_in_ignores_client_tools(rig: Rig) -> None:
    reply = await rig.chat("use it", model="ops", tools=[TOOL])
    assert reply.json()["choices"][0]["finish_reason"] != "tool_calls"
    assert "tool_calls" not in reply.json()["choices"][0]["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/xml"])
async def test_a_body_that_is_not_json_is_415(rig: Rig, content_type: str) -> None:
    reply = await rig.ask("POST", "/v1/chat/completions", b"{}", {"content-type": content_type})
    assert (reply.status, reply.error()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("br", 415), ("identity", 200), ("", 200)])
async def test_a_compressed_body_is_refused_by_its_name(rig: Rig, coding: str, status: int) -> None:
    reply = await rig.chat(headers={"content-encoding": coding})
    assert reply.status == status
    if status == 415:
        assert f"`{coding}`" in reply.error()["message"]


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_413_while_it_arrives(agents: Path, announced: bool) -> None:
    async with serving(agents, max_body_bytes=1000) as rig:
        headers = {"content-length": "5000"} if announced else {}
        reply = await rig.ask("POST", "/v1/chat/completions", headers=headers, parts=[b"x" * 600] * 4)
        assert (reply.status, reply.error()["code"]) == (413, "body_too_large")


async def test_a_body_that_never_arrives_is_408() -> None:
    async def silence() -> Message:
        await anyio.sleep_forever()
        return {"type": "http.disconnect"}

    headers = Headers({"content-type": "application/json"})
    with pytest.raises(SlowClient) as refused:
        await read_body(headers, silence, 1000, seconds=0.01)
    assert refused.value.status == 408


@pytest.mark.parametrize(
    ("headers", "metadata", "expected"),
    [
        ({}, {"chat_session_id": "cs_a"}, "cs_a"),
        ({"x-chat-session-id": "h"}, {"chat_session_id": "cs_a"}, "cs_a"),
        ({"x-chat-session-id": "h", "x-openwebui-chat-id": "o"}, None, "h"),
        ({"x-openwebui-chat-id": "o"}, {"chat_session_id": 5}, "o"),
        ({}, {"chat_session_id": "größe\n"}, "cs_70e1ba2fd2ba3bd2a4c5f3b4fe6ed3a9"),
    ],
)
async def test_the_session_is_found_and_given_back(
    rig: Rig, headers: dict[str, str], metadata: object, expected: str
) -> None:
    reply = await rig.chat(headers=headers, metadata=metadata)
    given = reply.headers["x-chat-session-id"]
    assert given == reply.json()["metadata"]["chat_session_id"]
    assert given == expected or (not expected.isalpha() and given.startswith("cs_") and given.isascii())


async def test_a_provider_failure_has_a_real_status_and_shows_no_detail(rig: Rig) -> None:
    for stream in (False, True):
        reply = await rig.chat("reject", stream=stream)
        assert reply.status == 502
        assert "raw provider text" not in reply.text
        assert reply.headers["x-should-retry"] == "false"


async def test_detail_is_shown_with_debugging_on(agents: Path) -> None:
    async with serving(agents, default_agent="ops", debug_provider_errors="true") as rig:
        assert "raw provider text" in (await rig.chat("reject")).error()["message"]


async def test_an_expired_run_is_504(agents: Path) -> None:
    async with serving(agents, default_agent="ops", streaming_timeout_secs="1") as rig:
        reply = await rig.chat("hang")
        assert (reply.status, reply.error()["code"]) == (504, "deadline_exceeded")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_no_client_writes_lines_of_its_own_into_the_log(
    rig: Rig, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    forged = "x\nERROR all is lost\r\x1b[2J"
    odd = [{"role": forged, "content": "a"}, {"role": "user", "content": [{"type": forged}, "hi"]}]
    reply = await rig.ask("POST", path, {"messages": odd, "input": [*odd[:1], {"type": forged}, *odd[1:]]})
    assert reply.status == 200
    assert "all is lost" in caplog.text
    assert not any(set("\n\r\x1b") & set(record.getMessage()) for record in caplog.records)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_a_model_of_absurd_length_is_nobody_and_is_not_repeated(rig: Rig, path: str) -> None:
    asked = {"model": "x" * 100_000, "messages": [{"role": "user", "content": "hi"}], "input": "hi"}
    reply = await rig.ask("POST", path, asked)
    assert (reply.status, reply.error()["code"], reply.error()["param"]) == (404, "model_not_found", "model")
    assert len(reply.body) < 1000
