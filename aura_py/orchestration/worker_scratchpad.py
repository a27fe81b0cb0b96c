"""A worker's scratchpad, below its run's directory (``scratchpad.md`` §5, §9)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

import anyio
import anyio.to_thread
import orjson

from aura_py.messages import Usage
from aura_py.orchestration.rundir import Stored
from aura_py.orchestration.surroundings import Surroundings
from aura_py.orchestration.team import Profile
from aura_py.scratchpad import Scratchpad, thresholds
from aura_py.tokens import counter_for
from aura_py.tools.contract import Middleware, Tool

logger = logging.getLogger(__name__)


class WorkerScratchpad:
    """What an attempt needs of a scratchpad. The directory belongs to the iteration, the budget to the attempt."""

    def __init__(self, scratchpad: Scratchpad, run: Path, depth_bonus: int, count: Callable[[str], int]) -> None:
        self.tools: tuple[Tool, ...] = scratchpad.tools
        self.middleware: Middleware = scratchpad.middleware
        self.prompt = scratchpad.prompt
        self.turn_depth_bonus = depth_bonus
        self._scratchpad = scratchpad
        self._run = run
        self._count = count

    @classmethod
    async def open(
        cls, run: Surroundings, profile: Profile, tools: Sequence[Tool], prompt: str, *, iteration: int
    ) -> Self | None:
        """``None`` when it is off, has no directory, or nothing the worker can reach would ever be parked."""
        settings, model = profile.scratchpad, profile.model
        path, session = run.files.path, run.files.session
        if not settings.enabled or path is None or session is None or model.context_window is None:
            return None
        limits = thresholds(run.config.mcp.servers, tools)
        if not limits and settings.default_min_tokens is None:
            log = logger.warning if profile.wants_tools else logger.info
            log("worker `%s` reaches no tool with a scratchpad threshold; its scratchpad is off", profile.name)
            return None
        window = model.context_window
        counter = counter_for(model.provider, model.model)
        baseline = [prompt, *(_schema(tool) for tool in tools)]

        def make() -> Scratchpad:
            return Scratchpad.open(
                settings,
                directory=path / f"iteration-{iteration}" / "scratchpad",
                read_root=session,
                thresholds=limits,
                counter=counter,
                context_window=window,
                baseline=baseline,
            )

        try:
            scratchpad = await anyio.to_thread.run_sync(make)
        except OSError as error:
            logger.warning("worker `%s` runs without its scratchpad: %s", profile.name, error.strerror)
            return None
        return cls(scratchpad, path, settings.turn_depth_bonus, counter.count)

    async def seed(self, texts: Iterable[str]) -> None:
        """Charges what is sent before the first turn."""
        sent = list(texts)
        tokens = await anyio.to_thread.run_sync(lambda: sum(self._count(text) for text in sent))
        self._scratchpad.budget.seed(tokens)

    def observe(self, usage: Usage) -> None:
        self._scratchpad.budget.observe_turn(usage)

    def usage(self) -> tuple[int, int]:
        """Tokens intercepted and tokens extracted."""
        return self._scratchpad.usage()

    async def page_artifact(self, filename: str, run_id: str | None, stored: Stored) -> str:
        """The artifact when it fits the budget, else a pointer to explore it in place."""
        run = self._run if run_id is None else self._run.parent / run_id
        return await self._scratchpad.offer_artifact(filename, run / "artifacts" / filename, stored.text)

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._scratchpad.close)


def _schema(tool: Tool) -> str:
    return orjson.dumps({"name": tool.name, "description": tool.description, "input_schema": tool.parameters}).decode()
