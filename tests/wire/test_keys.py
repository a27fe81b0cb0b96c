"""API keys over real sockets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.server.rig import agent_file
from tests.wire.process import AuraServer
from tests.wire.test_server_process import run

EVERY, FEW, LISTED, WRONG = "every-agent,key:1", "few-agents-key-2", "listed-key-3", "unknown-key-4"
ROUTES = (
    ("GET", "/v1/models"),
    ("GET", "/v1/models/ops"),
    ("GET", "/aura/info"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/responses"),
    ("GET", "/nowhere"),
)


def digest(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuraServer]:
    """Keys from a file and from the environment at once; everything is logged."""
    home = tmp_path_factory.mktemp("keys")
    agents = home / "agents"
    agents.mkdir()
    for name in ("ops", "dev-1", "dev-2"):
        (agents / f"{name}.toml").write_text(agent_file(name))
    keys = home / "keys"
    keys.write_text(f"# who may ask\n\nadmin {digest(EVERY)}\nteam {digest(FEW)} dev-*  # two of three\n")
    running = AuraServer.start(
        agents, home, "--api-keys-file", str(keys), "--debug", env={"AURA_API_KEYS": f"pipeline:{LISTED}=ops"}
    )
    yield running
    running.stop()
    for key in (EVERY, FEW, LISTED, WRONG):
        assert key not in running.log
        assert digest(key).removeprefix("sha256:") not in running.log


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def body(model: str, *, stream: bool = False) -> dict[str, object]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_but_health_needs_a_key(guarded: AuraServer, method: str, path: str) -> None:
    for headers in ({}, bearer(WRONG), {"x-api-key": WRONG}, bearer(digest(EVERY)), bearer(EVERY + "0")):
        reply = httpx.request(method, guarded.url + path, headers=headers)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
        assert reply.headers["www-authenticate"] == "Bearer"
        assert WRONG not in reply.text
    assert httpx.get(f"{guarded.url}/health").status_code == 200


@pytest.mark.parametrize(
    ("key", "models"), [(EVERY, ["dev-1", "dev-2", "ops"]), (FEW, ["dev-1", "dev-2"]), (LISTED, ["ops"])]
)
def test_a_key_sees_and_asks_only_its_agents(guarded: AuraServer, key: str, models: list[str]) -> None:
    listed = httpx.get(f"{guarded.url}/v1/models", headers=bearer(key)).json()
    assert sorted(model["id"] for model in listed["data"]) == models
    told = httpx.get(f"{guarded.url}/aura/info", headers=bearer(key)).json()
    assert sorted(agent["id"] for agent in told["agents"]) == models
    for name in ("dev-1", "dev-2", "ops"):
        for stream in (False, True):
            reply = httpx.post(
                f"{guarded.url}/v1/chat/completions", json=body(name, stream=stream), headers={"x-api-key": key}
            )
            assert reply.status_code == (200 if name in models else 404)
            assert ("You said hi" in reply.text) == (name in models)
            assert key not in reply.text


def test_the_same_idempotency_key_of_two_callers_is_two_requests(guarded: AuraServer) -> None:
    answers = {
        httpx.post(
            f"{guarded.url}/v1/chat/completions", json=body("ops"), headers={"idempotency-key": "k", **bearer(key)}
        ).text
        for key in (EVERY, LISTED, EVERY, LISTED)
    }
    assert len(answers) == 2


def test_an_sdk_s_own_key_is_the_one_that_is_checked(guarded: AuraServer) -> None:
    with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=FEW, max_retries=0) as client:
        answer = client.chat.completions.create(model="dev-2", messages=[{"role": "user", "content": "hi"}])
        assert answer.choices[0].message.content == "You said hi"
        with pytest.raises(openai.NotFoundError) as refused:
            client.chat.completions.create(model="ops", messages=[{"role": "user", "content": "hi"}])
        assert refused.value.code == "model_not_found"


def test_a_file_with_a_plain_key_is_refused_at_the_start_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "ops.toml").write_text(agent_file("ops"))
    (tmp_path / "keys").write_text(f"team {FEW}\n")
    refused = run("serve", "ops.toml", "--port", "0", "--api-keys-file", "keys", cwd=tmp_path)
    assert refused.returncode != 0
    assert "keys" in refused.stderr
    assert FEW not in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr
