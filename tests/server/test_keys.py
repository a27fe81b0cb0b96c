"""API keys."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.datastructures import Headers

from aura_py.errors import ConfigurationError, InvalidKey
from aura_py.server.api_keys import ApiKeys
from tests.server.rig import serving


def ring(text: str) -> ApiKeys:
    return ApiKeys.load(SecretStr(text), None)


def bearer(key: str) -> Headers:
    return Headers({"authorization": f"Bearer {key}"})


async def test_every_route_but_health_asks_for_a_key(agents: Path) -> None:
    async with serving(agents, api_keys="alpha-key,beta-key") as rig:
        assert (await rig.ask("GET", "/health")).status == 200
        for method, path in (
            ("GET", "/v1/models"),
            ("GET", "/aura/info"),
            ("POST", "/v1/chat/completions"),
            ("GET", "/x"),
        ):
            for headers in ({}, {"authorization": "Bearer wrong-key"}, {"authorization": "Basic YTpi"}):
                reply = await rig.ask(method, path, headers=headers)
                error = reply.error()
                assert (reply.status, error["type"], error["code"]) == (401, "authentication_error", "invalid_api_key")
                assert "wrong-key" not in reply.text
        for headers in ({"authorization": "bearer beta-key"}, {"x-api-key": "alpha-key"}, {"api-key": "beta-key"}):
            assert (await rig.ask("GET", "/v1/models", headers=headers)).status == 200


async def test_a_key_sees_and_asks_only_its_agents(agents: Path) -> None:
    async with serving(agents, api_keys="all:alpha,few:beta=team/*|none") as rig:
        few = {"x-api-key": "beta"}
        listed = (await rig.ask("GET", "/v1/models", headers=few)).json()
        assert [model["id"] for model in listed["data"]] == ["team/dev helper"]
        assert (await rig.ask("GET", "/v1/models/ops", headers=few)).status == 404
        refused = await rig.chat(headers=few, model="ops")
        assert (refused.status, refused.error()["code"]) == (404, "model_not_found")
        assert (await rig.chat(headers=few, model="team/dev helper")).status == 200
        assert (await rig.chat(headers={"x-api-key": "alpha"}, model="ops")).status == 200
        agents_seen = (await rig.ask("GET", "/aura/info", headers=few)).json()["agents"]
        assert [agent["id"] for agent in agents_seen] == ["team/dev helper"]


@pytest.mark.parametrize(
    ("text", "key", "name", "agents"),
    [
        ("abc", "abc", None, ()),
        ("one, two ,", "two", None, ()),
        ("team:abc", "abc", "team", ()),
        ("abc===ops", "abc==", None, ("ops",)),
        ("abc===*", "abc==", None, ("*",)),
        ("team:a:b=ops|dev*", "a:b", "team", ("ops", "dev*")),
    ],
)
def test_the_list_of_keys_is_read_as_documented(text: str, key: str, name: str | None, agents: tuple[str, ...]) -> None:
    found = ring(text).principal(bearer(key))
    assert name in (None, found.name)
    assert tuple(glob.pattern for glob in found.agents) == agents


def test_a_key_without_a_name_has_an_identity_of_its_own_wherever_it_stands_in_the_list() -> None:
    alone = ring("two").principal(bearer("two")).name
    assert ring("one,two,three").principal(bearer("two")).name == alone
    assert ring("one,two,three").principal(bearer("three")).name != alone
    assert alone is not None
    assert "two" not in alone
    assert hashlib.sha256(b"two").hexdigest()[:12] not in alone


def test_two_keys_of_one_name_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    ring("team:one,team:two,other:three")
    (warning,) = caplog.messages
    assert "2 API keys are named `team`" in warning


@pytest.mark.parametrize("text", ["key=", "name:key=", "name:key=|", "name:key=ops|", "name:key= ", "abc=="])
def test_an_empty_pattern_never_comes_to_allow_everything(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"pattern in entry 1 of `AURA_API_KEYS` is empty.*=\*") as refused:
        ring(text)
    assert "abc" not in refused.value.message


async def test_a_key_that_may_not_ask_the_default_agent_does_not_learn_its_name(agents: Path) -> None:
    async with serving(agents, default_agent="ops", api_keys="all:alpha,few:beta=team/*") as rig:
        few = {"x-api-key": "beta"}
        told = await rig.ask("GET", "/aura/info", headers=few)
        asked = await rig.chat(headers=few)
        assert (asked.status, asked.error()["code"]) == (400, "missing_required_parameter")
        assert "ops" not in told.text + asked.text
        assert (await rig.ask("GET", "/aura/info", headers={"x-api-key": "alpha"})).json()["default_agent"] == "ops"


@pytest.mark.parametrize("text", ["a,b,a", "name:", "a=[x", ",,"])
def test_a_broken_list_is_refused_without_showing_a_key(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ring(text)
    assert "AURA_API_KEYS" in refused.value.message or "same key" in refused.value.message


def test_a_file_holds_digests_names_and_patterns(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"tricky,key:with=signs").hexdigest()
    file = tmp_path / "keys"
    file.write_text(f"# who may ask\n\nci sha256:{digest} ops dev*  # pipelines\n")
    keys = ApiKeys.load(None, file)
    found = keys.principal(bearer("tricky,key:with=signs"))
    assert found.name == "ci"
    assert found.may_ask("dev-1")
    assert not found.may_ask("other")
    with pytest.raises(InvalidKey):
        keys.principal(bearer(digest))


@pytest.mark.parametrize("line", ["ci plain-key", "ci sha256:12", "sha256:" + "0" * 64])
def test_a_malformed_line_is_named_by_its_place(tmp_path: Path, line: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"keys:2"):
        ApiKeys.load(None, file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ApiKeys.load(None, tmp_path / "none")


def test_without_keys_anything_goes() -> None:
    assert ApiKeys().principal(bearer("whatever")).may_ask("ops")
