"""A worker's scratchpad, below its run's directory (``scratchpad.md`` §5, §9)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from aura_py.messages import Usage
from aura_py.orchestration.rundir import Stored
from aura_py.orchestration.surroundings import Surroundings
from aura_py.orchestration.team import Profile
from aura_py.tools.contract import Middleware, Tool


class WorkerScratchpad:
    """What an attempt needs of a scratchpad."""

    tools: tuple[Tool, ...]
    middleware: Middleware
    prompt: str
    turn_depth_bonus: int

    @classmethod
    async def open(
        cls, run: Surroundings, profile: Profile, tools: Sequence[Tool], prompt: str, *, task_id: int, iteration: int
    ) -> Self | None:
        return None

    def seed(self, texts: Iterable[str]) -> None: ...

    def observe(self, usage: Usage) -> None: ...

    def usage(self) -> tuple[int, int]:
        return (0, 0)

    async def page_artifact(self, filename: str, run_id: str | None, stored: Stored) -> str:
        return stored.text

    async def close(self) -> None: ...
