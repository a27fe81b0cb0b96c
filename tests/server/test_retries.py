"""Repeated requests attach or replay."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from aura_py.run import retries
from tests.server.rig import Rig, serving

KEY = {"idempotency-key": "k-1"}


def body(text: str, *, stream: bool) -> dict[str, object]:
    return {"stream": stream, "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_finished_answer_is_replayed(rig: Rig, stream: bool) -> None:
    first = await rig.chat(stream=stream, headers=KEY)
    second = await rig.chat(stream=stream, headers=KEY)
    assert second.body == first.body
    assert second.headers == first.headers
    assert (await rig.chat(stream=stream)).body != first.body


@pytest.mark.parametrize("stream", [True, False])
async def test_a_second_request_follows_the_running_one(rig: Rig, stream: bool) -> None:
    payload = body("slow", stream=stream)
    async with rig.open("POST", "/v1/chat/completions", payload, KEY) as first:
        async with rig.open("POST", "/v1/chat/completions", payload, KEY) as second:
            await second.finished.wait()
            assert len(rig.state.services.engine.live) <= 1
        await first.finished.wait()
    assert second.received == first.received
    assert b"three" in second.received


async def test_the_run_goes_on_for_a_follower_when_the_first_client_leaves(rig: Rig) -> None:
    payload = body("slow", stream=True)
    async with rig.open("POST", "/v1/chat/completions", payload, KEY) as first:
        await first.until_started()
        async with rig.open("POST", "/v1/chat/completions", payload, KEY) as second:
            await second.until_started()
            first.leave()
            await second.finished.wait()
    assert second.received.endswith(b"data: [DONE]\n\n")


async def test_the_run_ends_when_the_last_follower_leaves(rig: Rig) -> None:
    payload = body("hang", stream=True)
    async with rig.open("POST", "/v1/chat/completions", payload, KEY) as first:
        await first.until_started()
        async with rig.open("POST", "/v1/chat/completions", payload, KEY) as second:
            await second.until_started()
            first.leave()
            run = rig.state.services.engine.live[0]
        with anyio.fail_after(10):
            await run.closed()


async def test_a_cancelled_request_starts_afresh(rig: Rig) -> None:
    payload = body("slow", stream=True)
    async with rig.open("POST", "/v1/chat/completions", payload, KEY):
        while not rig.state.services.engine.live:
            await anyio.lowlevel.checkpoint()
    reply = await rig.ask("POST", "/v1/chat/completions", payload, KEY)
    assert reply.text.endswith("data: [DONE]\n\n")


async def test_a_key_with_another_body_is_a_conflict(rig: Rig) -> None:
    await rig.chat("one", headers=KEY)
    reply = await rig.chat("two", headers=KEY)
    assert (reply.status, reply.error()["code"]) == (409, "conflict")


async def test_callers_never_share_a_key(agents: Path) -> None:
    async with serving(agents, default_agent="ops", api_keys="alpha,beta") as rig:
        one = await rig.chat(headers={**KEY, "x-api-key": "alpha"})
        two = await rig.chat(headers={**KEY, "x-api-key": "beta"})
        assert one.body != two.body


async def test_a_counted_retry_replays_and_a_first_try_never_does(rig: Rig) -> None:
    first = await rig.chat(headers={"x-stainless-retry-count": "0"})
    retried = await rig.chat(headers={"x-stainless-retry-count": "1"})
    again = await rig.chat(headers={"x-stainless-retry-count": "0"})
    assert retried.body == first.body
    assert again.body != first.body


@pytest.mark.parametrize("count", ["-1", "1.5", "many", "9" * 5000, "007"])
async def test_an_odd_count_of_retries_harms_nobody(rig: Rig, count: str) -> None:
    for _ in range(2):
        assert (await rig.chat(headers={"x-stainless-retry-count": count})).status == 200


async def test_an_answer_too_large_to_keep_is_a_conflict_not_a_second_run(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RECORDING_BYTES", 1000)
    assert (await rig.chat("long", headers=KEY, stream=True)).status == 200
    again = await rig.chat("long", headers=KEY, stream=True)
    assert (again.status, again.error()["code"]) == (409, "conflict")


async def test_a_crowd_of_others_neither_forgets_a_key_nor_a_run_that_goes_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "MAX_ENTRIES", 4)
    payload = body("slow", stream=True)
    finished = await rig.chat(headers={"idempotency-key": "k-0"})
    async with rig.open("POST", "/v1/chat/completions", payload, KEY) as running:
        for number in range(6):
            await rig.chat(f"hi {number}", headers={"x-stainless-retry-count": "0"})
        assert (await rig.chat(headers={"idempotency-key": "k-0"})).body == finished.body
        async with rig.open("POST", "/v1/chat/completions", payload, KEY) as second:
            await second.finished.wait()
        await running.finished.wait()
    assert second.received == running.received


@pytest.mark.parametrize(("limit", "value"), [("MAX_ENTRIES", 4), ("MAX_BYTES", 4000)])
async def test_what_one_owner_asks_pushes_out_answers_of_his_own_first(
    agents: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(retries, limit, value)
    async with serving(agents, default_agent="ops", api_keys="ann:k1,ben:k2") as rig:
        ann, ben = {"x-api-key": "k1"}, {"x-api-key": "k2"}
        kept = await rig.chat(headers={**ann, **KEY})
        first = await rig.chat(headers={**ben, **KEY})
        for number in range(20):
            await rig.chat(f"hi {number}", headers={**ben, "idempotency-key": f"b-{number}"})
        assert (await rig.chat(headers={**ann, **KEY})).body == kept.body
        assert (await rig.chat(headers={**ben, **KEY})).body != first.body
