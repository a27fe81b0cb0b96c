"""What a request's headers say: everything that identifies a caller, a conversation or is passed on is read here.

A header that is sent twice would mean one value to one reader and another to the next, so it is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

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


_VALID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_HEADERS: Final = ("x-chat-session-id", "x-openwebui-chat-id")


def session_id(metadata: str | None, headers: Headers, further: Sequence[str] = ()) -> str | None:
    """The id the caller gave, made safe for a header; ``None`` when it gave none.

    ``metadata`` is ``metadata.chat_session_id`` of the body; it wins over ``X-Chat-Session-Id``, which wins over
    ``X-OpenWebUI-Chat-Id``, which wins over ``further`` headers (``AURA_SESSION_HEADERS``). An id with other
    characters is replaced by a digest of itself, so that the same id is always the same session.

    Raises:
        RequestError: One of these headers is sent more than once.
    """
    given = metadata or next((v for name in (*_HEADERS, *further) if (v := header_value(headers, name))), None)
    if not given:
        return None
    if _VALID.fullmatch(given):
        return given
    return f"cs_{hashlib.sha256(given.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
