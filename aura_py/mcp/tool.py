"""A tool of an MCP server as the rest of Aura sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aura_py.mcp.arguments import drop_nulls
from aura_py.mcp.discovery import ServerTool
from aura_py.mcp.properties import restore_names
from aura_py.messages import JsonObject
from aura_py.tools.contract import Annotations, CallContext, ToolOutcome, failure

Send = Callable[[ServerTool, str, JsonObject, CallContext], Awaitable[ToolOutcome]]


@dataclass(slots=True, frozen=True)
class McpTool:
    """One tool bound to one run. ``name`` is the public name, ``native_name`` the one its server is called with."""

    name: str
    parameters: JsonObject
    source: str
    origin: ServerTool = field(repr=False)
    send: Send = field(repr=False)
    renamed: Mapping[str, str] = field(default_factory=dict)
    """The server's names of parameters that models know by another one."""

    @property
    def native_name(self) -> str:
        return self.origin.native_name

    @property
    def description(self) -> str:
        return self.origin.description

    @property
    def kind(self) -> Literal["mcp"]:
        return "mcp"

    @property
    def annotations(self) -> Annotations:
        return self.origin.annotations

    async def call(self, arguments: JsonObject, context: CallContext) -> ToolOutcome:
        """Check the arguments against the server's own schema, then call the server."""
        if self.renamed:
            arguments = restore_names(arguments, self.renamed)
        kept = drop_nulls(arguments, self.origin.schema)
        problem = self.origin.check.problem(kept)
        if problem is not None:
            return failure(f"Invalid arguments for tool `{self.name}`: {problem}", outcome="schema_error")
        return await self.send(self.origin, self.name, kept, context)
