"""What a request's header says. Everything that identifies a caller or is passed on reads it here.

A header that is sent twice would mean one value to one reader and another to the next, so it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers

from aura_py.config.models import AgentConfig, StdioServer
from aura_py.errors import RequestError


def header_value(headers: Headers, name: str) -> str | None:
    """The value of a header, ``None`` without one.

    Raises:
        RequestError: The header is sent more than once.
    """
    values = headers.getlist(name)
    if len(values) > 1:
        raise RequestError(f"The header `{name}` is sent {len(values)} times; send it once.", param=name)
    return values[0] if values else None


def forwarded_names(config: AgentConfig) -> tuple[str, ...]:
    """Names of the request's headers that the agent's MCP servers get, in lower case, sorted."""
    remote = (server for server in config.mcp.servers.values() if not isinstance(server, StdioServer))
    return tuple(sorted({name.lower() for server in remote for name in server.headers_from_request.values()}))


def forwarded_headers(headers: Headers, names: Iterable[str]) -> dict[str, str]:
    """The headers of these names; values outside printable ASCII cannot be passed on and are left out.

    Raises:
        RequestError: One of them is sent more than once.
    """
    found = ((name, header_value(headers, name)) for name in names)
    return {name: value for name, value in found if value is not None and value.isascii() and value.isprintable()}
