"""Clients that count their retries may come back; what a run has done is not done again for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from aura_py.agent.contract import Description, Runnable, Turn
from aura_py.config import InvalidConfiguration
from aura_py.config.settings import ServerSettings
from aura_py.context import RunContext
from aura_py.errors import ProviderUnreachable
from aura_py.events import Event, RunFinished, TextDelta
from aura_py.messages import Usage
from aura_py.run.catalog import Catalog
from tests.server.rig import Exchange, Rig, agent_file, serving

CHAT = "/v1/chat/completions"
FIRST, AGAIN, ONCE_MORE = ({"x-stainless-retry-count": str(count)} for count in range(3))


def body(text: str = "act", *, stream: bool = False) -> dict[str, object]:
    return {"stream": stream, "messages": [{"role": "user", "content": text}]}


@dataclass
class Ticketing:
    """An agent that opens a ticket when asked to `act`, and answers when it is let."""

    inner: Runnable
    tickets: list[str] = field(default_factory=list)
    asked: anyio.Event = field(default_factory=anyio.Event)
    released: anyio.Event = field(default_factory=anyio.Event)
    fails: bool = False

    def describe(self) -> Description:
        return self.inner.describe()

    async def run(self, turn: Turn, context: RunContext) -> AsyncGenerator[list[Event], None]:
        if turn.query == "act":
            context.note_side_effect()
            self.tickets.append(context.run_id)
        if turn.query == "speak":
            yield [TextDelta("I")]
        self.asked.set()
        await self.released.wait()
        if self.fails:
            raise ProviderUnreachable("The model is not available.")
        answer = f"{len(self.tickets)} tickets"
        yield [TextDelta(answer), RunFinished("stop", Usage(), Usage(), answer=answer)]


@asynccontextmanager
async def ticketing(directory: Path, grace: float = 3600) -> AsyncIterator[tuple[Rig, Ticketing]]:
    (directory / "a.toml").write_text(agent_file("ops"))
    async with serving(directory, retry_grace_secs=grace) as rig:
        (served,) = rig.state.catalog.served
        agent = Ticketing(served.runnable)
        rig.state.catalog = Catalog([replace(served, runnable=agent)])
        yield rig, agent


async def leave(first: Exchange) -> None:
    """The client closes its connection, and the server has noticed it."""
    first.leave()
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_retry_attaches_to_the_run_that_its_first_try_has_left(tmp_path: Path, stream: bool) -> None:
    async with ticketing(tmp_path) as (rig, agent):
        async with rig.open("POST", CHAT, body(stream=stream), FIRST) as first:
            await agent.asked.wait()
            await leave(first)
            async with rig.open("POST", CHAT, body(stream=stream), AGAIN) as second:
                await leave(second)
                async with rig.open("POST", CHAT, body(stream=stream), ONCE_MORE) as third:
                    agent.released.set()
                    await third.finished.wait()
        assert "1 tickets" in third.reply().text
        assert len(agent.tickets) == 1


async def test_the_answer_of_a_run_that_ended_meanwhile_is_kept_for_the_retry(tmp_path: Path) -> None:
    async with ticketing(tmp_path) as (rig, agent):
        async with rig.open("POST", CHAT, body(), FIRST) as first:
            await agent.asked.wait()
            await leave(first)
            agent.released.set()
        assert "1 tickets" in (await rig.ask("POST", CHAT, body(), AGAIN)).text
        assert len(agent.tickets) == 1


async def test_after_the_grace_only_a_run_that_has_changed_something_goes_on(tmp_path: Path) -> None:
    async with ticketing(tmp_path, grace=0.01) as (rig, agent):
        async with rig.open("POST", CHAT, body("act"), FIRST) as acting:
            await agent.asked.wait()
            (acted,) = rig.state.services.engine.live
            await leave(acting)
            agent.asked = anyio.Event()
            async with rig.open("POST", CHAT, body("look"), FIRST) as looking:
                await agent.asked.wait()
                looked = rig.state.services.engine.live[-1]
                await leave(looking)
                with anyio.fail_after(20):
                    await looked.closed()
            assert rig.state.services.engine.live == (acted,)
            agent.released.set()
            with anyio.fail_after(20):
                await acted.closed()
        assert "1 tickets" in (await rig.ask("POST", CHAT, body("act"), AGAIN)).text
        assert "1 tickets" in (await rig.ask("POST", CHAT, body("look"), AGAIN)).text


async def test_a_failure_after_a_side_effect_is_the_answer_to_the_retry_too(tmp_path: Path) -> None:
    async with ticketing(tmp_path) as (rig, agent):
        agent.fails = True
        async with rig.open("POST", CHAT, body(), FIRST) as first:
            await agent.asked.wait()
            await leave(first)
            async with rig.open("POST", CHAT, body(), AGAIN) as second:
                agent.released.set()
                await second.finished.wait()
        later = await rig.ask("POST", CHAT, body(), ONCE_MORE)
        for reply in (second.reply(), later):
            assert (reply.status, reply.headers["x-should-retry"]) == (502, "false")
        assert len(agent.tickets) == 1


@pytest.mark.parametrize(
    ("text", "stream", "headers", "grace"),
    [("speak", True, FIRST, 3600), ("act", True, {}, 3600), ("act", False, {}, 3600), ("act", False, FIRST, 0)],
)
async def test_a_run_ends_at_once_when_its_client_has_no_reason_to_come_back(
    tmp_path: Path, text: str, stream: bool, headers: dict[str, str], grace: float
) -> None:
    """An answer has begun to arrive, the client counts no retries, or the grace is switched off."""
    async with ticketing(tmp_path, grace) as (rig, agent):
        async with rig.open("POST", CHAT, body(text, stream=stream), headers) as first:
            await agent.asked.wait()
            if text == "speak":
                await first.until('"I"')
            (run,) = rig.state.services.engine.live
            first.leave()
            with anyio.fail_after(20):
                await run.closed()


async def test_a_retry_that_leaves_while_its_answer_arrives_ends_the_run(tmp_path: Path) -> None:
    async with ticketing(tmp_path) as (rig, agent):
        async with rig.open("POST", CHAT, body("look", stream=True), FIRST) as first:
            await agent.asked.wait()
            (run,) = rig.state.services.engine.live
            await leave(first)
            async with rig.open("POST", CHAT, body("look", stream=True), AGAIN) as second:
                await second.until('"role"')
                second.leave()
                with anyio.fail_after(20):
                    await run.closed()


async def test_a_run_that_waits_for_its_turn_gives_it_up_at_once(tmp_path: Path) -> None:
    session = {"x-chat-session-id": "s"}
    async with ticketing(tmp_path) as (rig, agent):
        async with rig.open("POST", CHAT, body("look"), session) as first:
            await agent.asked.wait()
            async with rig.open("POST", CHAT, body("act"), {**FIRST, **session}) as second:
                while len(rig.state.services.engine.live) < 2:
                    await anyio.lowlevel.checkpoint()
                waiting = rig.state.services.engine.live[-1]
                second.leave()
                with anyio.fail_after(20):
                    await waiting.closed()
            agent.released.set()
            await first.finished.wait()
        assert agent.tickets == []


@pytest.mark.parametrize("value", ["-1", "4000", "soon"])
def test_a_grace_out_of_range_is_refused(value: str) -> None:
    with pytest.raises(InvalidConfiguration):
        ServerSettings.resolve({}, {"AURA_RETRY_GRACE_SECS": value})
