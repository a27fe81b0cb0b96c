"""The timers of a model's silence over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.server.rig import agent_file
from tests.wire.process import AuraServer
from tests.wire.providers.agents import FakeAgent
from tests.wire.providers.conftest import Fakes

FIRST, SILENCE = "first_chunk_timeout", "inactivity_timeout"
KINDS = {"before": FIRST, "midway": SILENCE}
WAITS = ("--first-chunk-timeout-secs", "--stream-inactivity-timeout-secs", "--streaming-timeout-secs")
HASTY = ("3", "2", "0")
"""Seconds of each wait. The first is far above the 0.9 s after which the status is settled, so it is always a 200."""


@pytest.fixture(scope="module")
def models() -> Iterator[dict[str, FakeAgent]]:
    """Models that are silent before their first delta and in the middle of an answer."""
    with ExitStack() as stack:
        fakes = Fakes(stack)
        yield {
            "before": FakeAgent.on(fakes, "openai", "slow_first_byte"),
            "midway": FakeAgent.on(fakes, "openai", "silence_midway"),
        }


def started(models: dict[str, FakeAgent], directory: Path, *waits: str) -> AuraServer:
    agents = directory / "agents"
    agents.mkdir()
    for model in models.values():
        (agents / f"{model.name}.toml").write_text(model.file())
    (agents / "ops.toml").write_text(agent_file("ops"))
    flags = [part for flag, wait in zip(WAITS, waits, strict=True) for part in (flag, wait)]
    return AuraServer.start(agents, directory, "--aura-custom-events", "true", *flags)


@pytest.fixture(scope="module")
def hasty(models: dict[str, FakeAgent], tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuraServer]:
    running = started(models, tmp_path_factory.mktemp("hasty"), *HASTY)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def unlimited(models: dict[str, FakeAgent], tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuraServer]:
    running = started(models, tmp_path_factory.mktemp("unlimited"), "0", "0", "0")
    yield running
    running.stop()


def body(model: str, text: str = "hi", *, stream: bool = True) -> dict[str, object]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}


def frames(raw: str) -> list[tuple[str, Any]]:
    """Names (empty for chunks) and data; the end mark is asserted."""
    assert raw.endswith("data: [DONE]\n\n")
    found: list[tuple[str, Any]] = []
    for frame in raw.split("\n\n")[:-2]:
        if not frame.startswith(":"):
            head, _, data = frame.rpartition("data: ")
            found.append((head.removeprefix("event: ").strip(), json.loads(data)))
    return found


@pytest.mark.parametrize("events", [False, True])
@pytest.mark.parametrize("place", KINDS)
def test_a_silent_model_ends_the_stream_with_an_error_frame_and_never_with_stop(
    hasty: AuraServer, models: dict[str, FakeAgent], place: str, events: bool
) -> None:
    reply = httpx.post(
        f"{hasty.url}/v1/chat/completions",
        json=body(models[place].name),
        headers={"x-aura-events": "on" if events else "off"},
        timeout=30,
    )
    assert reply.status_code == 200
    told = frames(reply.text)
    chunks = [data for name, data in told if not name and "choices" in data]
    assert all(choice["finish_reason"] is None for chunk in chunks for choice in chunk["choices"])
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert text == ("well" if place == "midway" else "")
    (error,) = [data["error"] for name, data in told if not name and "error" in data]
    assert error["code"] == KINDS[place]
    vendor = [data for name, data in told if name == "aura.error"]
    assert bool(vendor) == events
    for event in vendor:
        assert event["kind"] == KINDS[place]
        assert event["message"] == error["message"]
        assert event["retryable"] is True
        assert "error" not in event


@pytest.mark.parametrize("place", KINDS)
def test_a_silent_model_is_504_in_one_piece(hasty: AuraServer, models: dict[str, FakeAgent], place: str) -> None:
    reply = httpx.post(f"{hasty.url}/v1/chat/completions", json=body(models[place].name, stream=False), timeout=30)
    assert reply.status_code == 504
    assert reply.json()["error"]["code"] == KINDS[place]
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("place", KINDS)
def test_an_sdk_raises_when_a_model_falls_silent(hasty: AuraServer, models: dict[str, FakeAgent], place: str) -> None:
    with openai.OpenAI(base_url=f"{hasty.url}/v1", api_key="none", max_retries=0, timeout=30) as client:
        stream = client.chat.completions.create(
            model=models[place].name,
            stream=True,
            messages=[{"role": "user", "content": "hi"}],
            extra_headers={"x-aura-events": "off"},
        )
        with pytest.raises(openai.APIError) as failed:
            list(stream)
    assert failed.value.code == KINDS[place]


@pytest.mark.parametrize("stream", [True, False])
def test_a_scripted_model_that_hangs_is_out_of_time_too(hasty: AuraServer, stream: bool) -> None:
    reply = httpx.post(f"{hasty.url}/v1/chat/completions", json=body("ops", "hang", stream=stream), timeout=30)
    assert reply.status_code == (200 if stream else 504)
    assert f'"code":"{FIRST}"' in reply.text
    assert '"finish_reason":"stop"' not in reply.text


@pytest.mark.parametrize("stream", [True, False])
def test_a_timer_of_zero_lets_a_slow_model_take_its_time(unlimited: AuraServer, stream: bool) -> None:
    reply = httpx.post(f"{unlimited.url}/v1/chat/completions", json=body("ops", "slow", stream=stream), timeout=30)
    assert reply.status_code == 200
    assert "three" in reply.text
    assert '"finish_reason":"stop"' in reply.text
    assert '"error"' not in reply.text


@pytest.mark.parametrize("place", KINDS)
def test_a_timer_of_zero_lets_silence_last(unlimited: AuraServer, models: dict[str, FakeAgent], place: str) -> None:
    url = f"{unlimited.url}/v1/chat/completions"
    said: list[str] = []

    def listen() -> None:
        with httpx.stream("POST", url, json=body(models[place].name), timeout=httpx.Timeout(30, read=5)) as reply:
            for part in reply.iter_text():
                said.append(part)

    with pytest.raises(httpx.ReadTimeout):
        listen()
    assert ("well" in "".join(said)) == (place == "midway")
    assert "error" not in "".join(said)
