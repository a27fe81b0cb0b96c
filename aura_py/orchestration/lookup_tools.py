"""The coordinator's look-up tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import orjson

from aura_py.messages import Json, JsonObject
from aura_py.orchestration.prior_runs import Manifest, runs_json
from aura_py.tools.contract import BuiltinTool, CallContext, Tool, ToolOutcome, failure, success

LIST_TOOLS = "list_tools"
INSPECT = "inspect_tool_params"
PRIOR_RUNS = "list_prior_runs"
_SUGGESTIONS = 3
_NOTHING: JsonObject = {"type": "object", "properties": {}}


def list_tools(tools: Sequence[Tool]) -> BuiltinTool:
    names = list(dict.fromkeys(tool.name for tool in tools))

    async def handle(_arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        return _json({"count": len(names), "tools": "\n".join(names)})

    text = "List the tools that workers can use. You cannot call them; name them in task texts where that helps."
    return BuiltinTool(LIST_TOOLS, text, _NOTHING, handle, "orchestration")


def inspect_tool_params(tools: Sequence[Tool]) -> BuiltinTool:
    by_name = {tool.name: tool for tool in reversed(tools)}

    async def handle(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        name = arguments.get("tool_name")
        if not isinstance(name, str):
            return failure("`tool_name` must be the name of a tool.", outcome="schema_error")
        tool = by_name.get(name)
        if tool is None:
            return _json({"found": False, "tool_name": name, "schema": _unknown(name, list(by_name))})
        schema = orjson.dumps(tool.parameters, option=orjson.OPT_INDENT_2).decode()
        return _json({"found": True, "tool_name": name, "schema": schema})

    schema: JsonObject = {
        "type": "object",
        "properties": {"tool_name": {"type": "string", "description": "A name from `list_tools`."}},
        "required": ["tool_name"],
    }
    text = "Show the parameters of a worker's tool, when a task text needs an exact parameter."
    return BuiltinTool(INSPECT, text, schema, handle, "orchestration")


def list_prior_runs(load: Callable[[], Awaitable[Sequence[Manifest]]]) -> BuiltinTool:
    async def handle(_arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        return _json(runs_json(await load()))

    text = "List earlier runs of this session, newest first, with their goals and outcomes."
    return BuiltinTool(PRIOR_RUNS, text, _NOTHING, handle, "orchestration")


def _unknown(name: str, names: list[str]) -> str:
    lowered = name.lower()
    near = [n for n in sorted(names) if lowered and (lowered in n.lower() or n.lower() in lowered)][:_SUGGESTIONS]
    if near:
        return "There is no such tool; did you mean " + ", ".join(f"`{n}`" for n in near) + "?"
    if names:
        return "There is no such tool; the tools are " + ", ".join(f"`{n}`" for n in sorted(names)) + "."
    return "There are no tools."


def _json(value: dict[str, Json]) -> ToolOutcome:
    return success(orjson.dumps(value).decode())
