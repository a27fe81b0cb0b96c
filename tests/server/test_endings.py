"""How streams end that did not go well (``sse-events.md`` §11, ``http-api.md`` B1, B6)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from aura_py.errors import AuraError
from aura_py.events import Event, TextDelta
from aura_py.server import run_stream
from aura_py.server.outlet import Outlet
from aura_py.server.run_stream import RunStream
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
    assert rig.edge.services.engine.live == ()


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
    monkeypatch.setattr(run_stream, "PATIENCE", 0.01)
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
            assert len(rig.edge.services.engine.live) == 1


async def test_a_failure_after_the_status_was_due_is_an_error_frame_however_busy_the_machine_is(
    agents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def starved(self: Outlet) -> None:
        """The task that would open late does not get its turn."""
        await anyio.sleep_forever()

    monkeypatch.setattr(run_stream, "PATIENCE", 0.0)
    monkeypatch.setattr(Outlet, "_watch", starved)
    async with serving(agents, default_agent="ops") as rig:
        reply = await rig.ask("POST", "/v1/chat/completions", question("reject"))
    assert reply.status == 200
    assert '"error":{"message":' in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")


async def test_a_refusal_and_a_late_opening_at_once_answer_once(agents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse, opened = run_stream.respond_with_error, RunStream._open
    write = Outlet.write
    refusing, opening = anyio.Event(), anyio.Event()
    after_the_end: list[bytes] = []

    async def watched(self: Outlet, data: bytes, *, last: bool = False) -> None:
        if self.finished:
            after_the_end.append(data)
        await write(self, data, last=last)

    async def noted(self: RunStream, outlet: Outlet, *, last: bool) -> None:
        opening.set()
        await opened(self, outlet, last=last)

    async def slow(outlet: Outlet, error: AuraError, headers: Mapping[str, str], *, debug: bool) -> None:
        refusing.set()
        await opening.wait()
        await anyio.wait_all_tasks_blocked()
        await refuse(outlet, error, headers, debug=debug)

    monkeypatch.setattr(run_stream, "PATIENCE", 0.01)
    monkeypatch.setattr(Outlet, "late", property(lambda self: refusing.is_set()))
    monkeypatch.setattr(run_stream, "respond_with_error", slow)
    monkeypatch.setattr(RunStream, "_open", noted)
    monkeypatch.setattr(Outlet, "write", watched)
    async with serving(agents, default_agent="ops") as rig:
        reply = await rig.ask("POST", "/v1/chat/completions", question("reject"))
    assert reply.status == 502
    assert after_the_end == []
