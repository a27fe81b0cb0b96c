"""The life of a serving process: load, bind, serve, drain, exit."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

import anyio
import uvicorn
from anyio.abc import TaskGroup
from starlette.types import ASGIApp

from aura_py.config import InvalidConfiguration, render
from aura_py.config.settings import ServerSettings
from aura_py.errors import ConfigurationError
from aura_py.run.catalog import Catalog, ServedAgent
from aura_py.run.services import Services
from aura_py.server.api_keys import ApiKeys
from aura_py.server.app import create_app
from aura_py.server.connection import HttpConnection
from aura_py.server.listening import Announce, address, bind, unbindable
from aura_py.server.loop_watch import LoopWatch
from aura_py.server.reload import Reloader
from aura_py.server.siblings import SiblingApp, SiblingConnection, Siblings
from aura_py.server.state import ServerState
from aura_py.server.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

EXIT_SECONDS: Final = 10.0
"""After the grace: how long the rest of a shutdown may take before the process is ended by force."""
_FORCED_SECONDS: Final = 3.0
_FIRST_REQUEST_SECONDS: Final = 1.0
_KEEP_ALIVE: Final = 75
_YOUNG_OBJECTS: Final = 10_000
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)


def serve(settings: ServerSettings, announce: Announce = print) -> int:
    """Serves the agents of ``settings.config_path`` until SIGTERM or SIGINT; returns the exit status.

    Args:
        announce: Gets one line for each agent and, once the port is bound, the line with the address.
    """
    worker = WorkerProcess.from_environment()
    if worker is not None and worker.silent:
        announce = _say_nothing
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(settings, announce, worker))
    except KeyboardInterrupt:
        return 130


def _say_nothing(_line: str) -> None: ...


async def _serve(settings: ServerSettings, announce: Announce, worker: WorkerProcess | None) -> int:
    stop = _StopSignals()
    with stop.listening():
        async with Services(settings) as services:
            try:
                catalog = Catalog.load(settings.config_path, services)
                keys = ApiKeys.load(settings.api_keys, settings.api_keys_file)
                state = ServerState(settings, services, catalog, keys)
                listener = bind(settings.host, settings.port) if worker is None else worker.listener
            except ConfigurationError as error:
                print(error.message, file=sys.stderr)
                return error.exit_code if isinstance(error, InvalidConfiguration) else 1
            except OSError as error:
                print(unbindable(settings, error), file=sys.stderr)
                return 1
            if worker is None or not worker.silent:
                _show_warnings(state)
            for served in catalog.served:
                announce(_about(served))
            if settings.server_url is not None:
                announce(f"public address {settings.server_url}")
            await _listen(state, listener, stop, announce, worker)
    return 0


async def _listen(
    state: ServerState,
    listener: socket.socket,
    stop: _StopSignals,
    announce: Announce,
    worker: WorkerProcess | None,
) -> None:
    app = create_app(state)
    server = uvicorn.Server(_configuration(app))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    gc.collect()  # takes long, so nobody may be waiting yet
    await server.startup(sockets=[listener])
    reloader = Reloader(state)
    if worker is not None:
        await _join_siblings(worker, state, app, server)
    with stop.reloading(reloader.ask), _watching(state.settings):
        if worker is None:
            announce(f"listening on {address(listener)}")
        else:
            worker.ready(retire=stop.retire, stop=stop.asked.set)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_keep_date, server)
            tasks.start_soon(reloader.run)
            tasks.start_soon(_warm, state)
            tasks.start_soon(state.services.keep_indexed, state.catalog.configs)
            await stop.asked.wait()
            if stop.retired:
                await _leave_port(server)
            else:
                state.start_draining()
            stop.end_by_force_after(state.settings.shutdown_timeout_secs + EXIT_SECONDS)
            tasks.cancel_scope.cancel()  # waits for a reload that is reading files
    await _shut_down(state, server, listener, stop)


async def _join_siblings(worker: WorkerProcess, state: ServerState, app: ASGIApp, server: uvicorn.Server) -> None:
    """Serves on a Unix socket too. It gets its name when it listens, in place of that of a predecessor."""
    state.siblings = Siblings(worker.index, worker.count, worker.directory, stall=state.settings.stall_secs)
    config = _configuration(SiblingApp(app, state.retries), SiblingConnection)
    config.load()
    path = state.siblings.path
    early = path.with_suffix(f".{os.getpid()}")
    listening = await asyncio.get_running_loop().create_unix_server(
        lambda: SiblingConnection(config=config, server_state=server.server_state, app_state={}), str(early)
    )
    early.rename(path)
    server.servers.append(listening)


async def _leave_port(server: uvicorn.Server) -> None:
    """Accepts no connection any more, since another process does, and ends each after its present request."""
    for listening in server.servers:
        listening.close()
    with anyio.move_on_after(_FIRST_REQUEST_SECONDS):
        # A connection that was just accepted: its first request is on its way, of which uvicorn tells nobody.
        while any(getattr(each, "cycle", None) is None for each in server.server_state.connections):  # noqa: ASYNC110
            await anyio.sleep(0.02)
    for connection in list(server.server_state.connections):
        connection.shutdown()


def _watching(settings: ServerSettings) -> AbstractContextManager[object]:
    if not settings.watch_loop:
        return nullcontext()
    return LoopWatch(asyncio.get_running_loop(), lambda blocked: logger.warning("%s", blocked))


async def _warm(state: ServerState) -> None:
    """After it, what was imported and built is left out of garbage collection, which otherwise walks through all of it
    again and again while tokens stream; young objects are looked at less often for the same reason."""
    await state.services.warm(state.catalog.configs)
    gc.collect(0)
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


async def _shut_down(state: ServerState, server: uvicorn.Server, listener: socket.socket, stop: _StopSignals) -> None:
    grace = state.settings.shutdown_timeout_secs
    live = len(state.services.engine.live)
    logger.info("shutting down: %d runs in flight have %d s to finish", live, grace)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_force, stop, tasks)
        await state.services.engine.drain(grace)
        await server.shutdown(sockets=[listener])
        tasks.cancel_scope.cancel()
    if stop.forced.is_set():
        server.force_exit = True
        with anyio.move_on_after(_FORCED_SECONDS / 2):
            await state.services.engine.drain(0)  # tells every stream why it ends
        await server.shutdown(sockets=[listener])


async def _force(stop: _StopSignals, tasks: TaskGroup) -> None:
    await stop.forced.wait()
    logger.warning("second signal: not waiting any longer")
    tasks.cancel_scope.cancel()


async def _keep_date(server: uvicorn.Server) -> None:
    """Uvicorn's once-a-second housekeeping: the ``Date`` header."""
    while True:
        await server.on_tick(0)
        await anyio.sleep(1)


class _StopSignals:
    """What signals ask for. The first SIGTERM or SIGINT asks to stop, the next one to hurry."""

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.forced = anyio.Event()
        self.retired = False
        """Another process on the port has taken the place of this one."""
        self._timers: list[threading.Timer] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _STOPS:
            loop.add_signal_handler(number, self._signalled)
        try:
            yield
        finally:
            # The process ends by itself from here on; one more signal must not turn its exit status into -15, and one
            # that another thread has just received must not be complained about.
            sys.unraisablehook = _drop_late_signals
            signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
            for number in _STOPS:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
            for timer in self._timers:
                timer.cancel()

    @contextmanager
    def reloading(self, reload: Callable[[], None]) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, reload)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a late reload must not kill a draining server

    def end_by_force_after(self, seconds: float) -> None:
        """Ends the process although something hangs; cancelled when the shutdown completes."""
        timer = threading.Timer(seconds, _end_by_force)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def retire(self) -> None:
        self.retired = True
        self.asked.set()

    def _signalled(self) -> None:
        if self.asked.is_set() and not self.forced.is_set():
            self.forced.set()
            self.end_by_force_after(_FORCED_SECONDS)
        self.asked.set()


def _drop_late_signals(unraisable: sys.UnraisableHookArgs) -> None:
    error = unraisable.exc_value
    if not (isinstance(error, OSError) and "ignored due to race condition" in str(error)):
        sys.__unraisablehook__(unraisable)


def _end_by_force() -> None:
    print("aura: something did not stop in time; the process is ended", file=sys.stderr, flush=True)
    os._exit(1)


def _configuration(app: ASGIApp, http: type[HttpConnection] = HttpConnection) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(EXIT_SECONDS) // 2,
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # no uvloop on this Python
        return None
    return uvloop.new_event_loop


def _about(served: ServedAgent) -> str:
    about, config = served.runnable.describe(), served.config
    facts = [f"{about.provider}/{about.model}"]
    if about.orchestrated:
        facts.append(f"{len(config.orchestration.worker)} workers")
    if config.mcp.servers:
        facts.append(f"MCP: {', '.join(config.mcp.servers)}")
    if config.agent.hidden:
        facts.append("hidden")
    return f"agent {served.id} ({'; '.join(facts)})"


def _show_warnings(state: ServerState) -> None:
    if state.catalog.warnings:
        print(render(state.catalog.warnings, summary=False), file=sys.stderr)
    settings = state.settings
    switches = [
        name
        for name, on in (
            ("AURA_CUSTOM_EVENTS", settings.custom_events),
            ("TOOL_RESULT_MODE=open-web-ui", settings.tool_result_mode == "open-web-ui"),
        )
        if on
    ]
    if switches:
        logger.warning(
            "%s: streams have the legacy form, which breaks the openai JavaScript helper, the AI SDK, Open WebUI's "
            "native tools and LibreChat agents",
            " and ".join(switches),
        )
