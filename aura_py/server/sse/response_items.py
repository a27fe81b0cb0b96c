"""Objects of the Responses API: the response, its items, its error and its usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias
from uuid import uuid4

from aura_py.errors import AuraError, ProviderError
from aura_py.messages import Usage

Item: TypeAlias = dict[str, object]
Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]
McpStatus: TypeAlias = Literal["in_progress", "completed", "incomplete", "failed"]

_ECHOED: Final = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "user",
)
"""Parameters that the response repeats as they were sent, null when they were not."""


def item_id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"


def message(identity: str, text: str, status: Status) -> Item:
    content = [] if status == "in_progress" else [output_text(text)]
    return {"id": identity, "type": "message", "status": status, "role": "assistant", "content": content}


def output_text(text: str) -> Item:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning(identity: str, text: str, status: Status) -> Item:
    summary = [] if status == "in_progress" else [{"type": "summary_text", "text": text}]
    return {"id": identity, "type": "reasoning", "status": status, "summary": summary}


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
    """The result as a list of parts; Open WebUI shows nothing of a plain string and waits on."""
    return {
        "id": identity,
        "type": "function_call_output",
        "status": "completed" if ok else "incomplete",
        "call_id": call_id,
        "output": [{"type": "input_text", "text": output}],
    }


def mcp_call(identity: str, name: str, arguments: str, status: McpStatus, result: str | None = None) -> Item:
    """A tool of a server that the caller's platform called: clients show it and never run it.

    Args:
        result: The output of a completed call, what went wrong of a failed one.
    """
    failure = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": result}]}
    return {
        "id": identity,
        "type": "mcp_call",
        "status": status,
        "approval_request_id": None,
        "server_label": "aura",
        "name": name,
        "arguments": arguments,
        "output": result if status == "completed" else None,
        "error": failure if status == "failed" else None,
    }


def error(failure: AuraError, message: str) -> Item:
    """``code`` is one of those that OpenAI's schema knows; SDKs with strict types refuse any other."""
    overloaded = isinstance(failure, ProviderError) and failure.provider_status == 429
    code = "server_error"
    if overloaded or failure.status == 429:
        code = "rate_limit_exceeded"
    elif failure.status == 400:
        code = "invalid_prompt"
    return {"code": code, "message": message}


def usage(total: Usage) -> Item:
    return {
        "input_tokens": total.input,
        "input_tokens_details": {"cached_tokens": total.cached, "cache_write_tokens": total.cache_write},
        "output_tokens": total.output,
        "output_tokens_details": {"reasoning_tokens": total.reasoning},
        "total_tokens": total.total,
    }


def response(
    identity: str,
    created: int,
    model: str,
    metadata: Mapping[str, str],
    request: Mapping[str, object],
    temperature: float,
) -> Item:
    """A response in progress, with every field that OpenAI's schema requires.

    Args:
        request: The body of the request, whose parameters are repeated.
        temperature: Where the request does not say.
    """

    def number(key: str, default: float) -> object:
        value = request.get(key)
        return default if value is None or isinstance(value, bool) or not isinstance(value, int | float) else value

    def table(key: str, default: Item) -> Item:
        value = request.get(key)
        return {**default, **value} if isinstance(value, dict) else default

    parallel = request.get("parallel_tool_calls")
    return {
        "id": identity,
        "object": "response",
        "created_at": created,
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        **{key: request.get(key) for key in _ECHOED},
        "parallel_tool_calls": parallel if isinstance(parallel, bool) else True,
        "previous_response_id": None,
        "reasoning": table("reasoning", {"effort": None, "summary": None}),
        "store": False,
        "service_tier": "default",
        "temperature": number("temperature", temperature),
        "top_p": number("top_p", 1.0),
        "presence_penalty": number("presence_penalty", 0.0),
        "frequency_penalty": number("frequency_penalty", 0.0),
        "top_logprobs": number("top_logprobs", 0),
        "text": table("text", {"format": {"type": "text"}}),
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": [_tool(tool) for tool in _list(request.get("tools"))],
        "truncation": "disabled",
        "usage": None,
        "metadata": metadata,
    }


def _tool(tool: object) -> object:
    if isinstance(tool, dict) and tool.get("type") == "function":
        return {"description": None, "parameters": None, "strict": None, **tool}
    return tool


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
