"""The only place that executes a tool call.

Every call, whether a model made it, it was found in a model's text, or ``wait_for`` repeats it, goes through
:meth:`ToolRunner.run`: look-up in the agent's toolset, arguments, the middlewares in order, the tool.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson

from aura_py.errors import AuraError
from aura_py.messages import JsonObject, ToolCall
from aura_py.tools.contract import CallContext, Invocation, Middleware, Next, ToolOutcome, failure
from aura_py.tools.toolset import Toolset

logger = logging.getLogger(__name__)


class ToolRunner:
    """Run the tool calls of one agent.

    Args:
        toolset: What this agent may call, after all filters. A call of any other name gets an answer and is not run.
        middlewares: Outermost first.
        unknown_tool_hint: Added to the answer for a name that does not exist.
    """

    def __init__(
        self, toolset: Toolset, middlewares: Sequence[Middleware] = (), *, unknown_tool_hint: str = ""
    ) -> None:
        self.toolset = toolset
        self._hint = unknown_tool_hint
        self._chain = _chain(middlewares)

    async def run(self, call: ToolCall, context: CallContext) -> ToolOutcome:
        """Run ``call`` and return its outcome. Raises nothing but cancellation."""
        tool = self.toolset.get(call.name)
        if tool is None:
            return failure(f"ToolCallError: {self._unknown(call.name)}")
        arguments = parse_arguments(call.arguments)
        if isinstance(arguments, str):
            return failure(f"JsonError: {arguments}", outcome="schema_error")
        try:
            return await self._chain(Invocation(tool, arguments), context)
        except Exception as error:
            return _failure_of(call.name, error)

    def _unknown(self, name: str) -> str:
        names = self.toolset.names
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        if near:
            hint = "did you mean " + ", ".join(f"`{n}`" for n in near) + "?"
        elif names:
            hint = "the tools are " + ", ".join(f"`{n}`" for n in names) + "."
        else:
            hint = "there are no tools."
        return " ".join(filter(None, [f"no tool is called `{name}`; {hint}", self._hint]))


def parse_arguments(text: str) -> JsonObject | str:
    """Parse the arguments of a call: the object in ``text``, or a sentence saying why there is none.

    An empty text is an empty object; a JSON string that holds an object is unwrapped.
    """
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
        if isinstance(value, str):
            value = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return f"the arguments are not valid JSON ({error}); send one JSON object."
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return f"the arguments are a JSON {type(value).__name__}, not an object; send one JSON object."
    return value


def _failure_of(name: str, error: Exception) -> ToolOutcome:
    if isinstance(error, AuraError):
        return failure(f"ToolCallError: {error.message}")
    logger.error("tool `%s` failed", name, exc_info=error)
    return failure(f"ToolCallError: `{name}` failed: {type(error).__name__}")


def _chain(middlewares: Sequence[Middleware]) -> Next:
    async def call_tool(invocation: Invocation, context: CallContext) -> ToolOutcome:
        if not invocation.tool.annotations.read_only:
            context.run.note_side_effect()
        try:
            outcome = await invocation.tool.call(invocation.arguments, context)
        except Exception as error:
            # Caught here as well as around the chain, so that middlewares see an outcome and not an exception.
            return _failure_of(invocation.tool.name, error)
        return replace(outcome, meta={**outcome.meta, "raw_digest": hash(outcome.text)})

    following: Next = call_tool
    for middleware in reversed(middlewares):
        following = _bind(middleware, following)
    return following


def _bind(middleware: Middleware, next_: Next) -> Next:
    async def run_middleware(invocation: Invocation, context: CallContext) -> ToolOutcome:
        return await middleware(invocation, context, next_)

    return run_middleware
