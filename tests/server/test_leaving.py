"""Runs whose client has left."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from aura_py.run import retries
from aura_py.run.retries import KEYED_SECONDS, Retries
from tests.server.rig import Exchange, Rig, agent_file, serving

KEY = {"idempotency-key": "k-1"}
CHAT = "/v1/chat/completions"


def body(text: str, *, stream: bool) -> dict[str, object]:
    return {"stream": stream, "messages": [{"role": "user", "content": text}]}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "a.toml").write_text(agent_file("ops", 'on_disconnect = "continue"'))
    return tmp_path


async def begin(rig: Rig, exchange: Exchange) -> None:
    with anyio.fail_after(10):
        while not rig.state.services.engine.live:
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_run_that_continues_is_rejoined_by_its_key(directory: Path, stream: bool) -> None:
    async with serving(directory) as rig:
        async with rig.open("POST", CHAT, body("slow", stream=stream), KEY) as first:
            await begin(rig, first)
            run = rig.state.services.engine.live[0]
            first.leave()
            async with rig.open("POST", CHAT, body("slow", stream=stream), KEY) as second:
                with anyio.fail_after(10):
                    await second.finished.wait()
                assert b"three" in second.received
                assert second.headers["x-request-id"] == run.context.request_id
        again = await rig.ask("POST", CHAT, body("slow", stream=stream), KEY)
        assert again.body == second.received


async def test_a_run_that_continues_comes_to_its_end_without_any_client(directory: Path) -> None:
    async with serving(directory) as rig:
        async with rig.open("POST", CHAT, body("slow", stream=True), KEY) as first:
            await begin(rig, first)
            run = rig.state.services.engine.live[0]
        with anyio.fail_after(10):
            await run.closed()
        replayed = await rig.ask("POST", CHAT, body("slow", stream=True), KEY)
        assert replayed.headers["x-request-id"] == run.context.request_id
        assert replayed.text.endswith("data: [DONE]\n\n")


async def test_a_run_that_continues_still_has_its_limits(directory: Path) -> None:
    async with serving(directory, streaming_timeout_secs=1) as rig:
        async with rig.open("POST", CHAT, body("hang", stream=True)) as first:
            await begin(rig, first)
            run = rig.state.services.engine.live[0]
            first.leave()
            await anyio.lowlevel.checkpoint()
            assert rig.state.services.engine.live
        with anyio.fail_after(10):
            await run.closed()


async def test_a_reader_that_stalls_is_dropped_and_the_run_goes_on(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RECORDING_BYTES", 8 * 1024 * 1024)
    async with serving(directory, stall_secs=1) as rig:
        async with rig.open("POST", CHAT, body("long", stream=True), KEY) as first:
            await first.until("lorem")
            first.pause()
            with anyio.fail_after(60):
                await first.returned.wait()
            assert first.aborted
        replayed = await rig.ask("POST", CHAT, body("long", stream=True), KEY)
        assert replayed.text.endswith("data: [DONE]\n\n")
        assert replayed.body.startswith(first.received)


@pytest.mark.parametrize("stream", [True, False])
async def test_by_default_a_run_ends_with_its_client(rig: Rig, stream: bool) -> None:
    async with rig.open("POST", CHAT, body("hang", stream=stream), KEY) as first:
        await begin(rig, first)
        run = rig.state.services.engine.live[0]
        first.leave()
        with anyio.fail_after(10):
            await run.closed()


async def test_an_answer_is_kept_from_its_end_on(directory: Path) -> None:
    time = [0.0]
    async with serving(directory) as rig:
        rig.state.retries = Retries(now=lambda: time[0])
        async with rig.open("POST", CHAT, body("slow", stream=True), KEY) as first:
            await begin(rig, first)
            time[0] = KEYED_SECONDS * 2
            await first.until("[DONE]")
        one = await rig.ask("POST", CHAT, body("slow", stream=True), KEY)
        assert one.body == first.received
        time[0] += KEYED_SECONDS
        assert (await rig.ask("POST", CHAT, body("slow", stream=True), KEY)).body != first.received


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("key", [{}, KEY])
async def test_a_run_that_continues_is_rejoined_by_its_id(
    directory: Path, path: str, stream: bool, key: dict[str, str]
) -> None:
    async with serving(directory) as rig:
        async with rig.open("POST", path, {**body("slow", stream=stream), "input": "slow"}, key) as first:
            await begin(rig, first)
            run = rig.state.services.engine.live[0]
        place = f"/aura/runs/{run.context.request_id}"
        async with rig.open("GET", place) as second:
            with anyio.fail_after(20):
                await second.finished.wait()
        assert second.status == 200
        assert b"three" in second.received
        assert second.headers["x-request-id"] == run.context.request_id
        assert second.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
        assert (await rig.ask("GET", place + "/")).body == second.received


async def test_an_answer_is_had_by_its_id_only_by_its_own_caller_and_while_it_is_kept(directory: Path) -> None:
    (directory / "b.toml").write_text(agent_file("fleeting"))
    async with serving(directory, api_keys="ann:k1,ben:k2", default_agent="ops") as rig:
        ann, ben = {"x-api-key": "k1"}, {"x-api-key": "k2"}
        reply = await rig.ask("POST", CHAT, body("hi", stream=True), ann)
        place = f"/aura/runs/{reply.headers['x-request-id']}"
        assert (await rig.ask("GET", place, headers=ann)).body == reply.body
        assert (await rig.ask("GET", place, headers=ben)).status == 404
        assert (await rig.ask("GET", place)).status == 401
        assert (await rig.ask("GET", "/aura/runs/req_unknown", headers=ann)).error()["code"] == "not_found"
        other = await rig.ask("POST", CHAT, {**body("hi", stream=True), "model": "fleeting"}, ann)
        assert (await rig.ask("GET", f"/aura/runs/{other.headers['x-request-id']}", headers=ann)).status == 404
        failed = await rig.ask("POST", CHAT, body("reject", stream=True), ann)
        assert (await rig.ask("GET", f"/aura/runs/{failed.headers['x-request-id']}", headers=ann)).status == 404
