"""Life cycle of the real process: start, refuse to start, drain, reload, stop."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.server.rig import agent_file
from tests.wire.conftest import StartServer
from tests.wire.process import AuraServer, command, environment

HANG = {"model": "ops", "stream": True, "messages": [{"role": "user", "content": "hang"}]}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(), cwd=cwd, timeout=60, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_says_what_it_serves_and_stops_without_a_trace(start: StartServer, number: int) -> None:
    server = start()
    assert [line.split()[:2] for line in server.lines[:2]] == [["agent", "ops"], ["agent", "dev"]]
    assert httpx.get(f"{server.url}/health").status_code == 200
    server.signal(number)
    assert server.wait() == 0
    assert server.log == ""


@pytest.mark.parametrize("by_flag", [True, False])
def test_a_server_says_its_public_address_before_it_listens(start: StartServer, by_flag: bool) -> None:
    url = "https://agents.example.com"
    server = start("--server-url", url) if by_flag else start(env={"AURA_SERVER_URL": url})
    assert server.lines[-2:] == [f"public address {url}", f"listening on {server.url}"]
    assert server.url.startswith("http://127.0.0.1:")


def test_a_server_without_a_public_address_says_none(start: StartServer) -> None:
    assert not any(line.startswith("public address") for line in start().lines)


def test_a_port_in_use_is_one_clear_sentence(start: StartServer, wire_agents: Path, tmp_path: Path) -> None:
    server = start()
    refused = run("serve", str(wire_agents), "--port", str(server.port), cwd=tmp_path)
    assert refused.returncode == 1
    assert "cannot listen" in refused.stderr
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "listening" not in refused.stdout


def test_a_broken_configuration_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[agent]\nname = 1\n")
    refused = run("serve", str(tmp_path / "a.toml"), "--port", "0", cwd=tmp_path)
    assert refused.returncode == 1
    assert "a.toml:" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_drain_lets_runs_finish_then_ends_the_rest_with_an_error(start: StartServer) -> None:
    server = start("--shutdown-timeout-secs", "1")
    slow = {**HANG, "messages": [{"role": "user", "content": "slow"}]}
    url = f"{server.url}/v1/chat/completions"
    with httpx.Client(timeout=20) as client, client.stream("POST", url, json=HANG) as stream:
        lines = stream.iter_lines()
        next(lines)
        server.signal()
        refused = _until_refused(client, server)
        rest = "\n".join(lines)
        assert client.build_request("POST", url, json=slow)
    assert refused.json()["error"]["code"] == "server_shutdown"
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    assert '"code":"server_shutdown"' in rest
    assert rest.rstrip().endswith("data: [DONE]")
    assert server.wait() == 0


def _until_refused(client: httpx.Client, server: AuraServer) -> httpx.Response:
    deadline = time.monotonic() + 20
    while True:
        answer = client.get(f"{server.url}/health")
        if answer.status_code == 503 or time.monotonic() > deadline:
            return answer


def test_a_second_signal_does_not_wait_for_the_grace(start: StartServer) -> None:
    server = start("--shutdown-timeout-secs", "600")
    with httpx.Client(timeout=20) as client:
        with client.stream("POST", f"{server.url}/v1/chat/completions", json=HANG) as stream:
            lines = stream.iter_lines()  # kept: closing it closes the connection
            next(lines)
            server.signal()
            _until_refused(client, server)
            server.signal()
            rest = "\n".join(lines)
            assert server.wait(8) == 0
    assert '"code":"server_shutdown"' in rest
    assert rest.rstrip().endswith("data: [DONE]")


def test_sighup_swaps_the_agents(tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "a.toml").write_text(agent_file("first"))
    server = AuraServer.start(agents, tmp_path)
    try:
        (agents / "b.toml").write_text("[agent]\n")
        server.signal(signal.SIGHUP)
        assert _wait_for(server, "/health", "b.toml")
        assert [model["id"] for model in httpx.get(f"{server.url}/v1/models").json()["data"]] == ["first"]
        (agents / "b.toml").write_text(agent_file("second"))
        server.signal(signal.SIGHUP)
        assert _wait_for(server, "/v1/models", "second")
    finally:
        server.stop()


def _wait_for(server: AuraServer, path: str, text: str) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if text in httpx.get(f"{server.url}{path}").text:
            return True
    return False


def test_broken_http_gets_the_envelope(server: AuraServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(b"NOT HTTP AT ALL\r\n\r\n")
        answer = b""
        while part := raw.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":{"message":' in answer


def test_the_bytes_of_a_stream_have_no_carriage_return_and_no_event_line(server: AuraServer) -> None:
    body = {"model": "ops", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in answer.headers
    assert b"\r" not in raw
    assert all(frame.startswith(b"data: ") and b"\n" not in frame for frame in raw.split(b"\n\n")[:-1])


@pytest.mark.slow
def test_a_hundred_clients_that_leave_leave_nothing_behind(server: AuraServer) -> None:
    process = psutil.Process(server.process.pid)
    url = f"{server.url}/v1/chat/completions"

    def leave(times: int) -> None:
        for _ in range(times):
            with httpx.Client() as client, client.stream("POST", url, json=HANG) as stream:
                next(stream.iter_lines())

    def crowd(count: int) -> None:
        clients = [threading.Thread(target=leave, args=(1,)) for _ in range(count)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    crowd(5)
    before = _settled(process)
    crowd(50)
    crowd(50)
    deadline = time.monotonic() + 30
    while process.num_fds() > before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert process.num_fds() <= before
    assert process.children() == []


def _settled(process: psutil.Process) -> int:
    """Open files once the number has stopped falling."""
    deadline = time.monotonic() + 10
    count = process.num_fds()
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = process.num_fds()
        if now >= count:
            return now
        count = now
    return count


def test_a_reader_that_stalls_is_cut_off(start: StartServer) -> None:
    server = start("--stall-secs", "1", "--heartbeat-secs", "1")
    body = b'{"model":"ops","stream":true,"messages":[{"role":"user","content":"flood"}]}'
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(20)
        raw.connect(("127.0.0.1", server.port))
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        raw.sendall(head.encode() + body)
        assert raw.recv(100).startswith(b"HTTP/1.1 200")
        process = psutil.Process(server.process.pid)
        deadline = time.monotonic() + 20
        while _connected(process, server.port) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not _connected(process, server.port)


def _connected(process: psutil.Process, port: int) -> bool:
    return any(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in process.net_connections("tcp"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_however_often_it_is_told_to_stop_the_exit_status_is_that_of_a_clean_stop(
    start: StartServer, number: int
) -> None:
    server = start()
    running = True
    while running:
        server.signal(number)
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(0.002)
            running = False
    assert server.process.returncode == 0, server.log
