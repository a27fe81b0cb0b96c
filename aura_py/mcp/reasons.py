"""Why a server is not there, in the words clients parse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from aura_py.events import Transport

PREFIX = "Connection failed: "
_SHORTEST_SECRET = 6
_READ = 4096
_LONGEST = 300


def timed_out(seconds: float) -> str:
    return f"{PREFIX}the server did not finish connecting within {seconds:g} s (`connect_timeout_secs`)"


def http_status(name: str, transport: Transport, status: int, phrase: str) -> str:
    """``phrase`` is the status in the form ``server returned HTTP 404 Not Found``."""
    if status == 401:
        kind = "SSE" if transport == "sse" else "HTTP"
        return (
            f"{PREFIX}{kind} MCP server '{name}': authentication failed with 401 Unauthorized ({phrase}); "
            "check `headers`, `headers_from_request` and the credentials they carry"
        )
    return f"{PREFIX}{phrase}"


def describe_error(error: BaseException) -> str:
    """The reason for an error without an HTTP status."""
    cause = next(leaves(error), error)
    if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
        return f"{PREFIX}{cause.strerror or type(cause).__name__}"
    if isinstance(cause, ValidationError):
        first = cause.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{PREFIX}the server's answer is not valid ({where}: {first['msg']})"
    return f"{PREFIX}{one_line(str(cause)) or type(cause).__name__}"


def one_line(text: str) -> str:
    """The beginning of ``text`` without line breaks and control characters, for a log or a reason."""
    readable = "".join(character if character.isprintable() else " " for character in text[:_READ])
    return " ".join(readable.split())[:_LONGEST]


def without_secrets(text: str, values: Iterable[str]) -> str:
    """``text`` with ``***`` for every header value, or credential after its scheme, that a server may have echoed."""
    for value in values:
        for secret in (value.strip(), value.strip().rpartition(" ")[2]):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
    return text


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside exception groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error
