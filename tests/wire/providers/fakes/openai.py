"""OpenAI's Chat Completions over SSE, with what Azure and OpenAI send beside the answer."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.providers.fakes.serving import Fake, Request, run
from tests.wire.providers.scenario import Failure, Step, Tokens

_SAFE = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "safe"}}


class ChatCompletions:
    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, request: Request) -> None:
        self._model = request.json["model"]
        self._named: set[int] = set()

    def begin(self) -> bytes:
        filtered = {"prompt_index": 0, "content_filter_results": _SAFE}
        azure = {**self._envelope(), "id": "", "created": 0, "choices": [], "prompt_filter_results": [filtered]}
        return self._event(azure) + self._chunk({"role": "assistant", "content": "", "refusal": None})

    def step(self, step: Step) -> bytes:
        if step.text is not None:
            return self._chunk({"content": step.text})
        if step.reasoning is not None:
            return self._chunk(self.thought(step.reasoning, step.signature))
        if step.call is not None:
            return self._chunk({"tool_calls": [self._fragment(step, step.call)]})
        if step.usage is not None:
            return self._event({**self._envelope(), "choices": [], "usage": usage(step.usage)})
        if step.stop is not None:
            return self._chunk({}, finish=step.stop)
        if step.fail is not None:
            return self._event({"error": error(step.fail)})
        return b": keep-alive\n\n"

    def end(self) -> bytes:
        return b"data: [DONE]\n\n"

    def thought(self, text: str, signature: str | None) -> dict[str, Any]:
        return {"reasoning_content": text}

    def _fragment(self, step: Step, index: int) -> dict[str, Any]:
        fragment: dict[str, Any] = {"index": index, "function": {"arguments": step.arguments}}
        if index not in self._named:
            self._named.add(index)
            fragment |= {"id": step.id, "type": "function"}
            fragment["function"] = {"name": step.name, "arguments": step.arguments}
        return fragment

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        choice["content_filter_results"] = _SAFE if delta else {}
        return self._event({**self._envelope(), "choices": [choice], "usage": None, "obfuscation": "kX3"})

    def _envelope(self) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": self._model,
            "service_tier": "default",
            "system_fingerprint": "fp_1",
        }

    @staticmethod
    def _event(payload: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": tokens.cache_write},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def error(failure: Failure) -> dict[str, Any]:
    return {"message": failure.message, "type": "error", "param": None, "code": failure.code or failure.status}


def refuse(failure: Failure) -> tuple[str, bytes]:
    return "application/json", json.dumps({"error": error(failure)}).encode()


def embeddings(request: Request) -> bytes | None:
    """One vector per text: its length and its place."""
    if not request.path.endswith("/embeddings"):
        return None
    texts = request.json["input"]
    data = [
        {"object": "embedding", "index": place, "embedding": [float(len(text)), float(place)]}
        for place, text in enumerate(texts)
    ]
    counts = {"prompt_tokens": sum(map(len, texts)), "total_tokens": sum(map(len, texts))}
    return json.dumps({"object": "list", "data": data, "model": request.json["model"], "usage": counts}).encode()


def model(request: Request) -> str:
    return str(request.json["model"])


if __name__ == "__main__":
    run(Fake(ChatCompletions, refuse, model, plain=embeddings))
