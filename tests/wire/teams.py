"""Teams in files, served by the real command, and what their streams tell."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.orchestration.harness import Rule
from tests.wire.test_scratchpad import lines, toml

PREFIX = "aura.orchestrator."


def team(
    name: str,
    rules: Iterable[Rule],
    *,
    url: str | None = None,
    memory: Path | None = None,
    model: Mapping[str, object] | None = None,
    server: Mapping[str, object] | None = None,
    workers: Mapping[str, Mapping[str, object]] | None = None,
    **orchestration: object,
) -> str:
    """The file of a team whose workers are ``alpha`` and ``beta`` unless told otherwise."""
    llm = {"provider": "scripted", "model": "demo", "context_window": 100_000, **(model or {})}
    text = f"memory_dir = {toml(str(memory))}\n" if memory is not None else ""
    text += f'[agent]\nname = "{name}"\nsystem_prompt = "Be of use."\nturn_depth = 8\n'
    text += "[agent.llm]\n" + _keys(llm) + "".join("[[agent.llm.rules]]\n" + _keys(rule) for rule in rules)
    if url is not None:
        text += "[mcp.servers.mock]\n" + _keys({"transport": "http_streamable", "url": url, **(server or {})})
    text += "[orchestration]\nenabled = true\n" + _keys(orchestration)
    for worker, given in (workers or {"alpha": {}, "beta": {}}).items():
        table = {"description": f"Does {worker} work.", "preamble": f"You are {worker}.", **given}
        text += f"[orchestration.worker.{worker}]\n" + _keys(table)
    return text


def _keys(table: Mapping[str, object]) -> str:
    return "".join(f"{key} = {toml(value)}\n" for key, value in table.items())


@dataclass(slots=True)
class Heard:
    """One answer: every frame in order (name, empty for a chunk, and its data), and its text."""

    frames: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(_content(data) for name, data in self.frames if not name)

    def named(self, name: str) -> list[dict[str, Any]]:
        return [data for event, data in self.frames if event in (name, PREFIX + name)]

    @property
    def usage(self) -> dict[str, Any]:
        return next(data["usage"] for name, data in reversed(self.frames) if not name and data.get("usage"))

    def positions(self, name: str, **fields: object) -> list[int]:
        """Where frames of this name, with these fields, stand; ``text`` is a chunk with content."""
        if name == "text":
            return [i for i, (event, data) in enumerate(self.frames) if not event and _content(data)]
        return [
            i
            for i, (event, data) in enumerate(self.frames)
            if event in (name, PREFIX + name) and all(data.get(key) == value for key, value in fields.items())
        ]


def _content(data: Mapping[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in data.get("choices", ()))


@asynccontextmanager
async def asked(
    url: str, model: str, query: str, *, headers: Mapping[str, str] | None = None, **body: object
) -> AsyncIterator[tuple[Heard, AsyncIterator[tuple[str, dict[str, Any]]]]]:
    """A streamed request, and its frames as they come; leaving the block is leaving the server."""
    messages = [{"role": "user", "content": query}]
    options = {"stream_options": {"include_usage": True}}
    heard = Heard()

    async def frames(reply: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        name = ""
        async for line in lines(reply):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: ") and line != "data: [DONE]":
                heard.frames.append((name, json.loads(line.removeprefix("data: "))))
                name = ""
                yield heard.frames[-1]

    async with (
        httpx.AsyncClient(timeout=30) as client,
        client.stream(
            "POST",
            f"{url}/v1/chat/completions",
            json={"model": model, "stream": True, "messages": messages, **options, **body},
            headers=dict(headers or {}),
        ) as reply,
    ):
        assert reply.status_code == 200, await reply.aread()
        yield heard, frames(reply)


async def ask(url: str, model: str, query: str, **options: Any) -> Heard:
    """A whole answer."""
    async with asked(url, model, query, **options) as (heard, frames):
        async for _ in frames:
            continue
    return heard
