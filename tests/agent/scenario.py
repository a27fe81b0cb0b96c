"""What the tests of stages need: a tool, a call, a chain of one stage."""

from __future__ import annotations

from collections.abc import Sequence

from aura_py.context import RunContext
from aura_py.events import ToolKind
from aura_py.messages import JsonObject, ToolCall
from aura_py.tools.contract import BuiltinTool, CallContext, Middleware, ToolOutcome
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset


def call_context(*, turn: int = 1, turns_left: int = 5) -> CallContext:
    run = RunContext("run", "req", "cs")
    return CallContext(run, "call", emit=lambda _event: None, turn=turn, turns_left=turns_left)


class Scenario:
    """A runner around one tool that answers with ``outcomes`` in turn; the last one repeats."""

    def __init__(self, outcomes: Sequence[ToolOutcome], *stages: Middleware, kind: ToolKind = "mcp") -> None:
        self.executed = 0
        self._outcomes = outcomes

        async def handler(_arguments: JsonObject, _context: CallContext) -> ToolOutcome:
            self.executed += 1
            return self._outcomes[min(self.executed, len(self._outcomes)) - 1]

        tool = BuiltinTool("look", "", {"type": "object"}, handler, kind)
        self._runner = ToolRunner(Toolset([tool]), stages)

    async def call(self, arguments: str = "{}", *, turn: int = 1, left: int = 5) -> ToolOutcome:
        return await self._runner.run(ToolCall("call", "look", arguments), call_context(turn=turn, turns_left=left))
