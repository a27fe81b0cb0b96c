"""The Responses API."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from aura_py.errors import AuraError, ContextOverflow, ProviderOverloaded, RunTimeout
from aura_py.events import (
    ClarificationNeeded,
    Event,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    RunFailed,
    RunFinished,
    TextDelta,
    ToolCompleted,
    ToolRequested,
)
from aura_py.messages import Usage
from aura_py.server.openai.responses_request import parse_responses
from aura_py.server.sse import StreamShape
from aura_py.server.sse.responses import ResponsesEncoder
from tests.server.rig import Reply, Rig, serving

TOOL = {"type": "function", "name": "read_file", "parameters": {"type": "object"}}


def events(text: str) -> list[Any]:
    frames = [frame for frame in text.split("\n\n") if frame.startswith("event: ")]
    found = []
    for frame in frames:
        name, data = frame.split("\n")
        event = orjson.loads(data.removeprefix("data: "))
        assert event["type"] == name.removeprefix("event: ")
        found.append(event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


async def ask(rig: Rig, **body: object) -> Reply:
    return await rig.ask("POST", "/v1/responses", body)


async def test_a_streamed_response_has_the_order_that_clients_follow(rig: Rig) -> None:
    reply = await ask(rig, input="hi", stream=True, model="ops")
    seen = events(reply.text)
    assert [event["type"].removeprefix("response.") for event in seen if "delta" not in event["type"]] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    said = "".join(event["delta"] for event in seen if event["type"] == "response.output_text.delta")
    final = seen[-1]["response"]
    assert said == final["output"][1]["content"][0]["text"] == "You said hi"
    assert final["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 14,
    }


async def test_the_json_answer_is_the_final_response(rig: Rig) -> None:
    body = (await ask(rig, input=[{"role": "user", "content": "hi"}], model="ops", metadata={"a": "b"})).json()
    assert (body["object"], body["status"], body["model"]) == ("response", "completed", "ops")
    assert [item["type"] for item in body["output"]] == ["reasoning", "message"]
    assert body["metadata"]["a"] == "b"


async def test_a_client_function_is_called_and_its_output_continues(rig: Rig) -> None:
    first = (await ask(rig, input="use it", tools=[TOOL], model="team/dev helper")).json()
    call = first["output"][-1]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "read_file", '{"path":"a.cfg"}')
    conversation = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "use it"}]},
        *first["output"],
        {"type": "function_call_output", "call_id": call["call_id"], "output": "port=9000"},
    ]
    second = (await ask(rig, input=conversation, tools=[TOOL], model="team/dev helper")).json()
    assert second["output"][-1]["content"][0]["text"] == "It says port=9000"


def encoder_of(tools: Literal["mcp_call", "function_call"] = "mcp_call", result_limit: int = 1000) -> ResponsesEncoder:
    shape = StreamShape(model="ops", session_id="s", result_limit=result_limit)
    return ResponsesEncoder(shape, created=1, metadata={}, tools=tools)


def test_a_tool_that_aura_ran_may_be_a_call_paired_with_its_output_in_parts() -> None:
    encoder = encoder_of("function_call")
    batch: list[Event] = [
        TextDelta("Looking."),
        ToolRequested("c1", "disk", '{"host":"db1"}', {"host": "db1"}, "mcp"),
        ToolRequested("c2", "grep", "{}", {}, "scratchpad"),
        ToolCompleted("c1", "disk", "mcp", 5, ok=True, result="91%"),
        ToolCompleted("c2", "grep", "scratchpad", 5, ok=True, result="x"),
        TextDelta("91% full."),
        RunFinished("stop", Usage(1, 2), Usage(1, 2)),
    ]
    seen = events((encoder.opening() + encoder.encode(batch)).decode())
    output = seen[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "function_call_output", "message"]
    assert output[1]["call_id"] == output[2]["call_id"] == "c1"
    assert (output[1]["status"], output[2]["output"]) == ("completed", [{"type": "input_text", "text": "91%"}])


@pytest.mark.parametrize("ok", [True, False])
def test_a_tool_that_aura_ran_is_one_item_of_a_server(ok: bool) -> None:
    encoder = encoder_of()
    ended = ToolCompleted("c1", "disk", "mcp", 5, ok=ok, result="91%" if ok else None, error=None if ok else "no disk")
    batch: list[Event] = [
        ToolRequested("c1", "disk", '{"host":"db1"}', {"host": "db1"}, "mcp"),
        ended,
        ToolRequested("c2", "yours", "{}", {}, "client"),
        RunFinished("tool_calls", Usage(1, 2), Usage(1, 2)),
    ]
    seen = events((encoder.opening() + encoder.encode(batch)).decode())
    ours, theirs = seen[-1]["response"]["output"]
    assert (ours["type"], ours["name"], ours["arguments"]) == ("mcp_call", "disk", '{"host":"db1"}')
    failure = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "no disk"}]}
    outcome = ("completed", "91%", None) if ok else ("failed", None, failure)
    assert (ours["status"], ours["output"], ours["error"]) == outcome
    assert (theirs["type"], theirs["call_id"]) == ("function_call", "c2")
    first = [event for event in seen if event.get("output_index") == 0]
    assert [event["type"].removeprefix("response.") for event in first] == [
        "output_item.added",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed" if ok else "mcp_call.failed",
        "output_item.done",
    ]
    assert (first[0]["item"]["arguments"], first[0]["item"]["status"]) == ("", "in_progress")
    assert first[2]["delta"] == first[3]["arguments"] == '{"host":"db1"}'


def test_calls_that_run_at_the_same_time_keep_their_own_items() -> None:
    encoder = encoder_of()
    batch: list[Event] = [
        ToolRequested("c1", "disk", "{}", {}, "mcp"),
        ToolRequested("c2", "ping", "{}", {}, "mcp"),
        ToolCompleted("c2", "ping", "mcp", 5, ok=True, result="pong"),
        ToolCompleted("c1", "disk", "mcp", 5, ok=True, result="91%"),
        TextDelta("Well."),
        RunFinished("stop", Usage(1, 2), Usage(1, 2)),
    ]
    output = events((encoder.opening() + encoder.encode(batch)).decode())[-1]["response"]["output"]
    assert [item.get("name") for item in output] == ["disk", "ping", None]
    assert [item.get("output") for item in output] == ["91%", "pong", None]


@pytest.mark.parametrize(
    "end",
    [
        RunFinished("length", Usage(1, 2), Usage(1, 2)),
        RunFailed(ProviderOverloaded("x", provider_status=429)),
        RunFailed(ContextOverflow("x")),
        RunFailed(RunTimeout("x")),
    ],
)
def test_what_was_being_written_when_the_answer_was_cut_is_incomplete(end: RunFinished | RunFailed) -> None:
    encoder = encoder_of()
    batch: list[Event] = [TextDelta("Looking."), ToolRequested("c1", "disk", "{}", {}, "mcp"), TextDelta("Ha"), end]
    seen = events((encoder.opening() + encoder.encode(batch)).decode())
    response = seen[-1]["response"]
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete", "incomplete"]
    assert response["completed_at"] is None
    assert [event["item"] for event in seen if event["type"] == "response.output_item.done"][1:] == [
        response["output"][2],
        response["output"][1],
    ]
    codes: dict[type[AuraError], str] = {ProviderOverloaded: "rate_limit_exceeded", ContextOverflow: "invalid_prompt"}
    if isinstance(end, RunFailed):
        assert response["error"]["code"] == codes.get(type(end.error), "server_error")


async def test_such_an_item_comes_back_as_history(agents: Path) -> None:
    async with serving(agents, default_agent="ops") as rig:
        first = await rig.ask("POST", "/v1/responses", {"model": "ops", "input": "list"})
        output = first.json()["output"]
        assert [item["type"] for item in output] == ["message", "mcp_call", "message"]
        again = [{"role": "user", "content": "list"}, *output, {"role": "user", "content": "hi"}]
    _, asked, result, said, _ = parse_responses({"model": "ops", "input": again}).messages
    (call,) = asked.tool_calls
    assert (asked.role, asked.text, call.name, call.id) == ("assistant", "Looking.", "list_directory", output[1]["id"])
    assert (result.role, result.tool_call_id, result.text) == (
        "tool",
        call.id,
        output[1]["error"]["content"][0]["text"],
    )
    assert said.role == "assistant"


def test_a_call_whose_result_the_client_did_not_keep_has_none_in_history() -> None:
    """As pydantic-ai sends them."""
    call = {"type": "mcp_call", "id": "mcp_1", "name": "disk", "arguments": "{}", "output": None, "error": None}
    again = [{"role": "user", "content": "a"}, call, {"role": "user", "content": "b"}]
    messages = parse_responses({"model": "ops", "input": again}).messages
    assert [message.role for message in messages] == ["user", "assistant", "user"]


def test_tools_of_workers_are_shown_and_the_coordinators_stay_inside() -> None:
    encoder = encoder_of(result_limit=20)
    batch: list[Event] = [
        OrchestratorToolStarted("c0", "create_plan", "orchestration", "main", {"goal": "x"}),
        OrchestratorToolCompleted("c0", "create_plan", "orchestration", "main", True, 1, "ok"),
        OrchestratorToolStarted("c1", "disk", "mcp", "metrics", {"host": "db1"}, 0),
        OrchestratorToolStarted("c2", "ping", "mcp", "network", None, 1),
        OrchestratorToolStarted("c3", "grep", "scratchpad", "metrics", {}, 0),
        OrchestratorToolCompleted("c2", "ping", "mcp", "network", False, 5, "no route", 1),
        OrchestratorToolCompleted("c3", "grep", "scratchpad", "metrics", True, 5, "x", 0),
        OrchestratorToolCompleted("c1", "disk", "mcp", "metrics", True, 5, "91% " * 20, 0),
        ClarificationNeeded("Which disk?", "two", ("sda", "sdb")),
        TextDelta("Which disk?"),
        RunFinished("stop", Usage(1, 2), Usage(1, 2)),
    ]
    output = events((encoder.opening() + encoder.encode(batch)).decode())[-1]["response"]["output"]
    assert [(item["type"], item.get("name")) for item in output] == [
        ("mcp_call", "disk"),
        ("mcp_call", "ping"),
        ("message", None),
    ]
    assert (output[0]["arguments"], output[0]["output"]) == ('{"host":"db1"}', "91% 91% 91% 91% 91% ... [truncated]")
    assert (output[1]["arguments"], output[1]["status"]) == ("{}", "failed")
    assert output[2]["content"][0]["text"] == "Which disk?\n\n- sda\n- sdb"


async def test_a_wish_to_store_is_answered_with_what_is_true(rig: Rig) -> None:
    body = (await ask(rig, input="hi", store=True)).json()
    assert body["store"] is False
    for method, path in (("GET", ""), ("GET", "?stream=true&starting_after=3"), ("POST", "/cancel"), ("DELETE", "")):
        reply = await rig.ask(method, f"/v1/responses/{body['id']}{path}")
        assert (reply.status, reply.error()["code"]) == (404, "not_found")
        assert "not stored" in reply.error()["message"]


async def test_a_failure_inside_the_stream_is_response_failed(rig: Rig) -> None:
    seen = events((await ask(rig, input="break", stream=True)).text)
    assert seen[-1]["type"] == "response.failed"
    assert set(seen[-1]["response"]["error"]) == {"code", "message"}


async def test_an_answer_that_was_cut_is_incomplete(rig: Rig) -> None:
    body = (await ask(rig, input="cut")).json()
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": []},
        {"input": 5},
        {"input": [5]},
        {"input": "hi", "previous_response_id": "resp_1"},
        {"input": "hi", "background": True},
        {"input": "hi", "conversation": "conv_1"},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
        {"input": [{"type": "function_call", "name": "x"}]},
        {"input": [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "hi"}]},
    ],
)
async def test_what_cannot_be_served_is_400(rig: Rig, body: dict[str, object]) -> None:
    reply = await ask(rig, **body)
    assert reply.status == 400
    assert reply.error()["param"]


def test_the_encoder_survives_an_end_without_a_beginning() -> None:
    encoder = ResponsesEncoder(StreamShape(model="ops", session_id="s"), created=1, metadata={})
    assert events(encoder.encode([RunFailed(AuraError("x"))]).decode())[-1]["response"]["status"] == "failed"
