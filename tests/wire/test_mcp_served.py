"""MCP servers behind the real server: every socket and process is a real one."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.mcp.conftest import running
from tests.servers.forking import server_command
from tests.wire.process import AuraServer

ROOT = Path(__file__).parents[2]
MANY = 100


def _calls(name: str, count: int) -> str:
    return ", ".join(f'{{ name = "{name}", arguments = {{ message = "m{n}" }} }}' for n in range(count))


RULES = f"""
[[agent.llm.rules]]
after_tool = "*"
say = "{{{{ results | length }}}} results: {{{{ result }}}}"

[[agent.llm.rules]]
user = '^slow (?P<id>[\\w-]+)'
tool_calls = [{{ name = "slow_task", arguments = {{ task_id = "{{{{ id }}}}", duration_seconds = 40.0 }} }}]

[[agent.llm.rules]]
user = '^fate (?P<id>[\\w-]+)'
tool_calls = [{{ name = "fate", arguments = {{ task_id = "{{{{ id }}}}" }} }}]

[[agent.llm.rules]]
user = "^wait"
tool_calls = [{{ name = "wait", arguments = {{ seconds = 40.0 }} }}]

[[agent.llm.rules]]
user = "^headers"
tool_calls = [{{ name = "echo_headers", arguments = {{}} }}]

[[agent.llm.rules]]
user = "^process"
tool_calls = [{{ name = "process_id", arguments = {{}} }}]

[[agent.llm.rules]]
user = "^die"
tool_calls = [{{ name = "die", arguments = {{}} }}]

[[agent.llm.rules]]
user = "^progress"
tool_calls = [{{ name = "task_with_progress", arguments = {{ duration_seconds = 0.1, steps = 4 }} }}]

[[agent.llm.rules]]
user = "^chatty"
tool_calls = [{{ name = "task_with_progress", arguments = {{ duration_seconds = 0.3, steps = 300 }} }}]

[[agent.llm.rules]]
user = "^many"
tool_calls = [{_calls("mock_tool", MANY)}]

[[agent.llm.rules]]
user = "^both"
say = "First."
tool_calls = [
    {{ name = "task_with_progress", arguments = {{ duration_seconds = 0.3, steps = 2 }} }},
    {{ name = "mock_tool", arguments = {{ message = "quick" }} }},
    {{ name = "failing_tool", arguments = {{ error_message = "no luck" }} }},
]

[[agent.llm.rules]]
user = "^mixed"
tool_calls = [
    {{ name = "mock_tool", arguments = {{ message = "mine" }} }},
    {{ name = "yours", arguments = {{ path = "a.cfg" }} }},
]
"""
_AGENT = """
[agent]
name = "{name}"
system_prompt = "Be brief."
enable_client_tools = true
[agent.llm]
provider = "scripted"
model = "demo"
{rules}
[mcp.servers.mock]
{server}
"""
YOURS = {
    "type": "function",
    "function": {"name": "yours", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}},
}


def agent(name: str, server: str) -> str:
    return _AGENT.format(name=name, rules=RULES, server=server)


def over_http(url: str) -> str:
    return f'transport = "http_streamable"\nurl = "{url}"\nheaders_from_request = {{ X-Token = "authorization" }}'


def over_stdio() -> str:
    command = f"cmd = {json.dumps(server_command('mock'))}"
    return f'transport = "stdio"\n{command}\nenv = {{ PYTHONPATH = "{ROOT}" }}'


@dataclass(slots=True)
class Stand:
    """A server with one agent for each transport, and the tool server behind the first."""

    server: AuraServer
    mock: str

    def body(self, text: str, *, model: str = "web", stream: bool = False, **more: object) -> dict[str, object]:
        return {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}], **more}

    @property
    def url(self) -> str:
        return f"{self.server.url}/v1/chat/completions"

    def answer(self, text: str, *, token: str = "", **more: Any) -> Any:
        headers = {"authorization": token} if token else {}
        reply = httpx.post(self.url, json=self.body(text, **more), headers=headers, timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def said(self, text: str, **more: Any) -> str:
        return str(self.answer(text, **more)["choices"][0]["message"]["content"])

    def fate(self, model: str, task: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.said(f"fate {task}", model=model).partition("results: ")[2])
        return found

    def frames(self, text: str, **more: Any) -> list[tuple[str, Any]]:
        """Names (empty for chunks) and data of all frames; the end mark is asserted."""
        with httpx.stream("POST", self.url, json=self.body(text, stream=True, **more), timeout=60) as reply:
            raw = reply.read().decode()
        assert raw.endswith("data: [DONE]\n\n")
        frames: list[tuple[str, Any]] = []
        for frame in raw.split("\n\n")[:-2]:
            if frame.startswith(":"):
                continue
            head, _, data = frame.rpartition("data: ")
            frames.append((head.removeprefix("event: ").strip(), json.loads(data)))
        return frames

    @contextmanager
    def leaving(self, text: str, *, model: str, stream: bool) -> Iterator[None]:
        """A client that is gone at the end of the block, whatever it has been sent."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as client:
            client.sendall(raw_request(self.body(text, model=model, stream=stream)))
            yield


def raw_request(body: object) -> bytes:
    data = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(data)}\r\n\r\n".encode() + data


def wait_for(condition: Callable[[], object], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def serve(directory: Path, mock: str, *flags: str) -> Stand:
    agents = directory / "agents"
    agents.mkdir(exist_ok=True)
    (agents / "a.toml").write_text(agent("web", over_http(mock)))
    (agents / "b.toml").write_text(agent("child", over_stdio()))
    return Stand(AuraServer.start(agents, directory, *flags), mock)


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with running("mock", "--http", "0") as (url, _):
        yield url


@pytest.fixture(scope="module")
def stand(mock: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    made = serve(tmp_path_factory.mktemp("mcp"), mock)
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def loud(mock: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """The same with the named events."""
    made = serve(tmp_path_factory.mktemp("loud"), mock, "--aura-custom-events", "true", "--aura-emit-reasoning", "true")
    yield made
    made.server.stop()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", ["web", "child"])
def test_a_lost_client_cancels_its_tool_at_the_server_within_two_seconds(
    stand: Stand, model: str, stream: bool
) -> None:
    task = f"{model}-{stream}"
    with stand.leaving(f"slow {task}", model=model, stream=stream):
        assert wait_for(lambda: stand.fate(model, task)["status"] == "started")
    assert wait_for(lambda: stand.fate(model, task)["status"] == "cancelled", 2)
    if model == "child":  # over HTTP the newest protocol revision cancels by closing the call's response
        assert stand.fate(model, task)["reason"] == "client disconnected"


@pytest.mark.parametrize("stream", [True, False])
def test_a_lost_client_is_told_to_an_http_server_of_an_older_revision(tmp_path: Path, stream: bool) -> None:
    record = tmp_path / "messages"
    with running("legacy", "--http", "0", "--record", str(record)) as (url, _):
        (tmp_path / "agents").mkdir()
        (tmp_path / "agents" / "a.toml").write_text(agent("older", over_http(url)))
        stand = Stand(AuraServer.start(tmp_path / "agents", tmp_path), url)
        try:
            with stand.leaving("wait", model="older", stream=stream):
                assert wait_for(lambda: _messages(record, "tools/call"))
            assert wait_for(lambda: _messages(record, "notifications/cancelled"), 2)
            call = _messages(record, "tools/call")[0]
            assert [found["params"] for found in _messages(record, "notifications/cancelled")] == [
                {"requestId": call["id"], "reason": "client disconnected"}
            ]
        finally:
            stand.server.stop()


def _messages(record: Path, method: str) -> list[Any]:
    lines = record.read_text().splitlines() if record.exists() else []
    return [found for line in lines if (found := json.loads(line)).get("method") == method]


def test_a_hundred_calls_do_not_stall_without_a_listener(stand: Stand) -> None:
    assert stand.said("many").startswith(f"{MANY} results: ")


def test_two_users_never_meet_in_two_hundred_parallel_requests(stand: Stand) -> None:
    def ask(number: int) -> tuple[str, dict[str, str]]:
        token = f"Token user-{number % 2}"
        said = stand.said("headers", token=token)
        seen: dict[str, str] = json.loads(said.partition("results: ")[2])
        return token, seen

    with ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(ask, range(200)))
    assert all(seen["x-token"] == token for token, seen in answers)
    assert all("authorization" not in seen for _, seen in answers)


def test_a_tool_server_that_dies_in_mid_call_costs_one_call_and_is_found_again(stand: Stand) -> None:
    before = stand.said("process", model="child")
    assert "went away during the call" in stand.said("die", model="child")
    after = stand.said("process", model="child")
    assert before != after
    assert "1 results" in after


def test_a_killed_tool_server_is_found_again(stand: Stand) -> None:
    process = psutil.Process(int(stand.said("process", model="child").partition("results: ")[2]))
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(stand.said("slow killed", model="child")))
    asking.start()
    assert wait_for(lambda: stand.fate("child", "killed")["status"] == "started")
    process.send_signal(signal.SIGKILL)
    asking.join(20)
    assert "went away during the call" in answers[0]
    assert int(stand.said("process", model="child").partition("results: ")[2]) != process.pid


def test_both_legs_of_a_mixed_turn(stand: Stand) -> None:
    question = {"role": "user", "content": "mixed"}
    for stream in (False, True):
        if stream:
            deltas = [f["choices"][0]["delta"] for _, f in stand.frames("mixed", tools=[YOURS]) if f["choices"]]
            calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
        else:
            choice = stand.answer("mixed", tools=[YOURS])["choices"][0]
            assert choice["finish_reason"] == "tool_calls"
            assert choice["message"]["content"] is None
            calls = choice["message"]["tool_calls"]
        assert [call["function"]["name"] for call in calls] == ["yours"]
        assert json.loads(calls[0]["function"]["arguments"]) == {"path": "a.cfg"}
        echo = {k: v for k, v in calls[0].items() if k != "index"}
        second = [
            question,
            {"role": "assistant", "content": None, "tool_calls": [echo]},
            {"role": "tool", "tool_call_id": echo["id"], "content": "port=9000"},
        ]
        assert stand.said("", messages=second, tools=[YOURS]) == "1 results: port=9000"


@pytest.mark.parametrize("choice", ["none", {"type": "function", "function": {"name": "yours"}}, "required", "auto"])
def test_tool_choice_never_reaches_the_servers_own_tools(stand: Stand, choice: object) -> None:
    assert "Mock tool received" in stand.said("many", tools=[YOURS], tool_choice=choice)


@pytest.mark.parametrize(("detail", "keys"), [("tools", {"inputSchema"}), ("tools:summary", set())])
def test_info_asks_live_servers_with_the_callers_headers(stand: Stand, detail: str, keys: set[str]) -> None:
    reply = httpx.get(f"{stand.server.url}/aura/info", params={"detail": detail}, headers={"authorization": "Token x"})
    agents = {found["id"]: found for found in reply.json()["agents"]}
    for name in ("web", "child"):
        tools = {tool["name"]: tool for tool in agents[name]["mcp_servers"]["mock"]["tools"]}
        assert {"name", "description"} <= set(tools["mock_tool"])
        assert keys <= set(tools["mock_tool"])
        assert bool(keys) == ("inputSchema" in tools["mock_tool"])


def test_events_of_parallel_calls_keep_their_order_on_the_wire(loud: Stand) -> None:
    frames = loud.frames("both")
    names = [name for name, _ in frames if name]
    assert names[:2] == ["aura.session_info", "aura.mcp_status"]
    told = {
        name: [data["tool_id"] for n, data in frames if n == name]
        for name in set(names)
        if "tool_" in name and name != "aura.tool_usage"
    }
    assert told["aura.tool_requested"] == told["aura.tool_start"] == told["aura.tool_complete"]
    assert len(set(told["aura.tool_start"])) == 3
    complete = [data for name, data in frames if name == "aura.tool_complete"]
    assert [data["success"] for data in complete] == [True, True, False]
    assert ["result" in data for data in complete] == [True, True, False]
    assert "no luck" in complete[2]["error"]
    progress = [data for name, data in frames if name == "aura.progress"]
    start = next(data for name, data in frames if name == "aura.tool_start")
    assert [data["percent"] for data in progress] == [50, 100]
    assert {data["progress_token"] for data in progress} == {start["progress_token"]}
    order = [name or ("text" if data["choices"][0]["delta"].get("content") else "chunk") for name, data in frames]
    last = max(i for i, name in enumerate(order) if name == "aura.tool_complete")
    assert order.index("text") < order.index("aura.tool_requested")
    assert "text" in order[last:]
    assert "text" not in order[order.index("aura.tool_requested") : last]
    assert order[-2:] == ["aura.usage", "chunk"]
    text = "".join(data["choices"][0]["delta"].get("content") or "" for name, data in frames if not name)
    assert text.startswith("First.\n\n3 results")


def test_a_client_call_is_requested_and_never_started_or_completed(loud: Stand) -> None:
    frames = loud.frames("mixed", tools=[YOURS])
    by_tool = {
        tool: [name for name, data in frames if data.get("tool_name") == tool] for tool in ("mock_tool", "yours")
    }
    assert by_tool["yours"] == ["aura.tool_requested"]
    assert by_tool["mock_tool"] == ["aura.tool_requested", "aura.tool_start", "aura.tool_complete"]
    assert frames[-1][1]["choices"][0]["finish_reason"] == "tool_calls"
    assert "aura.usage" in [name for name, _ in frames]


def test_a_reader_that_pauses_delays_no_chatty_tool_and_loses_no_lifecycle(loud: Stand) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", loud.server.port))
        client.sendall(raw_request(loud.body("chatty", stream=True)))
        received = b""
        while b"aura.tool_start" not in received:
            received += client.recv(1024)
        time.sleep(1)  # the reader pauses while the tool tells its progress
        while b"[DONE]" not in received:
            received += client.recv(65536)
    assert received.count(b"event: aura.progress") <= 300
    found = received.partition(b"event: aura.tool_complete\n")[2].partition(b'"duration_ms":')[2].partition(b",")[0]
    assert int(found) < 5000
    assert received.count(b"event: aura.tool_complete") == received.count(b"event: aura.tool_start") == 1


def test_a_drain_ends_the_stream_and_cancels_its_tool(mock: str, tmp_path: Path) -> None:
    stand = serve(tmp_path, mock, "--shutdown-timeout-secs", "1")
    try:
        with httpx.Client(timeout=20) as client:
            with client.stream("POST", stand.url, json=stand.body("slow drain", stream=True)) as stream:
                lines = stream.iter_lines()
                next(lines)
                assert wait_for(lambda: _cancellation(mock, "drain", "tasks")["status"] == "started")
                stand.server.signal()
                rest = "\n".join(lines)
        assert '"code":"server_shutdown"' in rest
        assert rest.rstrip().endswith("data: [DONE]")
        assert stand.server.wait() == 0
        assert wait_for(lambda: _cancellation(mock, "drain")["cancelled"], 2)
    finally:
        stand.server.stop()


def test_a_timeout_cancels_the_tool_completes_it_and_says_so(mock: str, tmp_path: Path) -> None:
    stand = serve(tmp_path, mock, "--streaming-timeout-secs", "8", "--aura-custom-events", "true")
    try:
        stand.said("process")
        frames = stand.frames("slow late")
        names = [name for name, _ in frames]
        complete = next(data for name, data in frames if name == "aura.tool_complete")
        assert complete["success"] is False
        assert next(data for name, data in frames if name == "aura.error")["kind"] == "timeout"
        assert names.index("aura.tool_complete") < names.index("aura.error")
        assert frames[-1][1]["error"]["code"] == "deadline_exceeded"
        assert _cancellation(mock, "late")["cancelled"]
    finally:
        stand.server.stop()


def _cancellation(mock: str, task: str, path: str = "cancellations") -> Any:
    return httpx.get(f"{mock.removesuffix('/mcp')}/{path}", params={"id": task}).json()


def test_a_reload_recognises_changed_servers_and_leaves_nothing_behind(mock: str, tmp_path: Path) -> None:
    stand = serve(tmp_path, mock, "--reload")
    path = tmp_path / "agents" / "b.toml"
    process = psutil.Process(stand.server.process.pid)
    try:
        with stand.leaving("slow over", model="web", stream=True):
            assert wait_for(lambda: _cancellation(mock, "over", "tasks")["status"] == "started")
            path.write_text(agent("gone", over_http("http://127.0.0.1:9/mcp")))
            assert wait_for(partial(_serves, stand, "gone"))
            assert "no tool is called" in stand.said("process", model="gone")
            path.write_text(agent("child", over_http(mock)))
            assert wait_for(partial(_serves, stand, "child"))
            assert "Mock tool received" in stand.said("many", model="child")
            assert _cancellation(mock, "over", "tasks")["status"] == "started"
        before = 0
        for number in range(21):
            path.write_text(agent(f"child{number}", over_stdio()))
            stand.server.signal(signal.SIGHUP)
            assert wait_for(partial(_serves, stand, f"child{number}"))
            if number == 0:
                stand.said("process", model="child0")
                before = process.num_fds()
        stand.said("process", model="child20")
        assert wait_for(lambda: process.num_fds() <= before)
        assert len(process.children()) == 1
    finally:
        stand.server.stop()


def _serves(stand: Stand, name: str) -> bool:
    return name in [model["id"] for model in httpx.get(f"{stand.server.url}/v1/models").json()["data"]]


@pytest.mark.slow
def test_a_hundred_clients_that_leave_during_a_tool_leave_nothing_behind(stand: Stand) -> None:
    process = psutil.Process(stand.server.process.pid)
    stand.said("process", model="child")

    def leave(number: int) -> None:
        with stand.leaving(f"slow crowd-{number}", model="child", stream=number % 2 == 0):
            assert wait_for(lambda: stand.fate("child", f"crowd-{number}")["status"] == "started", 20)

    def crowd(first: int, count: int) -> None:
        with ThreadPoolExecutor(count) as clients:
            list(clients.map(leave, range(first, first + count)))
        assert wait_for(lambda: stand.fate("child", f"crowd-{first}")["status"] == "cancelled")

    crowd(0, 10)
    children = {child.pid for child in process.children(recursive=True)}
    assert wait_for(lambda: _clients(stand) == 0)
    before = process.num_fds(), process.num_threads()
    for first in range(100, 200, 10):
        crowd(first, 10)
    assert wait_for(lambda: _clients(stand) == 0)
    # The pool of worker threads grows up to as many as worked at once.
    assert wait_for(lambda: process.num_fds() <= before[0] and process.num_threads() <= before[1] + 10)
    assert {child.pid for child in process.children(recursive=True)} == children


def _clients(stand: Stand) -> int:
    """Connections of clients that the server still has."""
    found = psutil.Process(stand.server.process.pid).net_connections("tcp")
    return sum(c.laddr.port == stand.server.port and c.status != psutil.CONN_LISTEN for c in found)
