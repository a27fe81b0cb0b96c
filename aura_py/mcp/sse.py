"""The HTTP+SSE transport of protocol revisions before 2025."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urljoin

import anyio
import httpx2
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, JSONRPCMessage, JSONRPCRequest, jsonrpc_message_adapter
from pydantic import ValidationError

from aura_py.mcp.answers import MAX_EVENT, REJECTED
from aura_py.mcp.dispatcher import MessageStreams
from aura_py.mcp.http import McpHttpClient

log = logging.getLogger(__name__)


class SseError(Exception):
    """The server does not speak the transport; the message holds no URL."""


@asynccontextmanager
async def open_sse(name: str, url: str, client: McpHttpClient) -> AsyncIterator[MessageStreams]:
    """Message streams over one event stream and POSTs to the endpoint that it names, on the same origin."""
    async with (
        client,
        client.stream("GET", url, headers={"Accept": "text/event-stream", "Cache-Control": "no-store"}) as response,
    ):
        _check(response)
        to_session, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        from_session, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        async with incoming, to_session, from_session, outgoing, anyio.create_task_group() as tasks:
            endpoint = await tasks.start(_read, name, url, response, to_session)
            tasks.start_soon(_write, endpoint, client, outgoing, to_session)
            yield incoming, from_session
            tasks.cancel_scope.cancel()


def _check(response: httpx2.Response) -> None:
    if not response.is_success:
        raise SseError(f"server returned HTTP {response.status_code} {response.reason_phrase}".rstrip())
    kind = response.headers.get("content-type")
    if kind is None:
        raise SseError("the server sent no content type instead of `text/event-stream`")
    if not kind.strip().lower().startswith("text/event-stream"):
        raise SseError(f"the server sent `{kind[:100]}` instead of `text/event-stream`")


def _endpoint(url: str, data: str) -> str:
    """The POST target by RFC 3986; it must share the origin of ``url``, because it gets the same credentials."""
    target = urljoin(url, data)
    base, other = httpx2.URL(url), httpx2.URL(target)
    if (base.scheme, base.host, base.port) != (other.scheme, other.host, other.port):
        raise SseError("the server names an endpoint on another origin, which must not get this server's headers")
    if other.userinfo and other.userinfo != base.userinfo:
        raise SseError("the server names an endpoint with credentials of its own")
    return target


async def _read(
    name: str,
    url: str,
    response: httpx2.Response,
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
    *,
    task_status: TaskStatus[str],
) -> None:
    known = False
    async with to_session:
        try:
            async for event in httpx2.EventSource(response, max_event_size=MAX_EVENT):
                if event.event == "endpoint" and not known:
                    known = True
                    task_status.started(_endpoint(url, event.data))
                elif event.event == "message" and event.data:
                    try:
                        message = jsonrpc_message_adapter.validate_json(event.data, by_name=False)
                    except ValidationError:
                        log.warning("MCP server `%s` sent a message that is not JSON-RPC; it is skipped", name)
                        continue
                    await to_session.send(SessionMessage(message))
        except (httpx2.HTTPError, httpx2.SSEError, httpx2.StreamError) as error:
            if not known:
                raise
            log.debug("the event stream of MCP server `%s` broke: %s", name, type(error).__name__)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return
    if not known:
        raise SseError("the server's event stream ended before it named an endpoint")


async def _write(
    endpoint: str,
    client: McpHttpClient,
    outgoing: MemoryObjectReceiveStream[SessionMessage],
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    """Requests do not wait for one another: some servers take one only when they have answered it."""
    async with anyio.create_task_group() as posts:
        async for item in outgoing:
            if isinstance(item.message, JSONRPCRequest):
                posts.start_soon(_post_request, endpoint, client, item.message, to_session)
            else:
                await _post(endpoint, client, item.message)


async def _post_request(
    endpoint: str,
    client: McpHttpClient,
    message: JSONRPCRequest,
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    if await _post(endpoint, client, message):
        return
    error = ErrorData(code=INTERNAL_ERROR, message=REJECTED)
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await to_session.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=message.id, error=error)))


async def _post(endpoint: str, client: McpHttpClient, message: JSONRPCMessage) -> bool:
    """Whether the server has taken the message."""
    try:
        response = await client.post(endpoint, json=message.model_dump(by_alias=True, mode="json", exclude_unset=True))
    except httpx2.HTTPError as error:
        log.debug("the acknowledgement of a message broke off: %s", type(error).__name__)
        return True
    return response.is_success
