"""Turning the result of a tool into what the model reads."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from aura_py.messages import ImagePart, Json, Part
from aura_py.tools.contract import OutcomeClass, ToolOutcome, failure

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock, EmbeddedResource

log = logging.getLogger(__name__)

RESOURCE_LIMIT = 100_000
IMAGE_LIMIT = 3_750_000
"""Bytes of an image above which some provider refuses the whole request."""

ERROR_LIMIT = 8_192
CANCELLED = "Request cancelled"

_VISIBLE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_SCHEMA_CODES = frozenset({-32602, -32600, -32700})
_TEXT_LIKE = frozenset({"application/json", "application/xml", "application/yaml"})


def shape_result(server: str, tool: str, result: CallToolResult, *, unwrap: bool, images: bool) -> ToolOutcome:
    """The outcome of an answered call.

    Structured content wins over content, unless it is an object that only wraps the same text; ``unwrap`` takes
    FastMCP's ``{"result": …}`` envelope off. Images travel as attachments too when ``images`` says that the model can
    see them.
    """
    text, structured, attachments = _content(result, unwrap=unwrap, images=images)
    if result.is_error:
        if len(text.encode("utf-8", "replace")) > ERROR_LIMIT:
            log.warning("tool `%s` of MCP server `%s` returned an error of %d characters", tool, server, len(text))
            log.debug("the error of tool `%s` of MCP server `%s` in full: %s", tool, server, text)
        return failure(f"Tool returned an error: {bound_error(text)}", outcome="tool_error")
    return ToolOutcome(True, text, structured, attachments)


def repair_result(version: str | None, result: dict[str, Any]) -> None:
    """Repair a malformed result of ``tools/call``, so that a call that was made does not look as if it had failed."""
    content = result.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    blocks = content if isinstance(content, list) else [] if content is None else [content]
    result["content"] = [_repaired(block) for block in blocks]
    if not isinstance(result.get("isError", False), bool):
        result["isError"] = str(result["isError"]).lower() == "true"
    if not isinstance(result.get("_meta", {}), Mapping):
        del result["_meta"]
    if version in MODERN_PROTOCOL_VERSIONS:
        result.setdefault("resultType", "complete")
    elif not isinstance(result.get("structuredContent", {}), Mapping):
        structured = result.pop("structuredContent")
        if not blocks and structured is not None:
            result["content"] = [{"type": "text", "text": _pretty(structured)}]


def _repaired(block: Any) -> dict[str, Any]:
    """The parts of a content item that are read, if they are there."""
    match block:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image" | "audio" as kind, "data": str(data)}:
            mime = block.get("mimeType")
            return {"type": kind, "data": data, "mimeType": mime if isinstance(mime, str) else "unknown"}
        case {"type": "resource", "resource": {"text": str()} | {"blob": str()} as resource}:
            kept = {
                key: resource[key] for key in ("uri", "mimeType", "text", "blob") if isinstance(resource.get(key), str)
            }
            return {"type": "resource", "resource": {"uri": "unknown:", **kept}}
        case {"type": "resource_link", "uri": str(uri)}:
            name = block.get("name")
            return {"type": "resource_link", "uri": uri, "name": name if isinstance(name, str) else uri}
    return {"type": "text", "text": "[Unsupported content type]"}


def rpc_failure(message: str, code: int) -> ToolOutcome:
    """The outcome of a call that the server answered with a JSON-RPC error."""
    outcome: OutcomeClass = "schema_error" if code in _SCHEMA_CODES else "raised"
    return failure(f"Tool execution failed: {bound_error(message)} (code {code})", outcome=outcome, code=code)


def transport_failure(message: str) -> ToolOutcome:
    """The outcome of a call that got no answer."""
    return failure(f"Tool execution failed: {bound_error(message)}", outcome="raised")


def cancelled() -> ToolOutcome:
    return failure(CANCELLED, outcome="cancelled")


def bound_error(text: str) -> str:
    """``text`` unless it is longer than 8,192 bytes: then its first 75 % and last 25 % around a marker."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= ERROR_LIMIT:
        return text
    head = cut(raw, ERROR_LIMIT * 3 // 4)
    tail = _cut_front(raw, ERROR_LIMIT // 4)
    omitted = len(raw) - len(head.encode()) - len(tail.encode())
    return f"{head}\n\n[tool error truncated: {omitted} of {len(raw)} bytes omitted]\n\n{tail}"


def cut(raw: bytes, limit: int) -> str:
    """The first ``limit`` bytes, moved back to a character boundary."""
    return raw[:limit].decode("utf-8", "ignore")


def _cut_front(raw: bytes, limit: int) -> str:
    return raw[len(raw) - limit :].decode("utf-8", "ignore")


def _content(result: CallToolResult, *, unwrap: bool, images: bool) -> tuple[str, Json, tuple[Part, ...]]:
    attachments = _images(result.content) if images else ()
    text = "\n".join(_block(block) for block in result.content)
    structured = result.structured_content
    if structured is None or "structured_content" not in result.model_fields_set:
        return text, None, attachments
    value = structured
    if isinstance(value, Mapping) and len(value) == 1:
        (key, inner), *_ = value.items()
        if (unwrap and key == "result") or (isinstance(inner, str) and inner.strip() == text.strip()):
            value = inner
    return value if isinstance(value, str) else _pretty(value), structured, attachments


def _pretty(value: Json) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError:
        import json

        return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _images(content: Sequence[ContentBlock]) -> tuple[Part, ...]:
    """Images as providers take them; one that they would refuse costs the model the sight of it, not the run."""
    return tuple(
        ImagePart(f"data:{block.mime_type};base64,{block.data}")
        for block in content
        if block.type == "image" and block.mime_type in _VISIBLE and _is_base64(block.data)
    )


def _is_base64(data: str) -> bool:
    if not data or len(data) > IMAGE_LIMIT // 3 * 4:
        return False
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _block(block: ContentBlock) -> str:
    match block.type:
        case "text":
            return block.text
        case "image":
            return f"[Image: {block.mime_type} ({len(block.data)})]"
        case "audio":
            return f"[Audio: {block.mime_type} ({len(block.data)})]"
        case "resource":
            return _resource(block)
        case "resource_link":
            return f"[Resource link: {block.name} ({block.uri})]"
        case _:
            return "[Unsupported content type]"


def _resource(block: EmbeddedResource) -> str:
    resource = block.resource
    text = getattr(resource, "text", None)
    if isinstance(text, str):
        return _bounded_resource(text)
    blob: str = getattr(resource, "blob", "")
    mime = (resource.mime_type or "").partition(";")[0].strip().lower()
    if not (mime.startswith("text/") or mime in _TEXT_LIKE):
        size = len(blob) * 3 // 4 - blob[-2:].count("=")
        return f"[Binary resource: {resource.uri} (mime: {resource.mime_type or 'unknown'})] ({size} bytes)"
    try:
        return _bounded_resource(base64.b64decode(blob, validate=True).decode())
    except binascii.Error:
        return f"[Binary resource: {resource.uri} (invalid base64)]"
    except UnicodeDecodeError:
        return f"[Binary resource: {resource.uri} (not valid UTF-8)]"


def _bounded_resource(text: str) -> str:
    if len(text) * 4 <= RESOURCE_LIMIT:
        return text
    raw = text.encode("utf-8", "replace")
    if len(raw) <= RESOURCE_LIMIT:
        return text
    return f"{cut(raw, RESOURCE_LIMIT)}\n\n[Resource truncated: showing {RESOURCE_LIMIT} of {len(raw)} bytes]"
