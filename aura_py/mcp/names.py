"""Public names of MCP tools."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

log = logging.getLogger(__name__)

LONGEST = 64
_HASH = 8
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


def sanitize_name(native: str) -> str:
    """The name a model may see: ASCII letters, digits, ``_`` and ``-``, at most 64 of them.

    A name that had to be cut ends in a hash of the native one, so that two long names never become one.
    """
    name = _FOREIGN.sub("_", native).strip("_")
    if not name or name[0].isdigit():
        name = f"tool_{name}"
    return name if len(name) <= LONGEST else with_hash(name, native)


def with_hash(name: str, native: str) -> str:
    """``name`` cut so that ``_`` and eight hex digits of ``native``'s hash fit behind it."""
    digest = hashlib.sha256(native.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    return f"{name[: LONGEST - _HASH - 1]}_{digest}"


def names_of_server(natives: Sequence[str]) -> list[str]:
    """One distinct public name for each distinct native name of one server, in order.

    Of names that sanitise to the same text, one that needed no change keeps it and every other gets its hash, so
    the outcome does not depend on the order in which the server lists them.
    """
    cleaned = [sanitize_name(native) for native in natives]
    shared = Counter(cleaned)
    return [
        name if shared[name] == 1 or name == native else with_hash(name, native)
        for name, native in zip(cleaned, natives, strict=True)
    ]


@lru_cache(maxsize=1024)
def resolve_collisions(
    servers: tuple[tuple[str, tuple[str, ...]], ...], reserved: frozenset[str] = frozenset()
) -> tuple[tuple[str | None, ...], ...]:
    """Final names for the tools of several servers, given as ``(server name, public names)`` in file order.

    A tool with a ``reserved`` name (of a built-in tool) is offered as ``<server>_<tool>``. Of two servers' tools with
    one name the first in file order has it, and ``None`` stands for the other (``WARN-MCP03``, logged once for the
    same set of names).
    """
    owners: dict[str, str | None] = dict.fromkeys(reserved)
    resolved: list[list[str | None]] = []
    prefixed: list[tuple[int, int, str, str]] = []
    for row, (server, names) in enumerate(servers):
        resolved.append(list(names))
        for column, name in enumerate(names):
            winner = owners.setdefault(name, server)
            if winner is None:
                prefixed.append((row, column, server, name))
            elif winner != server:
                resolved[row][column] = None
                log.warning(
                    "WARN-MCP03: tool `%s` of MCP server `%s` is left out, because MCP server `%s` comes first and has "
                    "one of that name; rename one of them or leave out a server",
                    name,
                    server,
                    winner,
                )
    for row, column, server, name in prefixed:
        other = sanitize_name(f"{server}_{name}")
        if other in owners:
            other = with_hash(other, f"{server}\n{name}")
        log.warning(
            "WARN-MCP03: tool `%s` of MCP server `%s` has the name of a built-in tool and is offered as `%s`",
            name,
            server,
            other,
        )
        owners[other] = server
        resolved[row][column] = other
    return tuple(tuple(names) for names in resolved)
