"""Bedrock's ``ConverseStream`` in AWS's binary event stream, and ``InvokeModel`` for embeddings."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any
from urllib.parse import unquote

from tests.wire.providers.fakes.serving import Fake, Request, run
from tests.wire.providers.scenario import Failure, Step, Stop, Tokens

_STOPS: dict[Stop, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
}
_EXCEPTIONS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}


class ConverseStream:
    content_type = "application/vnd.amazon.eventstream"

    def __init__(self, request: Request) -> None:
        self._index = -1
        self._open: str | int | None = None

    def begin(self) -> bytes:
        return _event("messageStart", {"role": "assistant"})

    def step(self, step: Step) -> bytes:
        if step.text is not None:
            return self._block("text") + self._delta({"text": step.text})
        if step.reasoning is not None:
            out = self._block("reasoning") + self._delta({"reasoningContent": {"text": step.reasoning}})
            if step.signature is not None:
                out += self._delta({"reasoningContent": {"signature": step.signature}}) + self._close()
            return out
        if step.call is not None:
            out = self._block(step.call)
            if step.id is not None:
                start = {"toolUse": {"toolUseId": step.id, "name": step.name}}
                out += _event("contentBlockStart", {"start": start, "contentBlockIndex": self._index})
            return out + (self._delta({"toolUse": {"input": step.arguments}}) if step.arguments else b"")
        if step.stop is not None:
            return self._close() + _event("messageStop", {"stopReason": _STOPS[step.stop]})
        if step.usage is not None:
            rest = {"metrics": {"latencyMs": 5}, "serviceTier": {"type": "default"}}
            return _event("metadata", {"usage": _usage(step.usage), **rest})
        if step.fail is not None:
            name = _EXCEPTIONS.get(step.fail.status, "InternalServerException")
            return frame(
                {
                    ":exception-type": name[0].lower() + name[1:],
                    ":content-type": "application/json",
                    ":message-type": "exception",
                },
                json.dumps({"message": step.fail.message}).encode(),
            )
        return b""

    def end(self) -> bytes:
        return b""

    def _block(self, key: str | int) -> bytes:
        if self._open == key:
            return b""
        closed = self._close()
        self._open = key
        self._index += 1
        return closed

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _event("contentBlockStop", {"contentBlockIndex": self._index})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("contentBlockDelta", {"delta": delta, "contentBlockIndex": self._index})


def _usage(tokens: Tokens) -> dict[str, int]:
    return {
        "inputTokens": tokens.input - tokens.cached - tokens.cache_write,
        "outputTokens": tokens.output,
        "totalTokens": tokens.input + tokens.output,
        "cacheReadInputTokens": tokens.cached,
        "cacheWriteInputTokens": tokens.cache_write,
    }


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    # The service pads its events so that their sizes tell nothing.
    return frame(headers, json.dumps({**payload, "p": "abcdefghij"}, ensure_ascii=False).encode())


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of the event stream, with both checksums."""
    block = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", len(block) + len(payload) + 16, len(block))
    prelude += struct.pack("!I", zlib.crc32(prelude))
    return prelude + block + payload + struct.pack("!I", zlib.crc32(prelude + block + payload))


def refuse(failure: Failure) -> tuple[str, bytes]:
    return "application/json", json.dumps({"message": failure.message}).encode()


def headers(failure: Failure) -> dict[str, str]:
    if failure.body is not None:
        # A page that the service did not write.
        return {}
    name = _EXCEPTIONS.get(failure.status, "InternalServerException")
    return {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"}


def embeddings(request: Request) -> bytes | None:
    """One vector per text: its length and its place."""
    if not request.path.endswith("/invoke"):
        return None
    if "inputText" in request.json:
        return json.dumps({"embedding": [float(len(request.json["inputText"])), 0.0]}).encode()
    vectors = [[float(len(text)), float(place)] for place, text in enumerate(request.json["texts"])]
    return json.dumps({"embeddings": vectors, "response_type": "embeddings_floats"}).encode()


def model(request: Request) -> str:
    return unquote(request.path.split("/")[2]) if request.path.startswith("/model/") else ""


if __name__ == "__main__":
    run(Fake(ConverseStream, refuse, model, headers=headers, plain=embeddings))
