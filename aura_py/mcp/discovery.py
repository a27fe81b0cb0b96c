"""The tools of a server, prepared once for every run that will use it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from aura_py.mcp.arguments import SchemaCheck
from aura_py.mcp.names import names_of_server
from aura_py.mcp.properties import rename_properties
from aura_py.mcp.schemas import UnusableSchema, sanitize_schema
from aura_py.messages import Json, JsonObject
from aura_py.tools.contract import Annotations

if TYPE_CHECKING:
    from mcp.client.session import ClientSession
    from mcp_types import Tool as WireTool

log = logging.getLogger(__name__)

_MOST_PAGES = 1000
_WRAP_MARKER = "x-fastmcp-wrap-result"


@dataclass(slots=True, frozen=True)
class ServerTool:
    """A tool as its server describes it, under its public name. ``unwrap``: results come as ``{"result": …}``."""

    native_name: str
    name: str
    description: str
    schema: dict[str, Any]
    annotations: Annotations
    unwrap: bool
    check: SchemaCheck
    output: SchemaCheck | None
    wire: JsonObject = field(repr=False)
    """Title, output schema, annotations and ``_meta`` in MCP's own spelling, for introspection."""


@dataclass(slots=True, frozen=True)
class PreparedTool:
    """A tool with the parameters shown to models. ``renamed``: the server's names of properties that have others."""

    tool: ServerTool
    parameters: JsonObject
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class PreparedTools:
    """The usable tools of one server and their public names, before collisions with other servers."""

    tools: tuple[PreparedTool, ...] = ()
    names: tuple[str, ...] = ()


class ToolList:
    """The tools of one server at one time, with schemas that are prepared once and not for every run."""

    __slots__ = ("_prepared", "_server", "tools")

    def __init__(self, server: str, tools: tuple[ServerTool, ...]) -> None:
        self.tools = tools
        self._server = server
        self._prepared: dict[bool, PreparedTools] = {}

    def prepare(self, *, sanitize: bool) -> PreparedTools:
        """Return the usable tools. One whose schema cannot be repaired is left out with a warning."""
        found = self._prepared.get(sanitize)
        if found is None:
            tools = self._sanitized() if sanitize else tuple(PreparedTool(tool, tool.schema) for tool in self.tools)
            found = self._prepared[sanitize] = PreparedTools(tools, tuple(each.tool.name for each in tools))
        return found

    def _sanitized(self) -> tuple[PreparedTool, ...]:
        prepared: list[PreparedTool] = []
        for tool in self.tools:
            try:
                parameters = sanitize_schema(tool.schema)
                prepared.append(PreparedTool(tool, parameters, rename_properties(parameters)))
            except (UnusableSchema, RecursionError) as error:
                problem = error if isinstance(error, UnusableSchema) else "its input schema never ends"
                log.warning("tool `%s` of MCP server `%s` is left out: %s", tool.native_name, self._server, problem)
        return tuple(prepared)


def describe(prepared: PreparedTool) -> JsonObject:
    """Return the tool as an MCP tool object, with the name and schema that models see."""
    tool = prepared.tool
    described: dict[str, Json] = {"name": tool.name}
    if "title" in tool.wire:
        described["title"] = tool.wire["title"]
    if tool.description:
        described["description"] = tool.description
    described["inputSchema"] = prepared.parameters
    described.update({key: tool.wire[key] for key in ("outputSchema", "annotations", "_meta") if key in tool.wire})
    return described


async def list_tools(server: str, session: ClientSession) -> ToolList:
    """Read every page of ``tools/list``."""
    from mcp_types import PaginatedRequestParams

    wire: dict[str, WireTool] = {}
    cursor: str | None = None
    seen: set[str] = set()
    capabilities = session.server_capabilities
    if capabilities is not None and capabilities.tools is None:
        return ToolList(server, ())
    while True:
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor is not None else None)
        for tool in page.tools:
            if tool.name in wire:
                log.warning("MCP server `%s` lists tool `%s` twice; the first one counts", server, tool.name)
            else:
                wire[tool.name] = tool
        cursor = page.next_cursor
        if cursor is None:
            break
        if cursor in seen or len(seen) >= _MOST_PAGES:
            log.warning("MCP server `%s` never ends its list of tools; the rest of the pages is ignored", server)
            break
        seen.add(cursor)
    tools = tuple(wire.values())
    names = names_of_server([tool.name for tool in tools])
    return ToolList(server, tuple(_prepare(tool, name) for tool, name in zip(tools, names, strict=True)))


def repair_page(server: str, version: str | None, result: dict[str, Any]) -> None:
    """Remove from a page of ``tools/list`` what would make the whole page invalid, so that one tool is lost at most.

    A tool keeps its place if leaving out its optional parts, or naming the root of its input an object, is enough.
    """
    from mcp_types.methods import validate_server_result

    def problem(tools: list[Any]) -> str | None:
        try:
            validate_server_result("tools/list", version or "2025-11-25", {**result, "tools": tools})
        except KeyError:
            return None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            return f"{'.'.join(str(part) for part in first['loc'][2:])}: {first['msg']}"
        return None

    tools = result.get("tools")
    if not isinstance(tools, list) or problem(tools) is None:
        return
    kept: list[Any] = []
    for tool in tools:
        if problem([tool]) is None:
            kept.append(tool)
            continue
        bare = {key: tool[key] for key in ("name", "description", "inputSchema") if key in tool} if _named(tool) else {}
        schema = bare.get("inputSchema")
        if schema is None or schema is True:
            bare["inputSchema"] = {"type": "object"}
        elif isinstance(schema, dict) and not isinstance(schema.get("type"), str):
            bare["inputSchema"] = {**schema, "type": "object"}
        reason = problem([bare])
        if reason is None:
            kept.append(bare)
        else:
            name = tool["name"] if _named(tool) else "?"
            log.warning("tool `%s` of MCP server `%s` is left out: %s", name, server, reason)
    result["tools"] = kept


def _named(tool: object) -> bool:
    return isinstance(tool, dict) and isinstance(tool.get("name"), str)


def _prepare(tool: WireTool, name: str) -> ServerTool:
    hints = tool.annotations
    return ServerTool(
        native_name=tool.name,
        name=name,
        description=tool.description or tool.title or (hints.title if hints and hints.title else "") or "",
        schema=tool.input_schema,
        annotations=Annotations(
            title=tool.title or (hints.title if hints else None),
            read_only=hints.read_only_hint if hints else None,
            destructive=hints.destructive_hint if hints else None,
            idempotent=hints.idempotent_hint if hints else None,
            open_world=hints.open_world_hint if hints else None,
        ),
        unwrap=_is_wrapper(tool.output_schema),
        check=SchemaCheck(tool.name, tool.input_schema, "input"),
        output=SchemaCheck(tool.name, tool.output_schema, "output") if tool.output_schema is not None else None,
        wire=tool.model_dump(
            by_alias=True,
            mode="json",
            exclude_none=True,
            include={"title", "output_schema", "annotations", "meta"},
        ),
    )


def _is_wrapper(schema: Mapping[str, Json] | None) -> bool:
    """Whether results are one value in a ``result`` envelope: FastMCP's marker, or the SDK's generated wrapper."""
    if not schema:
        return False
    if schema.get(_WRAP_MARKER) is True:
        return True
    properties = schema.get("properties")
    title = schema.get("title")
    return (
        isinstance(properties, Mapping)
        and set(properties) == {"result"}
        and schema.get("required") == ["result"]
        and isinstance(title, str)
        and title.endswith("Output")
    )
