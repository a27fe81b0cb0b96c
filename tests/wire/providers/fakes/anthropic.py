"""Anthropic's Messages API over SSE."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.providers.fakes.serving import Fake, Request, run
from tests.wire.providers.scenario import Failure, Step, Stop, Tokens

_STOPS: dict[Stop, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class Messages:
    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, request: Request) -> None:
        self._model = request.json["model"]
        self._index = -1
        self._open: str | int | None = None
        self._stop: Stop | None = None

    def begin(self) -> bytes:
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "container": None,
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": {
                "input_tokens": 1,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 1,
                "service_tier": "standard",
            },
        }
        return _event("message_start", {"message": message}) + _event("ping", {})

    def step(self, step: Step) -> bytes:
        if step.text is not None:
            opened = self._block("text", {"type": "text", "text": ""})
            return opened + self._delta({"type": "text_delta", "text": step.text})
        if step.reasoning is not None:
            opened = self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            opened += self._delta({"type": "thinking_delta", "thinking": step.reasoning})
            if step.signature is not None:
                opened += self._delta({"type": "signature_delta", "signature": step.signature}) + self._close()
            return opened
        if step.call is not None:
            opened = self._block(step.call, {"type": "tool_use", "id": step.id, "name": step.name, "input": {}})
            return opened + self._delta({"type": "input_json_delta", "partial_json": step.arguments})
        if step.stop is not None:
            self._stop = step.stop
            return self._close()
        if step.usage is not None:
            return self._finish(step.usage)
        if step.fail is not None:
            return _event("error", {"error": error(step.fail)})
        return _event("ping", {})

    def end(self) -> bytes:
        return _event("message_stop", {}) if self._stop else b""

    def _block(self, key: str | int, block: dict[str, Any]) -> bytes:
        if self._open == key:
            return b""
        closed = self._close()
        self._open = key
        self._index += 1
        return closed + _event("content_block_start", {"index": self._index, "content_block": block})

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _event("content_block_stop", {"index": self._index})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})

    def _finish(self, tokens: Tokens) -> bytes:
        assert self._stop is not None
        usage = {
            "input_tokens": tokens.input - tokens.cached - tokens.cache_write,
            "cache_read_input_tokens": tokens.cached,
            "cache_creation_input_tokens": tokens.cache_write,
            "output_tokens": tokens.output,
            "output_tokens_details": {"thinking_tokens": tokens.reasoning},
            "server_tool_use": None,
        }
        delta = {"stop_reason": _STOPS[self._stop], "stop_sequence": None, "stop_details": None, "container": None}
        return _event("message_delta", {"delta": delta, "usage": usage})


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    data = json.dumps({"type": kind, **payload}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def error(failure: Failure) -> dict[str, Any]:
    return {"type": _TYPES.get(failure.status, "api_error"), "message": failure.message}


def refuse(failure: Failure) -> tuple[str, bytes]:
    body = {"type": "error", "error": error(failure), "request_id": "req_1"}
    return "application/json", json.dumps(body).encode()


def model(request: Request) -> str:
    return str(request.json["model"])


if __name__ == "__main__":
    run(Fake(Messages, refuse, model))
