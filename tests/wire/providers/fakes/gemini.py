"""Gemini's ``streamGenerateContent`` over SSE, and its embeddings."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from tests.wire.providers.fakes.serving import Fake, Request, run
from tests.wire.providers.scenario import Failure, Step, Stop, Tokens

_STOPS: dict[Stop, str] = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
_STATES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class GenerateContent:
    content_type = "text/event-stream"

    def __init__(self, request: Request) -> None:
        self._model = model(request)
        self._call: tuple[Step, list[str]] | None = None
        self._signature: str | None = None

    def begin(self) -> bytes:
        return b""

    def step(self, step: Step) -> bytes:
        if step.call is not None:
            return self._collect(step)
        before = self._flush()
        if step.text is not None:
            return before + self._part({"text": step.text})
        if step.reasoning is not None:
            part: dict[str, Any] = {"text": step.reasoning, "thought": True}
            if step.signature is not None:
                # The signature comes with the part that follows the thoughts.
                self._signature = step.signature
            return before + self._part(part, signed=False)
        if step.stop is not None:
            content = {"role": "model", "parts": [self._signed({"text": ""})]}
            return before + self._chunk({"content": content, "finishReason": _STOPS[step.stop], "index": 0})
        if step.usage is not None:
            return before + self._event({"usageMetadata": _usage(step.usage), "modelVersion": self._model})
        if step.fail is not None:
            return before + self._event({"error": error(step.fail)})
        return before + b": ping\n\n"

    def end(self) -> bytes:
        return self._flush()

    def _collect(self, step: Step) -> bytes:
        """Gemini sends calls whole."""
        before = b""
        if self._call is None or self._call[0].call != step.call:
            before = self._flush()
            self._call = (step, [])
        self._call[1].append(step.arguments)
        return before

    def _flush(self) -> bytes:
        if self._call is None:
            return b""
        (first, pieces), self._call = self._call, None
        arguments = "".join(pieces)
        if not _is_json(arguments):
            # What the service says when the model wrote a call that it cannot read.
            return self._chunk({"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": arguments, "index": 0})
        return self._part({"functionCall": {"name": first.name, "args": json.loads(arguments) if arguments else {}}})

    def _signed(self, part: dict[str, Any]) -> dict[str, Any]:
        if self._signature is None:
            return part
        signature, self._signature = self._signature, None
        return {**part, "thoughtSignature": signature}

    def _part(self, part: dict[str, Any], *, signed: bool = True) -> bytes:
        content = {"role": "model", "parts": [self._signed(part) if signed else part]}
        return self._chunk({"content": content, "index": 0})

    def _chunk(self, candidate: dict[str, Any]) -> bytes:
        ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}]
        rated = {**candidate, "safetyRatings": ratings}
        return self._event({"candidates": [rated], "modelVersion": self._model, "responseId": "r1"})

    @staticmethod
    def _event(payload: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\r\n\r\n"


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "promptTokenCount": tokens.input,
        "candidatesTokenCount": tokens.output - tokens.reasoning,
        "thoughtsTokenCount": tokens.reasoning,
        "cachedContentTokenCount": tokens.cached,
        "totalTokenCount": tokens.input + tokens.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.input}],
    }


def error(failure: Failure) -> dict[str, Any]:
    state = _STATES.get(failure.status, "INTERNAL")
    return {"code": failure.status, "message": failure.message, "status": state}


def _is_json(text: str) -> bool:
    try:
        json.loads(text or "{}")
    except json.JSONDecodeError:
        return False
    return True


def refuse(failure: Failure) -> tuple[str, bytes]:
    return "application/json; charset=UTF-8", json.dumps({"error": error(failure)}).encode()


def embeddings(request: Request) -> bytes | None:
    """One vector per text: its length and its place."""
    if not request.path.partition("?")[0].endswith(":batchEmbedContents"):
        return None
    texts = [entry["content"]["parts"][0]["text"] for entry in request.json["requests"]]
    vectors = [{"values": [float(len(text)), float(place)]} for place, text in enumerate(texts)]
    return json.dumps({"embeddings": vectors}).encode()


def model(request: Request) -> str:
    return unquote(request.path.rpartition("/")[2].partition(":")[0])


if __name__ == "__main__":
    run(Fake(GenerateContent, refuse, model, plain=embeddings))
