"""What probes are told, and that nothing they are told stays when it is over."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.knowledge.qdrant_server import qdrant_server
from tests.mcp.conftest import running
from tests.server.rig import Rig, agent_file, serving


def with_server(url: str, *, required: bool) -> str:
    server = (
        f'[mcp.servers.tickets]\ntransport = "http_streamable"\nurl = "{url}"\nrequired = {str(required).lower()}\n'
    )
    return agent_file("ops") + server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_a_server_with_nothing_missing_is_alive_and_ready(rig: Rig) -> None:
    live, ready = await rig.ask("GET", "/health/live"), await rig.ask("GET", "/health/ready")
    assert (live.status, live.json()) == (200, {"status": "alive"})
    assert ready.status == 200
    assert ready.json() == {
        "status": "ready",
        "draining": False,
        "agents": 3,
        "reload": {"ok": True},
        "mcp_servers": {"failed": []},
    }


async def test_a_draining_server_is_alive_and_not_ready(rig: Rig) -> None:
    rig.state.start_draining()
    assert (await rig.ask("GET", "/health/live")).status == 200
    ready = await rig.ask("GET", "/health/ready")
    assert (ready.status, ready.json()) == (503, {"status": "not_ready", "draining": True})
    assert (await rig.ask("GET", "/health")).status == 503


async def test_probes_need_no_key(agents: Path) -> None:
    async with serving(agents, api_keys="secret-key") as rig:
        for path in ("/health/live", "/health/ready"):
            assert (await rig.ask("GET", path)).status == 200


async def test_a_failed_reload_degrades_until_one_succeeds(rig: Rig) -> None:
    rig.state.reload_problem = "a.toml:1:1: no"
    degraded = await rig.ask("GET", "/health/ready")
    assert (degraded.status, degraded.json()["status"]) == (200, "degraded")
    assert "a.toml" not in degraded.text
    rig.state.reload_problem = None
    assert (await rig.ask("GET", "/health/ready")).json()["status"] == "ready"


@pytest.mark.parametrize(("required", "status", "word"), [(True, 503, "not_ready"), (False, 200, "degraded")])
async def test_a_server_that_comes_back_is_noticed_without_any_request(
    tmp_path: Path, required: bool, status: int, word: str
) -> None:
    port = free_port()
    (tmp_path / "a.toml").write_text(with_server(f"http://127.0.0.1:{port}/mcp", required=required))
    async with serving(tmp_path) as rig:
        await rig.state.services.warm(rig.state.catalog.configs)
        away = await rig.ask("GET", "/health/ready")
        assert (away.status, away.json()["status"]) == (status, word)
        assert away.json()["mcp_servers"] == {"failed": ["tickets"]}
        with running("mock", "--http", str(port)):
            while (reply := await rig.ask("GET", "/health/ready")).json()["status"] != "ready":
                pass  # each look waits for the attempt, or for nothing while it backs off
            assert reply.status == 200


async def test_a_required_server_that_goes_away_is_noticed(tmp_path: Path) -> None:
    with running("mock", "--http", "0") as (url, process):
        (tmp_path / "a.toml").write_text(with_server(url, required=True))
        async with serving(tmp_path) as rig:
            assert (await rig.ask("GET", "/health/ready")).status == 200
            process.kill()
            process.wait()
            while (await rig.ask("GET", "/health/ready")).status == 200:
                await rig.ask("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})


async def test_a_server_that_needs_a_callers_header_is_not_judged(tmp_path: Path) -> None:
    text = with_server(f"http://127.0.0.1:{free_port()}/mcp", required=True)
    (tmp_path / "a.toml").write_text(text + 'headers_from_request = { Authorization = "x-ticket-token" }\n')
    async with serving(tmp_path) as rig:
        assert (await rig.ask("GET", "/health/ready")).json()["status"] == "ready"


async def test_a_required_vector_store_that_comes_and_goes_is_noticed(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "docs").mkdir()
    (tmp_path / "a.toml").write_text(
        f"{agent_file('ops')}[[vector_stores]]\nname = 'notes'\ntype = 'qdrant'\nurl = 'http://127.0.0.1:{port}'\n"
        "mode = 'lexical'\nsources = ['docs']\nrequired = true\n"
    )
    async with serving(tmp_path) as rig:
        away = await rig.ask("GET", "/health/ready")
        assert (away.status, away.json()["status"]) == (503, "not_ready")
        assert away.json()["vector_stores"] == {"failed": ["notes"]}
        with qdrant_server(rest_port=port):
            ready = await rig.ask("GET", "/health/ready")
            assert (ready.status, ready.json()["status"]) == (200, "ready")
        assert (await rig.ask("GET", "/health/ready")).json() == away.json()
