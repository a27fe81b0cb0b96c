"""Objects of the Responses API: the response, its items and its usage (``clients.md`` RP-2…RP-5)."""

from __future__ import annotations

from typing import TypeAlias
from uuid import uuid4

from aura_py.messages import Usage

Item: TypeAlias = dict[str, object]


def item_id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"


def message(identity: str, text: str | None) -> Item:
    """An assistant message; ``None`` is one that has just begun."""
    content = [] if text is None else [output_text(text)]
    status = "in_progress" if text is None else "completed"
    return {"id": identity, "type": "message", "status": status, "role": "assistant", "content": content}


def output_text(text: str) -> Item:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning(identity: str, text: str | None) -> Item:
    summary = [] if text is None else [{"type": "summary_text", "text": text}]
    return {"id": identity, "type": "reasoning", "summary": summary}


def function_call(identity: str, call_id: str, name: str, arguments: str, *, done: bool) -> Item:
    return {
        "id": identity,
        "type": "function_call",
        "status": "completed" if done else "in_progress",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def function_call_output(identity: str, call_id: str, output: str, *, ok: bool) -> Item:
    status = "completed" if ok else "incomplete"
    return {"id": identity, "type": "function_call_output", "status": status, "call_id": call_id, "output": output}


def mcp_call(identity: str, name: str, arguments: str, output: str, *, ok: bool) -> Item:
    """A tool of a server that the caller's platform called: clients show it and never run it."""
    return {
        "id": identity,
        "type": "mcp_call",
        "status": "completed" if ok else "failed",
        "approval_request_id": None,
        "server_label": "aura",
        "name": name,
        "arguments": arguments,
        "output": output if ok else None,
        "error": None if ok else output,
    }


def usage(total: Usage) -> Item:
    return {
        "input_tokens": total.input,
        "input_tokens_details": {"cached_tokens": total.cached, "cache_write_tokens": total.cache_write},
        "output_tokens": total.output,
        "output_tokens_details": {"reasoning_tokens": total.reasoning},
        "total_tokens": total.total,
    }


def response(identity: str, created: int, model: str, metadata: dict[str, str]) -> Item:
    """A response in progress, with every field that SDKs require."""
    return {
        "id": identity,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": metadata,
    }
