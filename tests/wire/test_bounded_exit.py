"""The process ends in bounded time whatever its tool servers do."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.server.rig import agent_file
from tests.wire.process import AuraServer
from tests.wire.test_mcp_served import wait_for

ROOT = Path(__file__).parents[2]
GRACE = 1
REST = 10.0
"""Seconds that follow the grace, at most."""
RULES = """
[[agent.llm.rules]]
after_tool = "*"
say = "It says {{ result }}"

[[agent.llm.rules]]
user = "^hello"
tool_calls = [{ name = "hello", arguments = {} }]

[[agent.llm.rules]]
user = "^stuck"
tool_calls = [{ name = "stuck", arguments = {} }]
"""


def server_table(command: str) -> str:
    return f'[mcp.servers.stubborn]\ntransport = "stdio"\ncmd = {command}\nenv = {{ PYTHONPATH = "{ROOT}" }}\n'


@contextmanager
def serving(directory: Path, text: str) -> Iterator[AuraServer]:
    (directory / "agents").mkdir()
    (directory / "agents" / "a.toml").write_text(text)
    flags = ("--shutdown-timeout-secs", str(GRACE), "--aura-custom-events", "true")
    server = AuraServer.start(directory / "agents", directory, *flags)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            for child in psutil.Process(server.process.pid).children(recursive=True):
                child.kill()
            server.process.kill()
            server.process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[AuraServer]:
    command = f'["{sys.executable}", "-m", "tests.servers.stubborn"]'
    with serving(tmp_path, agent_file("ops", rules=RULES) + server_table(command)) as server:
        yield server


def body(text: str, *, stream: bool) -> dict[str, object]:
    return {"model": "ops", "stream": stream, "messages": [{"role": "user", "content": text}]}


def ended(server: AuraServer) -> None:
    """Waits for the end within its bound, at which no child may be left."""
    assert server.wait(GRACE + REST) == 0, server.log
    assert "Traceback" not in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_tool_server_that_ignores_every_request_to_end_does_not_hold_the_exit(
    stubborn: AuraServer, number: int
) -> None:
    reply = httpx.post(f"{stubborn.url}/v1/chat/completions", json=body("hello", stream=False), timeout=30)
    assert "It says still here" in reply.text
    assert psutil.Process(stubborn.process.pid).children()
    stubborn.signal(number)
    ended(stubborn)


def test_a_call_that_never_returns_does_not_hold_the_exit_nor_the_end_of_its_stream(stubborn: AuraServer) -> None:
    url = f"{stubborn.url}/v1/chat/completions"
    with httpx.Client(timeout=30) as client:
        assert "still here" in client.post(url, json=body("hello", stream=False)).text
        with client.stream("POST", url, json=body("stuck", stream=True)) as reply:
            parts = reply.iter_text()
            said = ""
            while "event: aura.tool_start" not in said:
                said += next(parts)
            stubborn.signal()
            rest = "".join(parts)
    assert '"code":"server_shutdown"' in rest
    assert rest.endswith("data: [DONE]\n\n")
    ended(stubborn)


def test_a_tool_server_that_never_greets_does_not_hold_the_exit(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    text = agent_file("ops") + server_table(f'["{sys.executable}", "-c", "{script}"]')
    with serving(tmp_path, text) as server:
        assert wait_for(psutil.Process(server.process.pid).children)
        server.signal()
        ended(server)
