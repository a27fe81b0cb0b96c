"""The app over real services, driven in process by an ASGI client that can leave, stall and wait."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias

import anyio
import anyio.to_thread
import orjson
from starlette.types import ASGIApp, Message

from aura_py.config.settings import ServerSettings
from aura_py.run.catalog import Catalog
from aura_py.run.services import Services
from aura_py.server import ServerState, create_app
from aura_py.server.api_keys import ApiKeys
from aura_py.server.response_writer import CONNECTION

GivenHeaders: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
"""Pairs where a header is sent twice."""

RULES = """
[[agent.llm.rules]]
user = "^hang"
hang = true

[[agent.llm.rules]]
user = "^slow"
say = "one two three"
delay_ms = 1300

[[agent.llm.rules]]
user = "^reject"
error = { status = 400, message = "raw provider text" }

[[agent.llm.rules]]
user = "^break"
say = "Half of an answer"
error = { status = 400, message = "raw provider text", after_chars = 8 }

[[agent.llm.rules]]
user = "^cut"
say = "Not the whole"
finish = "length"

[[agent.llm.rules]]
user = "^long"
say = "{% for i in range(20000) %}lorem ipsum {% endfor %}"

[[agent.llm.rules]]
user = "^flood"
say = "{% for i in range(40000) %}lorem ipsum dolor sit amet consectetur adipiscing elit sed do {% endfor %}"

[[agent.llm.rules]]
after_tool = "list_directory"
say = "Found {{ result }}"

[[agent.llm.rules]]
user = "^list"
say = "Looking."
tool_calls = [{ name = "list_directory", arguments = { path = "." } }]

[[agent.llm.rules]]
after_tool = "read_file"
say = "It says {{ result }}"

[[agent.llm.rules]]
user = "^use"
call = 1
say = "Looking."
tool_calls = [{ name = "read_file", arguments = { path = "a.cfg" } }]

[[agent.llm.rules]]
user = "5-word-or-less|### Task:"
say = "Sure, here it is:\\n```json\\n{\\"title\\": \\"Ports\\"}\\n```"
reasoning = "A title."

[[agent.llm.rules]]
reasoning = "Thinking."
say = "You said {{ user }}"
usage = { input = 10, output = 4, cached = 2, reasoning = 1 }
"""


def agent_file(name: str, extra: str = "", rules: str = RULES) -> str:
    """An agent on the scripted provider; ``extra`` goes into ``[agent]``."""
    return (
        f'[agent]\nname = "{name}"\nsystem_prompt = "Be brief."\n{extra}\n'
        f'[agent.llm]\nprovider = "scripted"\nmodel = "demo"\n{rules}'
    )


@asynccontextmanager
async def serving(directory: Path, **settings: object) -> AsyncIterator[Rig]:
    """The app over the agents in ``directory``, with settings by field name."""
    resolved = ServerSettings.resolve({"config_path": directory, **settings}, env={})
    async with Services(resolved) as services:
        catalog = await anyio.to_thread.run_sync(Catalog.load, directory, services)
        state = ServerState(resolved, services, catalog, ApiKeys.load(resolved.api_keys, resolved.api_keys_file))
        yield Rig(state, create_app(state))


@dataclass(slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    def error(self) -> Any:
        """The envelope's content; its shape is asserted."""
        error = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert self.headers["content-type"] == "application/json"
        return error


@dataclass(slots=True)
class Rig:
    state: ServerState
    app: ASGIApp

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: GivenHeaders | None = None,
        parts: list[bytes] | None = None,
    ) -> Reply:
        """One request and its whole answer. ``body`` is bytes or a JSON value, ``parts`` a body sent in pieces."""
        async with self.open(method, path, body, headers, parts) as exchange:
            await exchange.finished.wait()
            return exchange.reply()

    async def chat(self, text: str = "hi", headers: GivenHeaders | None = None, **body: object) -> Reply:
        payload = {"messages": [{"role": "user", "content": text}], **body}
        return await self.ask("POST", "/v1/chat/completions", payload, headers)

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: GivenHeaders | None = None,
        parts: list[bytes] | None = None,
    ) -> AsyncIterator[Exchange]:
        """A request in flight; left at the end of the block, the client has gone."""
        if parts is None:
            parts = [body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)]
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        usual = {"host": "127.0.0.1", "content-type": "application/json"}
        named = {name.lower() for name, _ in pairs}
        given = [(name, value) for name, value in usual.items() if name not in named]
        target, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "path": target,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in (*given, *pairs)],
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
        }
        async with Exchange(parts) as exchange, anyio.create_task_group() as tasks:
            tasks.start_soon(exchange.drive, self.app, scope)
            try:
                yield exchange
            finally:
                exchange.leave()
                with anyio.fail_after(20):
                    await exchange.returned.wait()


@dataclass(slots=True)
class Exchange:
    """Both ends of one request; ``paused`` lets the app's writes wait as a full socket does."""

    parts: list[bytes]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    received: bytes = b""
    writes: list[bytes] = field(default_factory=list)
    aborted: bool = False
    gone: bool = False
    finished: anyio.Event = field(default_factory=anyio.Event)
    returned: anyio.Event = field(default_factory=anyio.Event)
    _on_lost: Callable[[], None] | None = None
    _news: anyio.Event = field(default_factory=anyio.Event)
    _left: anyio.Event = field(default_factory=anyio.Event)
    _flowing: anyio.Event = field(default_factory=anyio.Event)

    async def __aenter__(self) -> Self:
        self._flowing.set()
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def drive(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        scope["extensions"] = {CONNECTION: self}
        try:
            await app(scope, self._receive, self._send)
        finally:
            self.finished.set()
            self.returned.set()

    def leave(self) -> None:
        self._left.set()
        self._flowing.set()
        if self._on_lost is not None:
            self._on_lost()

    def pause(self) -> None:
        self._flowing = anyio.Event()

    def resume(self) -> None:
        self._flowing.set()

    def reply(self) -> Reply:
        return Reply(self.status, self.headers, self.received)

    async def until(self, text: str, seconds: float = 10) -> None:
        """Waits for ``text`` in the body."""
        with anyio.fail_after(seconds):
            while text.encode() not in self.received:
                await self._news.wait()

    async def until_started(self, seconds: float = 10) -> None:
        with anyio.fail_after(seconds):
            while not self.status:
                await self._news.wait()

    def abort(self) -> None:
        self.aborted = True
        self.leave()

    def watch(self, on_lost: Callable[[], None] | None) -> None:
        self._on_lost = on_lost
        if on_lost is not None and self._left.is_set():
            on_lost()

    def can_write(self) -> bool:
        return bool(self.status) and self._flowing.is_set() and not self._left.is_set()

    def write_now(self, data: bytes) -> None:
        self.received += data
        self.writes.append(data)
        self._notify()

    def _notify(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()

    async def _receive(self) -> Message:
        if self.parts:
            part = self.parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self.parts)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self._flowing.wait()
        if self._left.is_set():
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode("latin-1") for k, v in message["headers"]}
        else:
            self.received += message["body"]
            self.writes.append(message["body"])
            if not message.get("more_body"):
                self.finished.set()
        self._notify()
