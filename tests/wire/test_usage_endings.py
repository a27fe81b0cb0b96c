"""Real figures on every ending, and why a model stopped (B8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.orchestration.harness import Rule, answer, coordinator, plan, step, submit
from tests.orchestration.harness import worker as work
from tests.server.rig import agent_file
from tests.wire.process import AuraServer
from tests.wire.teams import team

SPENT = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
USAGE = "usage = { input = 10, output = 4 }"
RULES = f"""
[[agent.llm.rules]]
user = "^theirs"
tool_calls = [{{ name = "yours", arguments = {{ path = "a.cfg" }} }}]
{USAGE}

[[agent.llm.rules]]
after_tool = "list_directory"
call = 2
{{ending}}

[[agent.llm.rules]]
user = "^ours"
tool_calls = [{{ name = "list_directory", arguments = {{ path = "." }} }}]
{USAGE}

[[agent.llm.rules]]
user = "^cut"
say = "Not the whole"
finish = "length"
{USAGE}
"""
ENDINGS = {
    "failing": 'error = { status = 400, message = "raw provider text" }',
    "hanging": "hang = true",
}
YOURS = {
    "type": "function",
    "function": {"name": "yours", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}},
}
TEAM: list[Rule] = [
    coordinator("plan", plan(step("a")), usage={"input": 1000, "output": 1}),
    work(submit("done"), usage={"input": 200, "output": 20}),
    coordinator("continue", answer("All done."), usage={"input": 30, "output": 300}),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuraServer]:
    home = tmp_path_factory.mktemp("usage")
    agents = home / "agents"
    agents.mkdir()
    tools = f'[tools]\nfilesystem = true\nfilesystem_root = "{agents}"\n'
    for name, ending in ENDINGS.items():
        rules = RULES.replace("{ending}", ending)
        (agents / f"{name}.toml").write_text(agent_file(name, "enable_client_tools = true", rules) + tools)
    (agents / "team.toml").write_text(team("team", TEAM))
    running = AuraServer.start(agents, home, "--aura-custom-events", "true", "--first-chunk-timeout-secs", "6")
    yield running
    running.stop()


def ask(server: AuraServer, model: str, text: str, *, stream: bool, **more: object) -> httpx.Response:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}], **more}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=30)


def streamed(server: AuraServer, model: str, text: str, **more: object) -> list[tuple[str, Any]]:
    reply = ask(server, model, text, stream=True, stream_options={"include_usage": True}, **more)
    assert reply.text.endswith("data: [DONE]\n\n")
    found: list[tuple[str, Any]] = []
    for frame in reply.text.split("\n\n")[:-2]:
        if not frame.startswith(":"):
            head, _, data = frame.rpartition("data: ")
            found.append((head.removeprefix("event: ").strip(), json.loads(data)))
    return found


def figures(usage: dict[str, Any]) -> dict[str, int]:
    return {name: usage[name] for name in SPENT}


def transcript(frames: list[tuple[str, Any]]) -> list[dict[str, int]]:
    """The usage of the vendor's event and of the chunk, as many as there are."""
    vendor = [figures(data) for name, data in frames if name == "aura.usage"]
    return vendor + [figures(data["usage"]) for name, data in frames if not name and data.get("usage")]


def test_a_call_for_the_client_s_tool_has_its_usage(server: AuraServer) -> None:
    reply = ask(server, "failing", "theirs", stream=False, tools=[YOURS]).json()
    assert reply["choices"][0]["finish_reason"] == "tool_calls"
    assert figures(reply["usage"]) == SPENT
    assert transcript(streamed(server, "failing", "theirs", tools=[YOURS])) == [SPENT, SPENT]


@pytest.mark.parametrize("model", ENDINGS)
def test_a_failure_and_a_timeout_after_a_turn_tell_what_was_spent(server: AuraServer, model: str) -> None:
    frames = streamed(server, model, "ours")
    (error,) = [data["error"] for name, data in frames if not name and "error" in data]
    assert error["code"] == ("first_chunk_timeout" if model == "hanging" else error["code"])
    assert transcript(frames)[0] == SPENT
    assert all(usage == SPENT for usage in transcript(frames))


def test_a_team_tells_the_sum_of_plan_work_submission_and_answer_in_both_modes(server: AuraServer) -> None:
    whole = {"prompt_tokens": 1230, "completion_tokens": 321, "total_tokens": 1551}
    assert figures(ask(server, "team", "Go", stream=False).json()["usage"]) == whole
    assert transcript(streamed(server, "team", "Go")) == [whole, whole]


def test_an_answer_that_the_model_was_cut_off_in_says_length(server: AuraServer) -> None:
    assert ask(server, "failing", "cut", stream=False).json()["choices"][0]["finish_reason"] == "length"
    chunks = [data for name, data in streamed(server, "failing", "cut") if not name]
    assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]] == ["length"]
