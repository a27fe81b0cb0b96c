"""Headers for MCP servers: static ones, and those forwarded from the request."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from aura_py.config.models import HttpServer, SseServer

log = logging.getLogger(__name__)

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_SCHEMES = frozenset({"bearer", "token", "basic", "digest", "apikey", "api-key", "negotiate"})
_OWN = frozenset({"content-length", "transfer-encoding", "connection", "mcp-session-id", "mcp-protocol-version"})

_warned: set[tuple[str, str, str]] = set()
_WARNED_LIMIT = 1000


def resolve_headers(name: str, server: HttpServer | SseServer, inbound: Mapping[str, str]) -> dict[str, str]:
    """The headers of every exchange with ``server`` on behalf of one request, names in lower case.

    A mapped header replaces the static one of the same name; when the request lacks it the static one stays. Values
    pass unchanged. What is not legal HTTP, and a value that is only an authorization scheme, is left out with a
    warning that never shows the value.
    """
    resolved: dict[str, str] = {}
    for header, secret in server.headers.items():
        if _sendable(name, header, value := secret.get_secret_value()):
            resolved[header.lower()] = value
    if server.headers_from_request:
        for target, source in server.headers_from_request.items():
            forwarded = inbound.get(source.lower())
            if forwarded is not None and _sendable(name, target, forwarded):
                resolved[target.lower()] = forwarded
    return resolved


def _sendable(server: str, header: str, value: str) -> bool:
    if not _NAME.fullmatch(header):
        problem = "its name is not a legal HTTP header name"
    elif not _VALUE.fullmatch(value):
        problem = "its value is not legal in HTTP"
    elif header.lower() in _OWN:
        problem = "the transport sets it itself"
    elif value.strip().lower() in _SCHEMES:
        problem = "its value is an authorization scheme without a credential"
    else:
        return True
    if (server, header, problem) not in _warned:
        if len(_warned) >= _WARNED_LIMIT:
            _warned.clear()
        _warned.add((server, header, problem))
        log.warning("header `%s` for MCP server `%s` is not sent: %s", header, server, problem)
    return False
