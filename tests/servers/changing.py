"""A server whose list of tools grows when ``grow`` is called."""

from __future__ import annotations

from mcp.server.mcpserver import Context, MCPServer

from tests.servers.serving import serve

server = MCPServer("changing", log_level="WARNING")


@server.tool()
async def grow(context: Context, name: str) -> str:
    """Adds a tool called ``name`` and says so."""

    def added() -> str:
        """A tool that was not there before."""
        return name

    server.add_tool(added, name=name)
    await context.notify_tools_changed()
    return f"added {name}"


if __name__ == "__main__":
    serve(server)
