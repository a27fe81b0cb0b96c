"""End users behind a chat UI's key, and what else says who asks."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
from pydantic import SecretStr
from starlette.datastructures import Headers

from aura_py.agent.contract import Description, Runnable, Turn
from aura_py.config import InvalidConfiguration
from aura_py.config.settings import ServerSettings
from aura_py.context import RunContext
from aura_py.events import Event
from aura_py.run.catalog import Catalog
from aura_py.server.api_keys import ANONYMOUS, ApiKeys, Principal
from aura_py.server.end_user import EndUsers
from aura_py.server.headers import session_id
from tests.server.rig import Rig, agent_file, serving

SECRET = "a secret of at least thirty-two characters"
TRUSTED = Principal("webui", trusted=True)


def token(secret: str = SECRET, algorithm: str = "HS256", **changes: object) -> str:
    now = int(time.time())
    claims = {"iss": "open-webui", "sub": "u-1", "iat": now, "exp": now + 300, **changes}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret, algorithm)


def user(headers: Mapping[str, str], principal: Principal = TRUSTED, named: str | None = "named") -> str | None:
    return EndUsers(SecretStr(SECRET)).caller(Headers(headers), principal, named).user


def test_a_signed_token_names_the_user_whoever_sends_it() -> None:
    headers = {"x-openwebui-user-jwt": token(), "x-openwebui-user-id": "other"}
    assert user(headers) == "u-1"
    assert user(headers, Principal("plain")) == "u-1"


@pytest.mark.parametrize(
    "bad",
    [
        token(secret="another secret of at least thirty-two"),
        token(iss="someone"),
        token(iss=None),
        token(exp=int(time.time()) - 600),
        token(exp=None),
        token(sub=None),
        token(secret="x" * 64, algorithm="HS512"),
        token(secret="", algorithm="none"),
        "no token",
        "größe",
    ],
)
def test_a_token_that_does_not_stand_up_names_nobody(bad: str, caplog: pytest.LogCaptureFixture) -> None:
    assert user({"x-openwebui-user-jwt": bad, "x-openwebui-user-id": "other"}) == "named"
    assert "not believed" in caplog.text
    assert bad not in caplog.text


def test_headers_name_the_user_for_trusted_keys_only() -> None:
    headers = {"x-openwebui-user-email": "a%2Bb@example.com", "x-openwebui-user-name": "J%C3%B6rg"}
    assert user(headers) == "a+b@example.com"
    assert user({**headers, "x-openwebui-user-id": "7"}) == "7"
    assert user({"x-openwebui-user-name": "J%C3%B6rg K"}) == "Jörg K"
    assert user(headers, Principal("plain")) == "named"
    assert user({"x-openwebui-user-id": "a%0Ab"}) == "named"


def test_without_a_secret_tokens_are_not_looked_at() -> None:
    headers = Headers({"x-openwebui-user-jwt": token(), "x-openwebui-user-id": "7"})
    assert EndUsers().caller(headers, TRUSTED, None).user == "7"
    assert EndUsers().caller(headers, Principal("plain"), None).user == "plain"


def test_what_is_made_belongs_to_the_user_who_is_vouched_for_else_to_the_key() -> None:
    def owner(headers: Mapping[str, str], principal: Principal, named: str | None = None) -> str:
        return EndUsers(SecretStr(SECRET)).caller(Headers(headers), principal, named).owner

    plain, other = Principal("plain"), Principal("other", trusted=True)
    anonymous, key = owner({}, ANONYMOUS), owner({}, plain)
    signed = owner({"x-openwebui-user-jwt": token()}, plain)
    told = [owner({"x-openwebui-user-id": user}, TRUSTED) for user in ("u-1", "u-2")]
    assert len({anonymous, key, owner({}, other), signed, *told}) == 6
    assert owner({"x-openwebui-user-jwt": token()}, other) == signed
    assert owner({"x-openwebui-user-id": "u-1"}, other) not in told
    assert owner({"x-openwebui-user-id": "u-1"}, plain, "u-2") == key
    assert owner({}, Principal("anonymous")) != anonymous
    assert not any("u-1" in each for each in (signed, *told))


def test_a_short_secret_is_refused_at_start() -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        ServerSettings.resolve({}, {"AURA_OPENWEBUI_JWT_SECRET": "short"})
    assert "short" not in str(refused.value.diagnostics)


@pytest.mark.parametrize(
    ("text", "name", "trusted"),
    [("webui!:abc", "webui", True), ("webui:abc", "webui", False), ("abc", None, False), ("!:abc", None, False)],
)
def test_an_exclamation_mark_behind_a_keys_name_marks_it_trusted(text: str, name: str | None, trusted: bool) -> None:
    key = "abc" if name else text
    found = ApiKeys.load(SecretStr(text), None).principal(Headers({"x-api-key": key}))
    assert found.trusted == trusted
    assert found.name == name if name else found.name is not None and found.name.startswith("key-")


def test_a_key_in_a_file_is_marked_the_same_way(tmp_path: Path) -> None:
    import hashlib

    (tmp_path / "keys").write_text(f"webui! sha256:{hashlib.sha256(b'abc').hexdigest()} ops\n")
    found = ApiKeys.load(None, tmp_path / "keys").principal(Headers({"x-api-key": "abc"}))
    assert (found.name, found.trusted, found.may_ask("dev")) == ("webui", True, False)


class Watched:
    """An agent that tells who asked it."""

    def __init__(self, inner: Runnable, seen: list[RunContext]) -> None:
        self._inner = inner
        self._seen = seen

    def describe(self) -> Description:
        return self._inner.describe()

    def run(self, turn: Turn, context: RunContext) -> AsyncGenerator[list[Event], None]:
        self._seen.append(context)
        return self._inner.run(turn, context)


def watch(rig: Rig) -> list[RunContext]:
    seen: list[RunContext] = []
    rig.state.catalog = Catalog([replace(s, runnable=Watched(s.runnable, seen)) for s in rig.state.catalog.served])
    return seen


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_the_run_knows_its_user(agents: Path, path: str) -> None:
    keys = "webui!:alpha,plain:beta"
    asked: dict[str, object] = {"messages": [{"role": "user", "content": "hi"}], "input": "hi", "user": "body"}
    async with serving(agents, default_agent="ops", api_keys=keys, openwebui_jwt_secret=SECRET) as rig:
        seen = watch(rig)
        for headers in (
            {"x-api-key": "beta", "x-openwebui-user-jwt": token()},
            {"x-api-key": "alpha", "x-openwebui-user-id": "7"},
            {"x-api-key": "beta", "x-openwebui-user-id": "7"},
        ):
            assert (await rig.ask("POST", path, asked, headers)).status == 200
        assert (await rig.ask("POST", path, {**asked, "user": None}, {"x-api-key": "beta"})).status == 200
        assert [context.user for context in seen] == ["u-1", "7", "body", "plain"]
        assert [context.principal for context in seen] == ["plain", "webui", "plain", "plain"]
        owners = [context.owner for context in seen]
        assert owners[2:] == ["key.plain", "key.plain"]
        assert len(set(owners)) == 3


async def test_users_of_one_key_share_no_session(agents: Path) -> None:
    session = {"x-chat-session-id": "s", "x-api-key": "alpha"}
    asked = {"stream": True, "messages": [{"role": "user", "content": "hang"}]}
    async with serving(agents, default_agent="ops", api_keys="webui!:alpha") as rig:
        async with rig.open("POST", "/v1/chat/completions", asked, {**session, "x-openwebui-user-id": "1"}) as first:
            await first.until_started()
            other = await rig.chat("hi", {**session, "x-openwebui-user-id": "2"})  # waits for nobody
            assert other.status == 200


async def test_an_answer_that_is_kept_is_had_by_its_own_user_only(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops", 'on_disconnect = "continue"'))
    async with serving(tmp_path, api_keys="webui!:alpha") as rig:
        one, two = ({"x-api-key": "alpha", "x-openwebui-user-id": who} for who in "12")
        reply = await rig.chat("hi", one, user="2")
        place = f"/aura/runs/{reply.headers['x-request-id']}"
        assert (await rig.ask("GET", place, headers=one)).body == reply.body
        assert (await rig.ask("GET", place, headers=two)).status == 404


async def test_users_of_one_key_never_share_a_repeated_request(agents: Path) -> None:
    async with serving(agents, default_agent="ops", api_keys="webui!:alpha") as rig:
        answers = [
            await rig.chat(headers={"x-api-key": "alpha", "idempotency-key": "k", "x-openwebui-user-id": who})
            for who in ("1", "2", "1")
        ]
        assert answers[0].body == answers[2].body != answers[1].body


# --- sessions and side requests --------------------------------------------------------------------------------------


async def test_configured_headers_name_the_session_after_the_usual_ones(agents: Path) -> None:
    async with serving(agents, default_agent="ops", session_headers="X-Thread-Id, x-other") as rig:
        for headers, session in (
            ({"x-other": "o", "x-thread-id": "t"}, "t"),
            ({"x-other": "o"}, "o"),
            ({"x-thread-id": "t", "x-openwebui-chat-id": "w"}, "w"),
        ):
            assert (await rig.chat(headers=headers)).headers["x-chat-session-id"] == session


def test_a_setting_with_something_that_is_no_header_name_is_refused() -> None:
    with pytest.raises(InvalidConfiguration):
        ServerSettings.resolve({}, {"AURA_SESSION_HEADERS": "x thread"})


@pytest.mark.parametrize("odd", ["größe\n", "a/b", "x" * 129, "\ud800", "../../etc"])
def test_an_odd_session_id_is_always_replaced_by_the_same_safe_one(odd: str) -> None:
    found = session_id(odd, Headers())
    assert found == session_id(odd, Headers())
    assert found is not None
    assert found.startswith("cs_")
    assert found.isascii()
    assert len(found) == 35
    assert session_id("x" * 128, Headers()) == "x" * 128


async def test_a_request_for_the_task_model_is_a_side_request_even_as_a_stream(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops"))
    (tmp_path / "b.toml").write_text(agent_file("titles"))
    async with serving(tmp_path, default_agent="ops", task_model="titles") as rig:
        for stream in (True, False):
            reply = await rig.chat("hi", model="titles", stream=stream)
            assert "You said hi" in reply.text
            assert "Thinking." not in reply.text
        assert "Thinking." in (await rig.chat("hi", model="ops")).text


async def test_a_task_model_that_is_no_agent_is_answered_by_the_default_one(agents: Path) -> None:
    async with serving(agents, default_agent="ops", task_model="tasks") as rig:
        reply = await rig.chat("hi", model="tasks")
        assert (reply.status, "Thinking." in reply.text) == (200, False)
    async with serving(agents, task_model="tasks") as rig:
        refused = await rig.chat("hi", model="tasks")
        assert (refused.status, refused.error()["code"]) == (404, "model_not_found")
