"""Headers that are sent more than once never mean one thing here and another there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.rig import agent_file, serving

REMOTE = """
[mcp.servers.tickets]
transport = "http_streamable"
url = "http://127.0.0.1:9/mcp"
required = false
headers_from_request = { X-Token = "X-User-Token" }
"""
CHAT = "/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "x-api-key", "api-key", "cookie", "idempotency-key", "x-stainless-retry-count"),
        *("x-chat-session-id", "x-openwebui-chat-id", "x-thread", "x-user-token"),
        *("x-openwebui-user-jwt", "x-openwebui-user-id", "x-openwebui-user-email", "x-openwebui-user-name"),
    ],
)
@pytest.mark.parametrize("second", ["one", "two"])
async def test_a_header_that_identifies_a_caller_or_is_passed_on_is_sent_once(
    tmp_path: Path, name: str, second: str
) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops") + REMOTE)
    keys = "webui!:one" if name in ("authorization", "x-api-key", "api-key") else "webui!:key"
    async with serving(tmp_path, session_headers="x-thread", api_keys=keys) as rig:
        key = [] if "webui!:one" in keys else [("x-api-key", "key")]
        key += [("idempotency-key", "k")] if name == "cookie" else []
        prefix = "Bearer " if name == "authorization" else ""
        twice = [(name, prefix + "one"), (name.title(), prefix + second)]
        refused = await rig.ask("POST", CHAT, ASKED, [*key, *twice])
        error = refused.error()
        assert (refused.status, error["param"]) == (400, name)
        assert "sent 2 times" in error["message"]
        assert not rig.state.services.engine.live


async def test_the_tools_of_an_agent_are_not_asked_for_with_an_ambiguous_header(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops") + REMOTE)
    async with serving(tmp_path) as rig:
        twice = [("x-user-token", "one"), ("x-user-token", "two")]
        assert (await rig.ask("GET", "/aura/info?detail=tools", headers=twice)).status == 400
        assert (await rig.ask("GET", "/aura/info", headers=twice)).status == 200


async def test_other_headers_may_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops"))
    async with serving(tmp_path) as rig:
        twice = [("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", "10.0.0.2"), ("x-user-token", "1")]
        assert (await rig.chat(headers=[*twice, ("x-user-token", "2")])).status == 200
