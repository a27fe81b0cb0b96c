"""The stdio transport: a child process that speaks one JSON-RPC message a line.

The SDK's own client joins and splits everything it has so far with each chunk, which takes seconds for a result of
some megabytes, and knows neither a bound on a message nor what to do with a careless one.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import AsyncResource, Process
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.os.posix.utilities import terminate_posix_process_tree
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, jsonrpc_message_adapter

from aura_py.config.models import StdioServer
from aura_py.mcp.answers import UNREADABLE
from aura_py.mcp.dispatcher import MessageStreams
from aura_py.mcp.stderr import stderr_to_log

log = logging.getLogger(__name__)

MAX_MESSAGE = 256 << 20
"""Bytes of one message above which the connection ends: a child that never ends its line must not fill the memory."""

_FLUSH_SECONDS = 0.5
_NOTICE_SECONDS = 0.5
_EXIT_SECONDS = 2.0
_KILL_SECONDS = 2.0
_POLL_SECONDS = 0.01
_ANSWER = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,15})\s*,\s*"result"')
_STREAM_CLOSED = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


_LAUNCHER = """\
import os, signal, sys
parent, *command = sys.argv[1:]
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
except (ImportError, OSError, AttributeError):
    pass
if os.getppid() != int(parent):
    sys.exit("Aura has ended")
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
try:
    os.execvp(command[0], command)
except OSError as error:
    sys.exit(f"{command[0]}: {error.strerror}")
"""
"""Asks Linux for a SIGTERM when the parent dies, however it dies, and then executes the server in its own place.
``preexec_fn`` would save this start of Python (20 ms), but may deadlock in a process with threads."""


@asynccontextmanager
async def open_stdio(name: str, server: StdioServer, on_end: Callable[[str], None]) -> AsyncIterator[MessageStreams]:
    """Message streams to a child in a process group of its own.

    On leaving its input is closed; if it stays, it is terminated, and killed if that does not help. Its group, which
    holds the processes that it has started, ends with it. ``on_end`` is told how its output ended, before the streams
    end.

    Raises:
        OSError: The process cannot be started.
    """
    if not server.cmd:
        raise FileNotFoundError("`cmd` is empty; name an executable")
    command, env = [*server.cmd, *server.args], environment(server)
    if shutil.which(command[0], path=env["PATH"]) is None:
        raise FileNotFoundError(f"`{os.path.basename(command[0])}` is not an executable that can be found")
    if sys.platform == "linux" and sys.executable:
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
    async with stderr_to_log(name, [value.get_secret_value() for value in server.env.values()]) as stderr:
        process = await anyio.open_process(command, env=env, stderr=stderr.sink, start_new_session=True)
        # No await before the guard: a cancellation in between would leak the child.
        stderr.sink.close()

        def ended() -> None:
            ending, line = _describe_exit(process.returncode), stderr.last_line()
            on_end(f"{ending}; the last line of its stderr: {line}" if line else ending)

        async with _streams(name, process, ended) as streams:
            yield streams


def environment(server: StdioServer) -> dict[str, str]:
    """Return the environment of the child, without Aura's own variables: they hold its keys."""
    inherited = os.environ if server.inherit_env else {}
    env = get_default_environment() | {key: value for key, value in inherited.items() if not key.startswith("AURA_")}
    env |= {key: value.get_secret_value() for key, value in server.env.items()}
    return {"PATH": os.defpath, **env}


@asynccontextmanager
async def _streams(name: str, process: Process, on_end: Callable[[], None]) -> AsyncIterator[MessageStreams]:
    assert process.stdin is not None
    assert process.stdout is not None
    to_session, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    from_session, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    written = anyio.Event()
    with to_session, incoming, from_session, outgoing:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, name, process, to_session, on_end)
            tasks.start_soon(_write, name, process, outgoing, to_session, written, on_end)
            try:
                yield incoming, from_session
            finally:
                with anyio.CancelScope(shield=True):
                    # The reader now throws away what comes, so that a child stuck in writing can read again.
                    incoming.close()
                    from_session.close()
                    with anyio.move_on_after(_FLUSH_SECONDS):
                        await written.wait()
                    await _stop(name, process)
                tasks.cancel_scope.cancel()


async def _read(
    name: str,
    process: Process,
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
    on_end: Callable[[], None],
) -> None:
    assert process.stdout is not None
    parser, stdout = _MessageParser(name), BufferedByteReceiveStream(process.stdout)
    with to_session:
        try:
            while True:
                message = parser.message(await stdout.receive_until(b"\n", MAX_MESSAGE))
                if message is not None:
                    await to_session.send(message)
        except anyio.DelimiterNotFound:
            log.error("MCP server `%s` sent a message of over %d bytes; its connection ends", name, MAX_MESSAGE)
        except anyio.IncompleteRead:
            await _wait_for_exit(process, _NOTICE_SECONDS)
            on_end()
            return
        except _STREAM_CLOSED:
            log.debug("nobody reads the messages of MCP server `%s` any more", name)
    del stdout
    with suppress(anyio.EndOfStream, *_STREAM_CLOSED):
        while True:
            await process.stdout.receive()


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "the server's process closed its output"
    return f"the server's process ended with code {code}" if code >= 0 else f"the server's process got signal {-code}"


class _MessageParser:
    """Parse lines into messages, and repair malformed ones where that can be done."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._warned = False

    def message(self, line: bytes) -> SessionMessage | None:
        if not line or line.isspace():
            return None
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValueError:
            return self._repaired(line)

    def _repaired(self, line: bytes) -> SessionMessage | None:
        """Bytes that are no UTF-8, and lone surrogates; what stays unreadable fails its own call."""
        try:
            parsed = json.loads(line.decode("utf-8", "replace"), strict=False)
            written = json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace")
            return SessionMessage(jsonrpc_message_adapter.validate_json(written, by_name=False))
        except (ValueError, RecursionError):
            answer = _ANSWER.match(line)
        if answer is not None:
            error = ErrorData(code=UNREADABLE, message="the server's answer is not valid JSON, or nested too deep")
            return SessionMessage(JSONRPCError(jsonrpc="2.0", id=int(answer[1]), error=error))
        log.log(
            logging.DEBUG if self._warned else logging.WARNING,
            "MCP server `%s` wrote something to its output that is no JSON-RPC message; it is skipped",
            self._name,
        )
        self._warned = True
        return None


async def _write(
    name: str,
    process: Process,
    outgoing: MemoryObjectReceiveStream[SessionMessage],
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
    written: anyio.Event,
    on_end: Callable[[], None],
) -> None:
    assert process.stdin is not None
    try:
        async for item in outgoing:
            text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            await process.stdin.send(text.encode("utf-8", "replace") + b"\n")
    except _STREAM_CLOSED:
        # It may still live, but it cannot be asked any more: the session sees the end instead of waiting for ever.
        log.debug("MCP server `%s` takes no more messages", name)
        await _wait_for_exit(process, _NOTICE_SECONDS)
        on_end()
        to_session.close()
    finally:
        written.set()


async def _stop(name: str, process: Process) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    await _close(process.stdin)
    await _wait_for_exit(process, _EXIT_SECONDS)
    await terminate_posix_process_tree(process, _KILL_SECONDS)
    if not await _wait_for_exit(process, _KILL_SECONDS):
        log.warning("the process %d of MCP server `%s` survived being killed", process.pid, name)
    await _close(process.stdout)
    # A grandchild may hold the pipes open; without this the event loop would keep them as long.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        with suppress(PermissionError):
            transport.close()


async def _close(stream: AsyncResource) -> None:
    with suppress(*_STREAM_CLOSED):
        await stream.aclose()


async def _wait_for_exit(process: Process, seconds: float) -> bool:
    """``Process.wait`` would also wait until every grandchild has let go of the pipes."""
    deadline = anyio.current_time() + seconds
    while process.returncode is None:
        if anyio.current_time() >= deadline:
            return False
        await anyio.sleep(_POLL_SECONDS)
    return True
