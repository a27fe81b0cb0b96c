"""What the chat UIs do around one message of a user, as they do it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.rig import agent_file
from tests.wire.process import AuraServer
from tests.wire.providers.agents import MOCK, FakeAgent
from tests.wire.providers.conftest import Fakes

OFFERED = [
    {"type": "function", "function": {"name": name, "description": "Of the UI.", "parameters": {"type": "object"}}}
    for name in ("web_search", "add_memory", "mock_tool")
]
TASKS = {
    "title_generation": '### Task:\nGenerate a concise title.\n### Output:\nJSON format: { "title": "…" }',
    "tags_generation": '### Task:\nGenerate 1-3 broad tags.\n### Output:\nJSON format: { "tags": [] }',
    "follow_up_generation": '### Task:\nSuggest 3-5 questions.\n### Output:\nJSON format: { "follow_ups": [] }',
}
TITLE = (
    "Provide a concise, 5-word-or-less title for the conversation, using title case conventions.\n"
    "Only return the title itself.\n\nConversation:\nUser: hello"
)
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs="
REPEATED = frozenset({408, 409, 422, 429, 500, 502, 503, 504})
"""What LibreChat's client library asks again."""


@dataclass(slots=True)
class Scene:
    server: AuraServer
    tooled: FakeAgent
    silent: FakeAgent
    tasks: FakeAgent


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("uis") / "agents"
    directory.mkdir()
    with ExitStack() as stack:
        fakes = Fakes(stack)
        tooled = FakeAgent.on(fakes, "openai", "real_tool")
        silent = FakeAgent.on(fakes, "openai", "silence_midway")
        tasks = FakeAgent.on(fakes, "openai", "plain_text", "-tasks")
        (directory / "a.toml").write_text(tooled.file(rest=MOCK))
        (directory / "b.toml").write_text(silent.file())
        (directory / "c.toml").write_text(tasks.file(agent="hidden = true"))
        (directory / "d.toml").write_text(agent_file("ops", 'hidden = true\nimages = "refuse"'))
        scratch = tmp_path_factory.mktemp("server")
        env = {"PYTHONPATH": str(Path.cwd()), "AURA_TASK_MODEL": tasks.name}
        server = AuraServer.start(directory, scratch, env=env)
        stack.callback(server.stop)
        yield Scene(server, tooled, silent, tasks)


@dataclass(slots=True)
class Ui:
    """A chat UI's backend. ``posts`` counts every request that it had to make."""

    server: AuraServer
    headers: Mapping[str, str]
    posts: int = 0

    def models(self) -> list[str]:
        listed = httpx.get(f"{self.server.url}/v1/models", headers=self.headers, timeout=5).json()
        return [model["id"] for model in listed["data"]]

    def post(self, body: Mapping[str, object], **headers: str) -> httpx.Response:
        """Asks again where the UI's library would."""
        for _ in range(6):
            self.posts += 1
            url = f"{self.server.url}/v1/chat/completions"
            reply = httpx.post(url, json=body, headers={**self.headers, **headers}, timeout=30)
            if reply.status_code not in REPEATED:
                break
        return reply

    def chat(self, model: str, messages: Sequence[Mapping[str, object]], **more: object) -> str:
        """The answer of a turn; a tool call that the UI sees is run by it, and the conversation is sent again."""
        text = ""
        for _ in range(5):
            body = {"model": model, "stream": True, "messages": messages, **more}
            chunks = list(deltas(self.post(body).text))
            text += "".join(delta.get("content") or "" for delta in chunks)
            if not any("tool_calls" in delta for delta in chunks):
                return text
        raise AssertionError("the UI was asked to run a tool again and again")


def deltas(stream: str) -> Iterator[dict[str, Any]]:
    for line in stream.splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line.removeprefix("data: "))["choices"]:
                yield choice["delta"]


def asks(text: str) -> list[dict[str, object]]:
    return [{"role": "user", "content": text}]


def test_open_web_ui_asks_once_for_the_answer_and_once_for_each_of_its_own_questions(scene: Scene) -> None:
    agent, tasks = scene.tooled, scene.tasks
    ui = Ui(scene.server, {"authorization": "Bearer any", "x-openwebui-chat-id": "c-1"})
    assert ui.models() == [agent.name, scene.silent.name]
    answer = ui.chat(agent.name, asks("hello"), tools=OFFERED, stream_options={"include_usage": True}, user={"id": 1})
    assert answer == "Let me ask.\n\nHello, world!"

    def side(task: str) -> int:
        body = {"model": tasks.name, "stream": False, "messages": asks(TASKS[task])}
        return ui.post(body, **{"x-aura-task": task}).status_code

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(side, TASKS)) == [200, 200, 200]
    assert ui.posts == 1 + len(TASKS)
    first, second = agent.bodies()  # one run: the call of the tool, and the answer from its result
    assert [tool["function"]["name"] for tool in first["tools"]].count("mock_tool") == 1
    assert not {"web_search", "add_memory"} & {tool["function"]["name"] for tool in first["tools"]}
    assert [message["role"] for message in second["messages"]][-2:] == ["assistant", "tool"]
    assert len(tasks.bodies()) == len(TASKS)
    assert not any(body.get("tools") for body in tasks.bodies())


def test_open_web_ui_s_stop_closes_the_model_s_stream(scene: Scene) -> None:
    agent = scene.silent
    body = {"model": agent.name, "stream": True, "messages": asks("hello")}
    with (
        httpx.Client(timeout=30, trust_env=False) as client,
        client.stream("POST", f"{scene.server.url}/v1/chat/completions", json=body) as reply,
    ):
        next(line for line in reply.iter_lines() if '"content":"well"' in line)
    assert httpx.get(f"{agent.fake}/__fake__/closed/{agent.token}", timeout=10, trust_env=False).status_code == 200


def test_librechat_s_title_does_not_wait_for_the_turn_and_a_refused_image_is_not_repeated(scene: Scene) -> None:
    ui = Ui(scene.server, {"authorization": "Bearer any", "x-chat-session-id": "conversation-1"})
    assert ui.models()
    url = f"{scene.server.url}/v1/chat/completions"
    turn = {"model": "ops", "stream": True, "messages": asks("hang"), "user": "u-1"}
    with httpx.Client(timeout=30) as client, client.stream("POST", url, json=turn, headers=ui.headers) as running:
        next(line for line in running.iter_lines() if '"role"' in line)
        title = ui.post({"model": "ops", "stream": False, "messages": asks(TITLE), "user": "u-1"})
        assert title.json()["choices"][0]["message"]["content"] == '{"title": "Ports"}'
    picture = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    body = {"model": "ops", "stream": True, "messages": [{"role": "user", "content": picture}]}
    refused = ui.post(body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_content")
    assert refused.headers["x-should-retry"] == "false"
    assert ui.posts == 2
    assert ui.chat("ops", asks("hi")) == "You said hi"  # the turn that was aborted holds nobody
