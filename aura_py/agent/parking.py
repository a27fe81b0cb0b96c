"""The scratchpad of one run: opened when a reachable tool may exceed a threshold, closed with the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from aura_py.config.models import AgentConfig
from aura_py.context import RunContext
from aura_py.llm.contract import ChatModel
from aura_py.messages import Usage
from aura_py.tools.contract import Middleware, Tool


class Parking:
    """What the agent needs of a scratchpad; see ``scratchpad.md`` §3."""

    tools: tuple[Tool, ...]
    middleware: Middleware
    prompt: str
    turn_depth_bonus: int

    @classmethod
    async def open(
        cls, config: AgentConfig, model: ChatModel, tools: Sequence[Tool], prompt: str, context: RunContext
    ) -> Self | None:
        """``None`` when the scratchpad is off or nothing this agent can reach would ever be parked."""
        return None

    def seed(self, texts: Iterable[str]) -> None: ...

    def observe(self, usage: Usage) -> None: ...

    def usage(self) -> tuple[int, int]:
        return (0, 0)

    async def close(self) -> None: ...
