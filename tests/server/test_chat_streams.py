"""Streams over the app: admission, errors before and after the first byte, options per request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from aura_py.server import run_response
from tests.server.rig import Reply, Rig, serving


def chunks(reply: Reply) -> list[Any]:
    frames = reply.text.split("\n\n")
    return [orjson.loads(f.removeprefix("data: ")) for f in frames if f.startswith("data: {")]


def said(reply: Reply) -> str:
    return "".join(c["delta"].get("content", "") for frame in chunks(reply) for c in frame.get("choices", []))


async def test_headers_of_a_stream_are_exactly_those_that_proxies_and_clients_need(rig: Rig) -> None:
    reply = await rig.chat(stream=True, metadata={"chat_session_id": "cs_1"})
    assert reply.headers.pop("x-request-id").startswith("req_")  # type: ignore[attr-defined]  # a dict
    assert reply.headers == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "x-chat-session-id": "cs_1",
    }


async def test_a_stream_says_what_the_json_answer_says(rig: Rig) -> None:
    reply = await rig.chat(stream=True, stream_options={"include_usage": True}, model="ops")
    assert said(reply) == "You said hi"
    assert {frame["model"] for frame in chunks(reply)} == {"ops"}
    assert chunks(reply)[-1]["usage"]["total_tokens"] == 14
    assert reply.text.endswith("data: [DONE]\n\n")


async def test_the_role_goes_out_within_a_second_although_the_model_is_silent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_response.PATIENCE < 1
    monkeypatch.setattr(run_response, "PATIENCE", 0.05)
    async with rig.open(
        "POST", "/v1/chat/completions", {"stream": True, "messages": [{"role": "user", "content": "slow"}]}
    ) as exchange:
        await exchange.until('"role":"assistant"')
        assert b"one" not in exchange.received
        await exchange.finished.wait()
    assert said(exchange.reply()) == "one two three"
    assert exchange.reply().text.count('"role"') == 1


async def test_a_failure_in_mid_stream_is_an_error_frame(rig: Rig) -> None:
    reply = await rig.chat("break", stream=True)
    *_, error = chunks(reply)
    assert reply.status == 200
    assert said(reply).startswith("Half")
    assert "choices" not in error
    assert error["error"]["type"] == "upstream_error"
    assert '"finish_reason":"stop"' not in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")


async def test_an_answer_that_was_cut_says_so(rig: Rig) -> None:
    reply = await rig.chat("cut", stream=True)
    assert chunks(reply)[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("operator", "header", "body", "named", "vendor"),
    [
        (False, None, None, False, False),
        (False, "1", None, False, True),
        (False, "on", None, False, True),
        (False, None, {"events": True}, False, True),
        (False, "off", {"events": True}, False, False),
        (True, None, None, True, False),
        (True, "on", None, True, False),
        (True, "off", None, False, False),
        (True, "nonsense", None, True, False),
    ],
)
async def test_a_request_may_choose_its_events_within_what_the_operator_allows(
    agents: Path, operator: bool, header: str | None, body: object, named: bool, vendor: bool
) -> None:
    async with serving(agents, default_agent="ops", custom_events=str(operator)) as rig:
        headers: Mapping[str, str] = {"x-aura-events": header} if header else {}
        reply = await rig.chat(headers=headers, stream=True, aura=body)
    assert ("event: aura.session_info" in reply.text) == named
    assert ('"aura":{"type":"session_info"' in reply.text) == vendor
    plain = "text/event-stream" if named else "text/event-stream; charset=utf-8"
    assert reply.headers["content-type"] == plain
    assert (": heartbeat\n\n" in reply.text) == named
    assert ("event: aura.reasoning" in reply.text) is False


async def test_reasoning_events_need_both_switches(agents: Path) -> None:
    async with serving(agents, default_agent="ops", custom_events="on", emit_reasoning="on") as rig:
        assert "event: aura.reasoning" in (await rig.chat(stream=True)).text
        off = await rig.chat(stream=True, headers={"x-aura-events": "off"})
        assert "aura.reasoning" not in off.text


async def test_open_web_ui_mode_keeps_the_reference_form(agents: Path) -> None:
    async with serving(agents, default_agent="ops", tool_result_mode="open-web-ui") as rig:
        reply = await rig.chat(stream=True)
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.headers["cache-control"] == "no-cache"
    assert chunks(reply)[-1]["usage"] == {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
    assert {frame["model"] for frame in chunks(reply)} == {"scripted/demo"}


async def test_an_expired_stream_ends_with_an_error_frame(agents: Path) -> None:
    async with serving(agents, default_agent="ops", streaming_timeout_secs="2") as rig:
        reply = await rig.chat("hang", stream=True)
    assert chunks(reply)[-1]["error"]["code"] == "deadline_exceeded"
