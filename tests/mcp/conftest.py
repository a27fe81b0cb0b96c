from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from aura_py.config.models import HttpServer, SseServer, StdioServer
from aura_py.context import RunContext
from aura_py.events import Event, ToolProgress
from aura_py.mcp import McpAttachment
from aura_py.tools.contract import CallContext, Tool
from tests.servers.forking import server_command

ROOT = Path(__file__).parents[2]


def python_server(module: str, *arguments: str, fork: bool = True, **settings: object) -> StdioServer:
    """A stdio server of ``tests/servers``; ``fork=False`` where Aura's own child processes are counted."""
    return StdioServer.model_validate({"cmd": server_command(module, *arguments, fork=fork), **settings})


def http_server(url: str, **settings: object) -> HttpServer:
    return HttpServer.model_validate({"url": url, **settings})


def sse_server(url: str, **settings: object) -> SseServer:
    return SseServer.model_validate({"url": url, **settings})


@contextmanager
def running(module: str, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server process with a URL; ended afterwards."""
    process = subprocess.Popen(
        server_command(module, *arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://"), f"tests.servers.{module} did not start"
        yield url, process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


Start = Callable[..., AbstractContextManager[tuple[str, subprocess.Popen[str]]]]


@pytest.fixture(scope="session")
def mock_http() -> Iterator[str]:
    with running("mock", "--http", "0") as (url, _):
        yield url


@pytest.fixture(scope="session")
def mock_sse() -> Iterator[str]:
    with running("mock", "--sse", "0") as (url, _):
        yield url


@pytest.fixture(scope="session")
def refusing() -> Iterator[str]:
    with running("refusing", "--http", "0") as (url, _):
        yield url


class Calls:
    """Contexts for calls, and what the calls told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.tokens: list[int | str | None] = []

    def context(self, call_id: str = "call_1", *, images: bool = False) -> CallContext:
        return CallContext(
            run=RunContext("run", "req_1", "cs_1"),
            call_id=call_id,
            emit=self.events.append,
            started=self.tokens.append,
            model_sees_images=images,
        )

    @property
    def progress(self) -> list[ToolProgress]:
        return [event for event in self.events if isinstance(event, ToolProgress)]


@pytest.fixture
def calls() -> Calls:
    return Calls()


def tool(attachment: McpAttachment, name: str) -> Tool:
    found = {candidate.name: candidate for candidate in attachment.tools}
    assert name in found, f"{name} is not among {sorted(found)}: {attachment.statuses}"
    return found[name]
