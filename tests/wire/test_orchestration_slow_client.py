"""A client that hardly reads loses nothing of what workers do."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import pytest

from tests.mcp.conftest import running
from tests.orchestration.harness import Rule, answer, call, coordinator, parallel, plan, step, submit
from tests.orchestration.harness import worker as work
from tests.wire.process import AuraServer
from tests.wire.teams import Heard, team
from tests.wire.test_orchestration_leaving import until

CALLS = 100
SIZE = 5_000
RULES: list[Rule] = [
    coordinator("plan", plan(parallel(step("a"), step("b", "beta")), step("c"))),
    work(submit("over"), after_tool="mock_tool"),
    work(*[call("mock_tool", message=f"{number} {{{{ 'x' * {SIZE} }}}}") for number in range(CALLS)], user="\na\n"),
    work(submit("nothing to call")),
    coordinator("continue", answer("all of it is done")),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AuraServer, Path]]:
    directory = tmp_path_factory.mktemp("slow")
    (directory / "agents").mkdir()
    with running("mock", "--http", "0") as (url, _):
        text = team("busy", RULES, url=url, memory=directory / "memory")
        (directory / "agents" / "busy.toml").write_text(text)
        env = {"AURA_CUSTOM_EVENTS": "true", "TOOL_RESULT_MAX_LENGTH": str(2 * SIZE)}
        server = AuraServer.start(directory / "agents", directory, env=env)
        yield server, directory / "memory"
        server.stop()


async def asked_slowly(server: AuraServer, memory: Path, session: str, stalled: int) -> Heard:
    """Reads nothing until ``stalled`` calls are over, and then little by little."""
    body = {
        "model": "busy",
        "stream": True,
        "messages": [{"role": "user", "content": "Go"}],
        "metadata": {"chat_session_id": session},
    }
    data = json.dumps(body).encode()
    port = int(server.url.rpartition(":")[2])
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", port))
    with anyio.fail_after(90):
        async with await anyio.abc.SocketStream.from_socket(raw) as stream:
            head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
            await stream.send(head.encode() + data)
            await until(lambda: recorded(memory / "anonymous" / "busy" / session) >= stalled)
            return frames(b"".join([piece async for piece in _pieces(stream)]))


async def _pieces(stream: anyio.abc.SocketStream) -> AsyncIterator[bytes]:
    with suppress(anyio.EndOfStream):
        while True:
            yield await stream.receive(1024)


def recorded(session: Path) -> int:
    """Calls that the run in ``session`` has recorded so far."""
    return sum(len(path.read_bytes().splitlines()) for path in session.glob("*/iteration-1/*.tool-calls.jsonl")) or (
        CALLS if any(session.glob("*/iteration-1/*.tool-calls.json")) else 0
    )


def frames(received: bytes) -> Heard:
    head, _, rest = received.partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0]
    text = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        text, rest = text + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    heard = Heard()
    for frame in text.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.split("\n") if line[:1] not in ("", ":"))
        if "data" in lines and lines["data"] != "[DONE]":
            heard.frames.append((lines.get("event", ""), json.loads(lines["data"])))
    assert text.rstrip().endswith(b"data: [DONE]")
    return heard


async def test_a_hundred_calls_reach_a_client_that_hardly_reads(served: tuple[AuraServer, Path]) -> None:
    server, memory = served
    heard: list[Heard] = []

    async def listen(session: str, stalled: int) -> None:
        heard.append(await asked_slowly(server, memory, session, stalled))

    async with anyio.create_task_group() as group:
        group.start_soon(listen, "stalls", CALLS)
        group.start_soon(listen, "trickles", 0)
    for each in heard:
        started = [data["tool_call_id"] for data in each.named("tool_call_started") if data["tool_name"] == "mock_tool"]
        completed = Counter(data["tool_call_id"] for data in each.named("tool_call_completed"))
        assert len(started) == len(set(started)) == CALLS
        assert all(completed[call_id] == 1 for call_id in started)
        (over,) = each.positions("task_completed", task_id=0)
        for call_id in started:
            (began,) = each.positions("tool_call_started", tool_call_id=call_id)
            (ended,) = each.positions("tool_call_completed", tool_call_id=call_id)
            assert each.frames[ended][1]["success"]
            assert len(each.frames[ended][1]["result"]) > SIZE
            assert began < ended < over
        assert each.text == "all of it is done"
        assert [data["success"] for data in each.named("task_completed")] == [True] * 3
