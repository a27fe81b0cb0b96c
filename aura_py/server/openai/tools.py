"""``tools`` and ``tool_choice``: what the client would run itself (``http-api.md`` §10, ``clients.md`` CT-1…CT-4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aura_py.agent.contract import ClientTool
from aura_py.errors import RequestError
from aura_py.llm.contract import NamedTool, ToolChoice
from aura_py.server.openai import fields


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


def tool_choice(body: Mapping[str, object]) -> ToolChoice:
    """``auto`` unless the request says otherwise; an object names the one tool to call."""
    value = body.get("tool_choice")
    match value:
        case None | "auto":
            return "auto"
        case "none":
            return "none"
        case "required" | "any":
            return "required"
        case {"function": {"name": str(name)}} | {"name": str(name)}:
            return NamedTool(name)
    raise fields.wrong("tool_choice", "`none`, `auto`, `required` or an object that names a function")
