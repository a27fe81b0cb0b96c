"""Routes other than the run: models, health, info, and what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.rig import RULES, Rig, agent_file, serving


async def test_models_are_listed_in_load_order_without_hidden_ones(rig: Rig) -> None:
    body = (await rig.ask("GET", "/v1/models")).json()
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == ["ops", "team/dev helper"]
    assert [model["name"] for model in body["data"]] == ["ops", "dev/helper"]
    for model in body["data"]:
        assert set(model) == {"id", "name", "object", "created", "owned_by"}
        assert (model["object"], model["owned_by"], type(model["created"])) == ("model", "scripted", int)


async def test_a_known_context_window_is_told_as_context_length(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops", rules="context_window = 32000\n" + RULES))
    async with serving(tmp_path) as rig:
        assert (await rig.ask("GET", "/v1/models")).json()["data"][0]["context_length"] == 32000


@pytest.mark.parametrize(
    "path", ["/v1/models/ops", "/v1/models/team/dev helper", "/v1/models/secret", "/v1/models/ops/"]
)
async def test_a_model_is_found_by_its_id_slashes_included(rig: Rig, path: str) -> None:
    reply = await rig.ask("GET", path)
    assert (reply.status, reply.json()["object"]) == (200, "model")


async def test_an_unknown_model_is_404(rig: Rig) -> None:
    error = (await rig.ask("GET", "/v1/models/dev/helper")).error()
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "does not exist" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("POST", "/v1/approvals/x", 404, "not_found"),
        ("GET", "/.well-known/agent-card.json", 404, "not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("DELETE", "/health", 405, "method_not_allowed"),
        ("GET", "/v1/responses/resp_1", 404, "not_found"),
    ],
)
async def test_everything_else_is_refused_with_the_envelope(
    rig: Rig, method: str, path: str, status: int, code: str
) -> None:
    reply = await rig.ask(method, path)
    assert (reply.status, reply.error()["code"]) == (status, code)
    if status == 405:
        assert reply.headers["allow"]


async def test_health_tells_version_and_store(rig: Rig) -> None:
    body = (await rig.ask("GET", "/health/")).json()
    assert body.pop("timestamp")
    assert body.pop("aura_version")
    assert body == {
        "status": "healthy",
        "a2a_server": {"version": "1.0"},
        "session_store": {"backend": "memory", "ping": {"ok": True, "latency_ms": 0}},
    }


async def test_a_draining_server_turns_every_request_away(rig: Rig) -> None:
    rig.state.start_draining()
    for method, path in (("GET", "/health"), ("GET", "/nope"), ("POST", "/v1/chat/completions")):
        reply = await rig.ask(method, path)
        assert (reply.status, reply.error()["type"]) == (503, "service_unavailable")
        assert 1 <= int(reply.headers["retry-after"]) <= 5
        assert reply.headers["x-should-retry"] == "true"


async def test_a_bug_is_a_500_without_a_trace(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(type(rig.state), "visible")
    reply = await rig.ask("GET", "/v1/models")
    assert (reply.status, reply.error()["type"]) == (500, "internal_error")
    assert "Traceback" not in reply.text


async def test_info_shows_agents_without_credentials(tmp_path: Path) -> None:
    servers = """
[mcp.servers.obs]
transport = "http_streamable"
url = "https://user:pw@obs.example.com:8443/mcp?token=secret"
description = "Logs"
headers = { Authorization = "Bearer secret" }

[mcp.servers.fs]
transport = "stdio"
cmd = ["/opt/bin/fs-server", "--secret"]
env = { KEY = "secret" }
"""
    (tmp_path / "a.toml").write_text(agent_file("ops", 'description = "On call"') + servers)
    async with serving(tmp_path, default_agent="ops") as rig:
        reply = await rig.ask("GET", "/aura/info")
    assert "secret" not in reply.text
    assert reply.json() == {
        "default_agent": "ops",
        "agents": [
            {
                "id": "ops",
                "description": "On call",
                "model": "demo",
                "mcp_servers": {
                    "fs": {"transport": "stdio", "command": "fs-server"},
                    "obs": {
                        "transport": "http_streamable",
                        "url": "https://obs.example.com:8443",
                        "description": "Logs",
                    },
                },
            }
        ],
    }


async def test_info_refuses_details_it_does_not_know(rig: Rig) -> None:
    reply = await rig.ask("GET", "/aura/info?detail=tools,secrets")
    assert reply.status == 400
    assert "`tools:summary`" in reply.error()["message"]


async def test_cors_is_off_until_it_is_configured(agents: Path) -> None:
    preflight = {"host": "localhost", "origin": "https://ui.example", "access-control-request-method": "POST"}
    async with serving(agents) as rig:
        assert (await rig.ask("OPTIONS", "/v1/models", headers=preflight)).status == 405
    async with serving(agents, cors_origins="https://ui.example", api_keys="k") as rig:
        reply = await rig.ask("OPTIONS", "/v1/models", headers=preflight)
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "https://ui.example")
        refused = await rig.ask("GET", "/v1/models", headers={"origin": "https://ui.example"})
        assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "https://ui.example")


async def test_a_page_that_may_not_ask_is_told_so_in_the_envelope(agents: Path) -> None:
    asked = {"origin": "https://ui.example", "access-control-request-method": "POST"}
    async with serving(agents, cors_origins="https://ui.example, https://other.example", api_keys="k") as rig:
        for changed in ({"origin": "https://evil.example"}, {"access-control-request-method": "PATCH"}):
            reply = await rig.ask("OPTIONS", "/v1/chat/completions", headers={**asked, **changed})
            assert reply.status == 400
            assert "AURA_CORS_ORIGINS" in reply.error()["message"]
            assert reply.headers.get("access-control-allow-origin") != "https://evil.example"
            assert reply.headers["x-request-id"].startswith("req_")
        allowed = await rig.ask("OPTIONS", "/v1/chat/completions", headers=asked)
        assert allowed.headers["x-request-id"].startswith("req_")


async def test_every_origin_may_ask_where_the_operator_says_so(agents: Path) -> None:
    async with serving(agents, cors_origins="*") as rig:
        reply = await rig.ask("GET", "/v1/models", headers={"host": "localhost", "origin": "https://ui.example"})
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "*")
