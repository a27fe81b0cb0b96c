"""A scripted agent explores parked outputs through the real server and a real MCP server."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.cli.processes import PROJECT, start
from tests.servers.forking import server_command

FILE = '{{ result.split("\'")[1] }}'


@dataclass(slots=True, frozen=True)
class Scene:
    """What the user says makes the agent fetch an output and then explore it."""

    fetch: str
    arguments: dict[str, Any]
    explore: str
    how: dict[str, Any]
    shows: str


SCENES = {
    "five kilobytes": Scene("json_of", {"kilobytes": 5}, "get_in", {"path": "results[3].id"}, "     1\t3\n"),
    "half a megabyte": Scene(
        "json_of", {"kilobytes": 500}, "iterate_over",
        {"path": "results", "fields": "id", "where": "id > 2125"}, '"id": 2126',
    ),
    "half a megabyte of logs": Scene(
        "logs_of", {"kilobytes": 500}, "grep", {"pattern": "request 4242 "}, "worker-2 handled request 4242",
    ),
    "fifty megabytes": Scene(
        "json_of", {"kilobytes": 50_000}, "get_in", {"path": "$.results[200000].name"}, "resource-200000-of",
    ),
    "fifty megabytes of logs": Scene(
        "logs_of", {"kilobytes": 50_000}, "grep", {"pattern": "(a|aa)+ request 600001 "}, "No matches for",
    ),
    "one line": Scene("one_line", {"megabytes": 40}, "grep", {"pattern": "needle"}, "1 matches in 1 regions"),
    "odd bytes": Scene("odd_bytes", {}, "grep", {"pattern": "endoftext"}, "<|endoftext|>"),
    "deep": Scene("deep", {}, "get_in", {"path": ".".join(["deep"] * 300 + ["nope"])}, "key_path_not_found"),
    "huge numbers": Scene("numbers", {}, "get_in", {"path": "numbers[0]"}, "123456789012345678901234567890"),
    "nested": Scene("sp_get_nested_json", {}, "item_schema", {"path": "nodes"}, "3/12 items"),
    "listing": Scene("json_of", {"kilobytes": 6}, "list_files", {}, "1 outputs, 0 companions"),
}  # fmt: skip

LARGE = {"fifty megabytes", "fifty megabytes of logs", "one line"}


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def agent_file(memory: Path) -> str:
    rules: list[str] = []
    for name, scene in SCENES.items():
        how = scene.how if scene.explore == "list_files" else {"file": FILE, **scene.how}
        for match, answer in (
            ("call = 1", f"tool_calls = [{{ name = {toml(scene.fetch)}, arguments = {toml(scene.arguments)} }}]"),
            (
                f"after_tool = {toml(scene.fetch)}",
                f"tool_calls = [{{ name = {toml(scene.explore)}, arguments = {toml(how)} }}]",
            ),
            (f"after_tool = {toml(scene.explore)}", 'say = "{{ result }}"'),
        ):
            rules.append(f"[[agent.llm.rules]]\nuser = {toml(f'^{name}$')}\n{match}\n{answer}\n")
    rules.append(
        '[[agent.llm.rules]]\nuser = "^small$"\ncall = 1\n'
        'tool_calls = [{ name = "sp_get_small_json", arguments = {} }]\n'
        '[[agent.llm.rules]]\nafter_tool = "sp_get_small_json"\nsay = "{{ result }}"\n'
        '[[agent.llm.rules]]\nuser = "^spy "\ncall = 1\n'
        'tool_calls = [{ name = "head", arguments = { file = "{{ user[4:] }}" } }]\n'
        '[[agent.llm.rules]]\nuser = "^spy "\nsay = "{{ result }}"\n'
        '[[agent.llm.rules]]\nsay = "nothing to do"\n'
    )
    command = json.dumps(server_command("outputs"))
    return (
        f"memory_dir = {toml(str(memory))}\n"
        '[agent]\nname = "scratchpad-single"\nsystem_prompt = "Explore."\nturn_depth = 10\n'
        "[agent.scratchpad]\nenabled = true\n"
        '[agent.llm]\nprovider = "scripted"\nmodel = "demo"\ncontext_window = 128000\n'
        + "\n".join(rules)
        + f'[mcp.servers.outputs]\ntransport = "stdio"\ncmd = {command}\n'
        f"env = {{ PYTHONPATH = {toml(str(PROJECT))} }}\n"
        "[mcp.servers.outputs.scratchpad]\n"
        '"*" = { min_tokens = 50 }\n"sp_get_small_*" = { min_tokens = 99999 }\n'
    )


@dataclass(slots=True)
class Answer:
    text: str = ""
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def named(self, name: str) -> list[dict[str, Any]]:
        return [payload for event, payload in self.events if event == name]


@contextmanager
def serving(directory: Path, agent: str, events: str = "true") -> Iterator[str]:
    path = directory / "agent.toml"
    path.write_text(agent)
    process = start("serve", path, "--port", "0", env={"AURA_CUSTOM_EVENTS": events, "TOOL_RESULT_MODE": "aura"})
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process.stdout.readline().removeprefix("listening on ").strip()
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    directory = tmp_path_factory.mktemp("scratchpad")
    with serving(directory, agent_file(directory / "memory")) as where:
        yield where, directory / "memory"


async def lines(response: httpx.Response) -> AsyncIterator[str]:
    """Lines as server-sent events have them: only a newline ends one."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode()


async def ask(where: str, text: str, session: str = "s1", model: str = "scratchpad-single") -> Answer:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": text}]}
    answer = Answer()
    event = ""
    async with httpx.AsyncClient(timeout=250) as client:
        headers = {"x-chat-session-id": session}
        async with client.stream("POST", f"{where}/v1/chat/completions", json=body, headers=headers) as response:
            assert response.status_code == 200
            async for line in lines(response):
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: ") and line != "data: [DONE]":
                    payload = json.loads(line.removeprefix("data: "))
                    if event:
                        answer.events.append((event, payload))
                    else:
                        for choice in payload["choices"]:
                            answer.text += choice["delta"].get("content") or ""
                elif not line:
                    event = ""
    return answer


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow, pytest.mark.timeout(300)]) if name in LARGE else name
        for name in SCENES
    ],
)
async def test_a_parked_output_is_explored(server: tuple[str, Path], name: str) -> None:
    where, _ = server
    answer = await ask(where, name)
    assert SCENES[name].shows in answer.text
    (completed,) = answer.named("aura.tool_complete")
    assert completed["result"].startswith("[scratchpad: output saved to 'task_0--")
    (usage,) = answer.named("aura.scratchpad_usage")
    assert usage["tokens_intercepted"] > 0
    assert usage["agent_id"] == "main"
    requested = {payload["tool_name"] for payload in answer.named("aura.tool_requested")}
    assert requested == {SCENES[name].fetch}


async def test_small_outputs_and_no_calls_say_nothing_of_the_scratchpad(server: tuple[str, Path]) -> None:
    where, _ = server
    small = await ask(where, "small")
    assert small.text == '{"status": "ok", "count": 42}'
    assert not small.named("aura.scratchpad_usage")
    assert not (await ask(where, "hello")).named("aura.scratchpad_usage")


async def test_concurrent_runs_have_directories_of_their_own_and_see_one_file_each(server: tuple[str, Path]) -> None:
    where, memory = server
    answers: list[Answer] = []

    async def one(session: str) -> None:
        answers.append(await ask(where, "listing", session))

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(one, f"together-{number // 2}")
    assert len(answers) == 4
    assert all("1 outputs, 0 companions" in answer.text for answer in answers)
    sessions = memory / "anonymous" / "scratchpad-single"
    runs = [path / "scratchpad" for session in (0, 1) for path in (sessions / f"together-{session}").iterdir()]
    assert len(runs) == 4
    for run in runs:
        files = [path for path in run.iterdir() if re.fullmatch(r"task_.*\.json", path.name)]
        assert len(files) == 1


async def test_no_run_reads_what_another_run_or_session_has_parked(server: tuple[str, Path]) -> None:
    where, memory = server
    await ask(where, "listing", "victim")
    sessions = memory / "anonymous" / "scratchpad-single"
    (parked,) = (sessions / "victim").glob("*/scratchpad/task_*.json")
    name, run = parked.name, parked.parent.parent.name
    path = f"{run}/scratchpad/{name}"
    for guess in (str(parked), f"../../../victim/{path}", f"../../{path}", name, f"x/../../../{path}"):
        for session in ("victim", "thief"):
            answer = await ask(where, f"spy {guess}", session)
            assert "resource-000000" not in answer.text
            assert "path error" in answer.text or "I/O error" in answer.text
    assert [path.name for path in (sessions / "victim").iterdir()] == [run]
    assert not (sessions / "thief").exists()


async def test_the_usage_event_is_for_those_who_asked_for_events(tmp_path: Path) -> None:
    with serving(tmp_path, agent_file(tmp_path / "memory"), events="false") as where:
        answer = await ask(where, "five kilobytes")
    assert "     1\t3\n" in answer.text
    assert answer.events == []
