"""Tools that the caller runs itself: which of them the model gets to see."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import orjson

from aura_py.agent.contract import ClientTool
from aura_py.globs import Glob
from aura_py.llm.contract import ToolSpec
from aura_py.messages import JsonObject, ToolCall
from aura_py.tools.contract import ToolOutcome, failure
from aura_py.tools.runner import parse_arguments

logger = logging.getLogger(__name__)

CUT_ENDS: Final = frozenset({"length", "content_filter"})
"""Ends that may fall into the middle of a call."""
CUT_CALL: Final = "JsonError: the answer was cut before the arguments of this call; send it again, shorter."
_NOT_PASSED_ON: Final = "another call of this turn was malformed, so none was passed on; send all of them again."
_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}


def filter_client_tools(
    tools: Sequence[ClientTool], *, enabled: bool, patterns: Sequence[str] | None, taken: Collection[str]
) -> tuple[ToolSpec, ...]:
    """Return the client tools that pass the agent's filter and clash with no server tool.

    An absent or empty filter lets all of them through.
    """
    if not enabled:
        return ()
    globs = [Glob(pattern) for pattern in patterns or ()]
    kept: dict[str, ToolSpec] = {}
    for tool in tools:
        if globs and not any(glob.matches(tool.name) for glob in globs):
            continue
        if tool.name in taken:
            logger.warning("client tool `%s` is left out: the server has a tool of that name", tool.name)
            continue
        kept.setdefault(
            tool.name, ToolSpec(tool.name, tool.description, tool.parameters or _NO_PARAMETERS, tool.strict)
        )
    return tuple(kept.values())


def checked_call(call: ToolCall) -> ToolCall | None:
    """``call`` with arguments that are the text of an object, or ``None``: a client is never handed a guess."""
    parsed = parse_arguments(call.arguments)
    if not isinstance(parsed, str):
        written = call.arguments.lstrip().startswith("{")
        return call if written else replace(call, arguments=orjson.dumps(parsed).decode())
    try:
        value = json.loads(call.arguments)  # NaN and lone surrogates, which some models write
    except (ValueError, RecursionError):
        return None
    return call if isinstance(value, dict) else None


def is_empty(call: ToolCall) -> bool:
    """Whether a call has no arguments, which is also what arguments look like that were cut before they began."""
    return parse_arguments(call.arguments) == {}


def refusal(call: ToolCall) -> ToolOutcome:
    """What the model is told of a call that was not passed on, because its arguments or another's cannot be read."""
    why = _NOT_PASSED_ON if checked_call(call) is not None else parse_arguments(call.arguments)
    return failure(f"JsonError: {why}", outcome="schema_error")
