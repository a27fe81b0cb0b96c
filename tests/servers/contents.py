"""A tool for each kind of content, under ``show(kind)``."""

from __future__ import annotations

import base64
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

from tests.servers.serving import serve

server = MCPServer("contents", log_level="WARNING")

PIXEL = base64.b64encode(b"\x89PNG not really").decode()


def blob(data: str, mime: str | None) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=BlobResourceContents(uri="file:///b", blob=data, mime_type=mime))


def kinds() -> dict[str, list[ContentBlock]]:
    long = "é" * 60_000
    return {
        "text": [TextContent(type="text", text="one"), TextContent(type="text", text="two")],
        "nothing": [],
        "image": [ImageContent(type="image", data=PIXEL, mime_type="image/png")],
        "audio": [AudioContent(type="audio", data=PIXEL, mime_type="audio/wav")],
        "link": [ResourceLink(type="resource_link", name="report", uri="file:///r.txt")],
        "resource": [EmbeddedResource(type="resource", resource=TextResourceContents(uri="file:///t", text="inside"))],
        "long": [EmbeddedResource(type="resource", resource=TextResourceContents(uri="file:///t", text=long))],
        "json": [blob(base64.b64encode(b'{"a":1}').decode(), "application/json")],
        "latin": [blob(base64.b64encode(b"\xff\xfe").decode(), "text/plain")],
        "torn": [blob("a", "text/plain")],
        "binary": [blob(base64.b64encode(b"0123456789ab").decode(), "application/pdf")],
        "unknown": [blob(base64.b64encode(b"0").decode(), None)],
    }


@server.tool(structured_output=False)
def show(kind: str) -> Any:
    """Content of one kind."""
    return CallToolResult(content=kinds()[kind])


class Query(BaseModel):
    """Names as OData has them."""

    top: int = Field(alias="$top")
    rule: str = Field("all", alias="$filter")


@server.tool(structured_output=False)
def query(options: Query) -> str:
    """So many of those that fit."""
    return f"{options.top} of {options.rule}"


@server.tool(structured_output=False)
def structured() -> Any:
    """Structured content that says more than the content."""
    return CallToolResult(content=[TextContent(type="text", text="plain")], structured_content={"ü": [1, 2]})


@server.tool(structured_output=False)
def failing(size: int) -> Any:
    """An error of ``size`` bytes."""
    return CallToolResult(content=[TextContent(type="text", text="é" * (size // 2))], is_error=True)


if __name__ == "__main__":
    serve(server)
