"""How streams end that did not go well."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from aura_py.events import Event, TextDelta
from aura_py.server import run_response
from aura_py.server.sse import ChatEncoder
from tests.server.rig import Rig, serving


def question(text: str, *, stream: bool = True) -> dict[str, object]:
    return {"stream": stream, "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("text", ["slow", "hi"])
async def test_a_fault_in_the_streams_own_machinery_ends_like_any_failure(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    real = ChatEncoder.encode

    def faulty(self: ChatEncoder, batch: list[Event]) -> bytes:
        if any(isinstance(event, TextDelta) for event in batch):
            raise LookupError("secret detail")
        return real(self, batch)

    monkeypatch.setattr(ChatEncoder, "encode", faulty)
    reply = await rig.ask("POST", "/v1/chat/completions", question(text))
    assert "secret detail" not in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")
    assert '"error":{"message":' in reply.text
    assert '"finish_reason":"stop"' not in reply.text
    assert rig.state.services.engine.live == ()


@pytest.mark.parametrize(
    ("setting", "kind", "code"),
    [
        ("streaming_timeout_secs", "timeout", "deadline_exceeded"),
        ("first_chunk_timeout_secs", "first_chunk_timeout", "first_chunk_timeout"),
    ],
)
async def test_every_timer_says_which_one_it_was(
    agents: Path, setting: str, kind: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_response, "PATIENCE", 0.01)
    async with serving(agents, default_agent="ops", custom_events="on", **{setting: "1"}) as rig:
        reply = await rig.ask("POST", "/v1/chat/completions", question("hang"))
        assert f'"kind":"{kind}"' in reply.text
        assert f'"code":"{code}"' in reply.text
        assert reply.text.endswith("data: [DONE]\n\n")
        plain = await rig.ask("POST", "/v1/chat/completions", question("hang", stream=False))
        assert plain.status == 504
        assert plain.error()["code"] == code


async def test_a_timer_of_zero_never_fires(agents: Path) -> None:
    off = dict.fromkeys(("streaming_timeout_secs", "first_chunk_timeout_secs", "stream_inactivity_timeout_secs"), "0")
    async with serving(agents, default_agent="ops", **off) as rig:
        reply = await rig.ask("POST", "/v1/chat/completions", question("slow"))
        assert "three" in reply.text
        async with rig.open("POST", "/v1/chat/completions", question("hang")) as exchange:
            await exchange.until_started()
            await anyio.wait_all_tasks_blocked()
            assert len(rig.state.services.engine.live) == 1


async def test_a_failure_after_the_status_was_due_is_an_error_frame(
    agents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_response, "PATIENCE", 0.0)
    async with serving(agents, default_agent="ops") as rig:
        reply = await rig.ask("POST", "/v1/chat/completions", question("reject"))
    assert reply.status == 200
    assert '"error":{"message":' in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")
