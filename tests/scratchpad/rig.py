"""An open scratchpad with a real counter and real files, and short ways to use it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aura_py.config.models import ScratchpadSettings
from aura_py.context import RunContext
from aura_py.events import ToolKind
from aura_py.scratchpad import Scratchpad
from aura_py.tokens import counter_for
from aura_py.tools.contract import BuiltinTool, CallContext, Invocation, Next, ToolOutcome, success

COUNTER = counter_for("openai", "gpt-4o")
COUNTER.count("The vocabulary is loaded here, and not on the event loop of the first test.")


def call_context(**facts: Any) -> CallContext:
    return CallContext(RunContext("run", "request", "session"), "call", lambda _event: None, **facts)


def returning(outcome: ToolOutcome) -> Next:
    async def following(_invocation: Invocation, _context: CallContext) -> ToolOutcome:
        return outcome

    return following


def tool(name: str, kind: ToolKind = "mcp") -> BuiltinTool:
    async def handler(_arguments: Mapping[str, Any], _context: CallContext) -> str:
        raise AssertionError("the middleware calls what follows it, not the tool")

    return BuiltinTool(name, "", {}, handler, kind)


class Rig:
    """``park`` sends an output through the middleware, ``explore`` calls a tool of the model."""

    def __init__(self, scratchpad: Scratchpad, directory: Path) -> None:
        self.scratchpad = scratchpad
        self.directory = directory
        self._tools = {each.name: each for each in scratchpad.tools}

    async def through(
        self,
        outcome: ToolOutcome | str,
        *,
        name: str = "big",
        kind: ToolKind = "mcp",
        arguments: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> ToolOutcome:
        given = success(outcome) if isinstance(outcome, str) else outcome
        invocation = Invocation(tool(name, kind), arguments or {})
        return await self.scratchpad.middleware(invocation, call_context(**facts), returning(given))

    async def park(self, text: str, **facts: Any) -> str:
        """The name of the file that now holds the text."""
        outcome = await self.through(text, **facts)
        file = outcome.meta["parked"]
        assert isinstance(file, str)
        return file

    async def explore(self, name: str, **arguments: Any) -> ToolOutcome:
        return await self._tools[name].call(arguments, call_context())

    async def read(self, name: str, **arguments: Any) -> str:
        outcome = await self.explore(name, **arguments)
        assert outcome.ok, outcome.text
        return outcome.text

    async def body(self, name: str, **arguments: Any) -> str:
        """A result without its footer."""
        text = await self.read(name, **arguments)
        return text[: text.rindex("--- scratchpad ")].rstrip("\n")

    async def lines(self, name: str, **arguments: Any) -> list[str]:
        """The lines of a numbered result, without their numbers."""
        return [line.split("\t", 1)[1] for line in (await self.body(name, **arguments)).split("\n") if line]


@contextmanager
def rig(
    directory: Path,
    *,
    read_root: Path | None = None,
    thresholds: Mapping[str, int] | None = None,
    window: int = 1_000_000,
    **settings: Any,
) -> Iterator[Rig]:
    scratchpad = Scratchpad.open(
        ScratchpadSettings(enabled=True, **settings),
        directory=directory,
        read_root=read_root or directory,
        thresholds={"big": 0} if thresholds is None else thresholds,
        counter=COUNTER,
        context_window=window,
    )
    try:
        yield Rig(scratchpad, directory)
    finally:
        scratchpad.close()


def error_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
