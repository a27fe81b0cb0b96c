"""``tools`` and ``tool_choice``: what the client would run itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from aura_py.agent.contract import ClientTool
from aura_py.errors import RequestError
from aura_py.llm.contract import NamedTool, ToolChoice
from aura_py.server.openai import fields

logger = logging.getLogger(__name__)

_NOT_FUNCTIONS: Final = frozenset({"custom", "mcp", "shell", "local_shell", "apply_patch"})
_HOSTED: Final = ("file_search", "web_search", "computer", "code_interpreter", "image_generation")
"""Tools that OpenAI runs; some have a date at the end of their name."""
_CHOICES: Final = "`none`, `auto`, `required`, or an object that names a function or `allowed_tools`"


def client_tools(tools: Sequence[object] | None) -> tuple[ClientTool, ...]:
    """Function tools of a request, in either OpenAI form; tools of other types are ignored.

    Raises:
        RequestError: A tool has no type or a function has no name.
    """
    found: list[ClientTool] = []
    for index, item in enumerate(tools or ()):
        place = f"tools[{index}]"
        if not isinstance(item, dict) or not isinstance(item.get("type"), str):
            raise fields.wrong(place, "an object with a `type`")
        if item["type"] != "function":
            logger.info("a tool of the type `%s` was left out: only functions are offered", fields.shown(item["type"]))
            continue
        function = item.get("function", item)
        if not isinstance(function, dict):
            raise fields.wrong(f"{place}.function", "an object")
        name = fields.text(function, "name", param=f"{place}.function.name")
        if not name:
            raise RequestError(f"`{place}.function.name` is required.", param=f"{place}.function.name")
        found.append(
            ClientTool(
                name,
                fields.text(function, "description", param=f"{place}.function.description") or "",
                fields.table(function, "parameters", param=f"{place}.function.parameters") or {},
                function.get("strict") is True,
            )
        )
    return tuple(found)


def tool_choice(body: Mapping[str, object]) -> tuple[ToolChoice, frozenset[str] | None]:
    """Which tool to call, and the only names that may be called if the request restricts them.

    A choice of a tool that is not a function says nothing here: such tools are not offered to the model.

    Raises:
        RequestError: The choice has no form that OpenAI knows.
    """
    value = body.get("tool_choice")
    match value:
        case None | "auto":
            return "auto", None
        case "none":
            return "none", None
        case "required" | "any":
            return "required", None
        case {"type": "allowed_tools"} if isinstance(value, dict):
            return _allowed(value)
        case {"function": {"name": str(name)}}:
            return NamedTool(name), None
        case {"type": "function" | "tool" | "mcp", "name": str(name)}:
            return NamedTool(name), None
        case {"type": str(kind)} if kind in _NOT_FUNCTIONS or kind.startswith(_HOSTED):
            logger.warning("`tool_choice` of the type `%s` was ignored: it names no function", fields.shown(kind))
            return "auto", None
    raise fields.wrong("tool_choice", _CHOICES)


def _allowed(value: Mapping[str, object]) -> tuple[ToolChoice, frozenset[str]]:
    """Chat Completions nests what Responses writes flat."""
    nested = fields.table(value, "allowed_tools", param="tool_choice.allowed_tools") or value
    mode, tools = nested.get("mode"), nested.get("tools")
    if mode not in ("auto", "required") or not isinstance(tools, list):
        raise fields.wrong("tool_choice", "`allowed_tools` with a `mode` (`auto` or `required`) and an array `tools`")
    names: set[str] = set()
    for tool in tools:
        match tool:
            case {"function": {"name": str(name)}} | {"name": str(name)}:
                names.add(name)
            case {"type": str()}:
                pass
            case _:
                raise fields.wrong("tool_choice", "`allowed_tools` whose `tools` are objects with a `type`")
    return ("required" if mode == "required" else "auto"), frozenset(names)
