"""A changed set of agents takes the place of the present one, whole or not at all.

SIGHUP always reloads; with ``AURA_RELOAD`` the files are looked at twice a second. Running runs keep the agents they
started with. A set with a problem changes nothing and is reported in the log and in ``/health``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from aura_py.config.models import AgentConfig, ScriptedLLM
from aura_py.config.skills import FILE_NAME as SKILL_FILE
from aura_py.errors import ConfigurationError
from aura_py.run.catalog import Catalog
from aura_py.server.api_keys import ApiKeys
from aura_py.server.state import ServerState

logger = logging.getLogger(__name__)

INTERVAL: Final = 0.5
Fingerprint: TypeAlias = tuple[tuple[str, int, int, int], ...]


class Reloader:
    """Watches and reloads one server's agents and keys. ``run`` lives as long as the server."""

    def __init__(self, state: ServerState, *, interval: float = INTERVAL) -> None:
        self._state = state
        self._interval = interval
        self._asked = anyio.Event()
        self._tasks: TaskGroup | None = None

    def ask(self) -> None:
        """Reloads soon; safe in a signal handler of the event loop."""
        self._asked.set()

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            await self._watch()

    async def _watch(self) -> None:
        watching = self._state.settings.reload
        loaded = before = await self._look() if watching else ()
        while True:
            with anyio.move_on_after(self._interval if watching else None):
                await self._asked.wait()
            if self._asked.is_set():
                self._asked = anyio.Event()
                loaded = before = await self._look() if watching else ()
                await self.reload()
                continue
            seen = await self._look()
            settled, before = seen == before, seen
            if settled and seen != loaded:  # nobody is in the middle of writing
                loaded = seen
                await self.reload()

    async def reload(self) -> bool:
        """Loads, validates and swaps; whether the new set is in place."""
        state = self._state
        settings = state.settings
        try:
            keys = await anyio.to_thread.run_sync(ApiKeys.load, settings.api_keys, settings.api_keys_file)
            catalog = await anyio.to_thread.run_sync(Catalog.load, settings.config_path, state.services)
        except ConfigurationError as error:
            state.reload_problem = error.message
            logger.error("reload changed nothing, the present agents go on")
            for line in error.message.splitlines():
                logger.error("reload: %s", line)
            return False
        except Exception:
            state.reload_problem = "The new agents could not be built; the log has the details."
            logger.exception("reload changed nothing, the present agents go on")
            return False
        replaced, state.catalog = state.catalog, catalog
        state.keys, state.reload_problem = keys, None
        if self._tasks is not None:
            self._tasks.start_soon(state.services.retire, replaced.configs)
            self._tasks.start_soon(state.services.warm, catalog.configs)
            self._tasks.start_soon(state.services.keep_indexed, catalog.configs)
        logger.info("reloaded %d agents: %s", len(catalog.served), ", ".join(served.id for served in catalog.served))
        return True

    async def _look(self) -> Fingerprint:
        return await anyio.to_thread.run_sync(lambda: tuple(_stats(self._state)))


def _stats(state: ServerState) -> Iterator[tuple[str, int, int, int]]:
    """Name, inode, size and time of every file that a reload would read, through symlinks."""
    root = state.settings.config_path
    paths: set[Path] = {root}
    if root.is_dir():
        paths.update(root.glob("*.toml"))
    for config in state.catalog.configs:
        paths.update(_files(config))
    if state.settings.api_keys_file is not None:
        paths.add(state.settings.api_keys_file)
    for path in sorted(paths):
        try:
            found = path.stat()
        except OSError:
            yield str(path), 0, 0, 0
        else:
            directory = path.is_dir()
            yield str(path), found.st_ino, 0 if directory else found.st_size, found.st_mtime_ns


def _files(config: AgentConfig) -> Iterator[Path]:
    """Everything that an agent was read from."""
    yield config.path
    yield from config.orchestration.prompts.values()
    for skills in (config.agent.skills, *(worker.skills for worker in config.orchestration.worker.values())):
        for each in skills.local if skills is not None else ():
            yield each.source
            yield from each.source.glob(f"*/{SKILL_FILE}")
    models = [config.agent.llm, *(worker.llm for worker in config.orchestration.worker.values() if worker.llm)]
    for llm in (each for model in models for each in (model, *model.fallback)):
        if isinstance(llm, ScriptedLLM) and llm.script is not None:
            yield llm.script
