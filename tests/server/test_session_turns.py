"""Concurrent turns in one session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from aura_py.errors import RunCancelled
from aura_py.run.session_queue import MAX_WAITING
from tests.server.rig import Exchange, Rig, agent_file, serving

SESSION = {"x-chat-session-id": "s-1"}
CHAT = "/v1/chat/completions"


def body(text: str, *, stream: bool = True) -> dict[str, object]:
    return {"stream": stream, "messages": [{"role": "user", "content": text}]}


@asynccontextmanager
async def session(directory: Path, policy: str = "queue", extra: str = "", **settings: object) -> AsyncIterator[Rig]:
    (directory / "a.toml").write_text(agent_file("ops", f'session_turns = "{policy}"\n{extra}'))
    async with serving(directory, **settings) as rig:
        yield rig


async def until_live(rig: Rig, count: int) -> None:
    with anyio.fail_after(5):
        while len(rig.state.services.engine.live) != count:
            await anyio.lowlevel.checkpoint()


async def test_a_second_stream_waits_for_its_turn_and_shows_its_role_meanwhile(tmp_path: Path) -> None:
    async with session(tmp_path) as rig, rig.open("POST", CHAT, body("hang"), SESSION) as first:
        await first.until_started()
        async with rig.open("POST", CHAT, body("hi"), SESSION) as second:
            await second.until('"role":"assistant"')
            assert b"You said" not in second.received
            first.leave()
            await second.until("[DONE]")
            assert b"You said hi" in second.received
        assert len(rig.state.queues) == 0


async def test_a_json_request_waits_too(tmp_path: Path) -> None:
    async with session(tmp_path) as rig, rig.open("POST", CHAT, body("hang"), SESSION) as first:
        await until_live(rig, 1)
        async with rig.open("POST", CHAT, body("hi", stream=False), SESSION) as second:
            await until_live(rig, 2)
            first.leave()
            await second.finished.wait()
            assert second.reply().json()["choices"][0]["message"]["content"] == "You said hi"


async def test_turns_run_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    async with session(tmp_path) as rig, rig.open("POST", CHAT, body("hang"), SESSION) as first:
        await until_live(rig, 1)
        async with rig.open("POST", CHAT, body("hang"), SESSION) as second:
            await until_live(rig, 2)
            async with rig.open("POST", CHAT, body("hi"), SESSION) as third:
                await until_live(rig, 3)
                waiting = [run.waiting for run in rig.state.services.engine.live]
                assert waiting == [False, True, True]
                first.leave()
                await until_live(rig, 2)
                assert [run.waiting for run in rig.state.services.engine.live] == [False, True]
                second.leave()
                await third.until("You said hi")


@pytest.mark.parametrize("extra", ["", 'on_disconnect = "continue"'])
async def test_a_waiting_client_that_leaves_gives_up_its_place(tmp_path: Path, extra: str) -> None:
    async with session(tmp_path, extra=extra) as rig, rig.open("POST", CHAT, body("hang"), SESSION):
        await until_live(rig, 1)
        async with rig.open("POST", CHAT, body("hi"), SESSION) as second:
            await second.until('"role":"assistant"')
        await until_live(rig, 1)
        assert not rig.state.services.engine.live[0].waiting
        rig.state.services.engine.live[0].cancel(_stop())
        await until_live(rig, 0)


async def test_another_session_agent_or_caller_does_not_wait(agents: Path) -> None:
    async with (
        serving(agents, default_agent="ops", api_keys="one:alpha,two:beta") as rig,
        rig.open("POST", CHAT, body("hang"), {**SESSION, "x-api-key": "alpha"}),
    ):
        await until_live(rig, 1)
        for headers, model in (
            ({"x-chat-session-id": "s-2", "x-api-key": "alpha"}, "ops"),
            ({**SESSION, "x-api-key": "alpha"}, "team/dev helper"),
            ({**SESSION, "x-api-key": "beta"}, "ops"),
            ({"x-api-key": "alpha"}, "ops"),
        ):
            assert "You said hi" in (await rig.chat("hi", headers, model=model, stream=True)).text


@pytest.mark.parametrize("policy", ["model", "agent"])
async def test_a_title_never_waits_behind_the_first_turn(tmp_path: Path, policy: str) -> None:
    title = "Provide a concise, 5-word-or-less title for the conversation."
    async with (
        session(tmp_path, "reject", f'side_requests = "{policy}"') as rig,
        rig.open("POST", CHAT, body("hang"), SESSION) as first,
    ):
        await first.until_started()
        assert (await rig.chat(title, SESSION)).status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_reject_answers_409_with_the_time_to_wait(tmp_path: Path, stream: bool) -> None:
    async with session(tmp_path, "reject") as rig, rig.open("POST", CHAT, body("hang"), SESSION) as first:
        await first.until_started()
        refused = await rig.chat("hi", SESSION, stream=stream)
        assert (refused.status, refused.error()["code"]) == (409, "session_busy")
        assert (refused.headers["retry-after"], refused.headers["retry-after-ms"]) == ("2", "2000")
        first.leave()
        await until_live(rig, 0)
        assert (await rig.chat("hi", SESSION, stream=stream)).status == 200


async def test_a_rejected_request_may_be_repeated_under_its_key(tmp_path: Path) -> None:
    keyed = {**SESSION, "idempotency-key": "k"}
    async with session(tmp_path, "reject") as rig:
        async with rig.open("POST", CHAT, body("hang"), SESSION) as first:
            await first.until_started()
            assert (await rig.chat("hi", keyed)).status == 409
        assert (await rig.chat("hi", keyed)).status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_interrupt_ends_the_older_answer_with_an_error(tmp_path: Path, stream: bool) -> None:
    async with (
        session(tmp_path, "interrupt") as rig,
        rig.open("POST", CHAT, body("hang", stream=stream), SESSION) as first,
    ):
        if stream:
            await first.until('"role":"assistant"')
        else:
            await until_live(rig, 1)
        newer = await rig.chat("hi", SESSION, stream=True)
        assert "You said hi" in newer.text
        await first.finished.wait()
        assert b'"code":"interrupted"' in first.received
        if stream:
            assert first.received.endswith(b"data: [DONE]\n\n")
        else:
            assert (first.status, first.headers["x-should-retry"]) == (409, "false")


async def test_a_repeated_request_attaches_instead_of_waiting(tmp_path: Path) -> None:
    keyed = {**SESSION, "idempotency-key": "k"}
    async with session(tmp_path, "reject") as rig, rig.open("POST", CHAT, body("slow"), keyed) as first:
        await first.until_started()
        async with rig.open("POST", CHAT, body("slow"), keyed) as second:
            await second.until("[DONE]")
            assert b"three" in second.received


async def test_only_so_many_turns_wait(tmp_path: Path) -> None:
    async with session(tmp_path) as rig, rig.open("POST", CHAT, body("hang"), SESSION):
        await until_live(rig, 1)
        async with anyio.create_task_group() as tasks:
            for _ in range(MAX_WAITING):
                tasks.start_soon(_wait_in_line, rig)
            await until_live(rig, 1 + MAX_WAITING)
            assert (await rig.chat("hi", SESSION)).error()["code"] == "session_busy"
            for run in rig.state.services.engine.live:
                run.cancel(_stop())


async def test_a_shutdown_does_not_wait_for_the_line(tmp_path: Path) -> None:
    async with session(tmp_path) as rig, rig.open("POST", CHAT, body("hang"), SESSION):
        await until_live(rig, 1)
        async with rig.open("POST", CHAT, body("hi"), SESSION) as second:
            await until_live(rig, 2)
            await rig.state.services.engine.drain(0)
            await second.finished.wait()
            assert second.reply().error()["code"] == "server_shutdown"
            assert len(rig.state.queues) == 0


async def _wait_in_line(rig: Rig) -> None:
    async with rig.open("POST", CHAT, body("hi", stream=False), SESSION) as exchange:
        await _finished(exchange)


async def _finished(exchange: Exchange) -> None:
    with anyio.fail_after(10):
        await exchange.finished.wait()


def _stop() -> RunCancelled:
    return RunCancelled("stopped by the test")
