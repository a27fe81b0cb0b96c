"""The final answer while its model still writes it: over a real socket, piece by piece, and broken in the middle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aura_py.config.models import LLM
from aura_py.events import DirectAnswer, Event, IterationCompleted, RunFailed, RunFinished, TextDelta
from aura_py.llm import build_model
from aura_py.llm.contract import ChatModel
from aura_py.orchestration import Orchestrator
from tests.orchestration.harness import Harness, collect, config, kinds, open_harness

Script = Callable[[dict[str, object], "Wire"], Awaitable[None]]
PLAN = {
    "goal": "g",
    "steps": [{"type": "task", "task": "look", "worker": "alpha"}],
    "routing_rationale": "r",
    "planning_summary": "s",
}
SUBMIT = {"summary": "s", "result": "found it", "confidence": "high"}


class Wire:
    """One streamed completion."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def piece(self, arguments: str, *, name: str | None = None) -> None:
        function = {"arguments": arguments, **({"name": name} if name else {})}
        call = {"index": 0, "function": function, **({"id": "call_1", "type": "function"} if name else {})}
        await self._send({"delta": {"tool_calls": [call]}, "index": 0, "finish_reason": None})

    async def call(self, name: str, arguments: dict[str, object]) -> None:
        await self.piece(json.dumps(arguments), name=name)
        await self.finish()

    async def finish(self, reason: str = "tool_calls") -> None:
        await self._send({"delta": {}, "index": 0, "finish_reason": reason})
        await self._chunk("data: [DONE]\n\n")
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def _send(self, choice: dict[str, object]) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        await self._chunk(f"data: {json.dumps(chunk)}\n\n")

    async def _chunk(self, text: str) -> None:
        data = text.encode()
        self._writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self._writer.drain()


@asynccontextmanager
async def provider(script: Script) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
            b"connection: close\r\n\r\n"
        )
        await script(body, Wire(writer))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.close()
        await server.wait_closed()


def team(harness: Harness, url: str) -> Orchestrator:
    llm = {"provider": "openai", "model": "m", "api_key": "k", "base_url": url}

    def model_for(table: LLM) -> ChatModel:
        model = build_model(table, agent="team")
        harness.models.append(model)
        return model

    return Orchestrator(config([], agent={"llm": llm}), model_for=model_for, mcp=harness.mcp)


def tools_of(body: dict[str, object]) -> list[str]:
    tools = body["tools"]
    assert isinstance(tools, list)
    return [tool["function"]["name"] for tool in tools]


def is_continuation(body: dict[str, object]) -> bool:
    return "# Iteration 1 of" in json.dumps(body["messages"])


def through_the_work(ending: Script) -> Script:
    """A plan and its only task; ``ending`` answers the continuation."""

    async def script(body: dict[str, object], wire: Wire) -> None:
        if "submit_result" in tools_of(body):
            await wire.call("submit_result", dict(SUBMIT))
        elif is_continuation(body):
            await ending(body, wire)
        else:
            await wire.call("create_plan", dict(PLAN))

    return script


async def test_the_answer_is_told_while_the_model_is_still_writing_it() -> None:
    heard = asyncio.Event()

    async def ending(_body: dict[str, object], wire: Wire) -> None:
        await wire.piece('{"response": "The first ha', name="respond_directly")
        await heard.wait()
        await wire.piece('lf and the sec\\u006fnd.", "routing_rationale": "r"}')
        await wire.finish()

    async with provider(through_the_work(ending)) as url, open_harness() as harness:
        run = harness.start(team(harness, url))
        before = await collect(run, lambda event: isinstance(event, TextDelta))
        heard.set()
        after = await collect(run)
        await run.closed()
    assert kinds(before)[-3:] == ["DirectAnswer", "IterationCompleted", "TextDelta"]
    assert isinstance(before[-1], TextDelta)
    assert before[-1].text == "The first ha"
    assert before[-3] == DirectAnswer("The first ha", "", streamed=True)
    text = "".join(event.text for event in [*before, *after] if isinstance(event, TextDelta))
    assert text == "The first half and the second."
    assert isinstance(after[-1], RunFinished)
    assert after[-1].answer == text


async def test_an_answer_that_breaks_off_is_followed_by_the_results_themselves() -> None:
    async def ending(_body: dict[str, object], wire: Wire) -> None:
        await wire.piece('{"response": "It all beg', name="respond_directly")
        raise ConnectionResetError

    events = await _played(through_the_work(_dropping(ending)))
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text.startswith("It all beg\n\n---\n\nThe answer broke off here: ")
    assert text.endswith("## Task 0: look\n\nfound it")
    assert isinstance(events[-1], RunFinished)
    assert sum(isinstance(event, IterationCompleted) for event in events) == 1


async def test_a_first_answer_that_breaks_off_is_a_failure_and_never_a_clean_end() -> None:
    async def script(_body: dict[str, object], wire: Wire) -> None:
        await wire.piece('{"response": "It all beg', name="respond_directly")
        raise ConnectionResetError

    events = await _played(_dropping(script))
    assert sum(isinstance(event, DirectAnswer) for event in events) == 1
    assert isinstance(events[-1], RunFailed)


async def test_an_answer_that_hits_its_length_limit_ends_as_cut() -> None:
    async def script(_body: dict[str, object], wire: Wire) -> None:
        await wire.piece('{"routing_rationale": "known", "response": "As far as it', name="respond_directly")
        await wire.finish("length")

    events = await _played(script)
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert (end.finish_reason, end.answer) == ("length", "As far as it")
    assert [e.routing_rationale for e in events if isinstance(e, DirectAnswer)] == ["known"]


async def test_a_whole_answer_that_only_lacks_its_reason_is_not_called_cut() -> None:
    async def script(_body: dict[str, object], wire: Wire) -> None:
        await wire.piece('{"response": "All of it."}', name="respond_directly")
        await wire.finish()

    end = (await _played(script))[-1]
    assert isinstance(end, RunFinished)
    assert (end.finish_reason, end.answer) == ("stop", "All of it.")


async def _played(script: Script) -> list[Event]:
    async with provider(script) as url, open_harness() as harness:
        run = harness.start(team(harness, url))
        events = await collect(run)
        await run.closed()
    return events


def _dropping(script: Script) -> Script:
    """The connection is cut where ``script`` gives up."""

    async def dropped(body: dict[str, object], wire: Wire) -> None:
        try:
            await script(body, wire)
        except ConnectionResetError:
            wire._writer.transport.abort()

    return dropped
