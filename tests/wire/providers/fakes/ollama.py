"""Ollama's ``/api/chat`` in newline-delimited JSON, and ``/api/embed``."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.providers.fakes.serving import Fake, Request, run
from tests.wire.providers.scenario import Failure, Step, Stop, Tokens


class Chat:
    content_type = "application/x-ndjson"

    def __init__(self, request: Request) -> None:
        self._model = request.json["model"]
        self._call: tuple[Step, list[str]] | None = None
        self._stop: Stop | None = None

    def begin(self) -> bytes:
        return b""

    def step(self, step: Step) -> bytes:
        if step.call is not None:
            return self._collect(step)
        before = self._flush()
        if step.text is not None:
            return before + self._line({"content": step.text})
        if step.reasoning is not None:
            return before + self._line({"content": "", "thinking": step.reasoning})
        if step.stop is not None:
            self._stop = step.stop
            return before
        if step.usage is not None:
            return before + self._last(step.usage)
        if step.fail is not None:
            return before + json.dumps({"error": step.fail.message, "status_code": step.fail.status}).encode() + b"\n"
        return before + b"\n"

    def end(self) -> bytes:
        return self._flush()

    def _collect(self, step: Step) -> bytes:
        """Ollama sends calls whole."""
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
            # What the server says when the model wrote a call that it cannot read.
            return json.dumps({"error": f"error parsing tool call: raw='{arguments}'"}).encode() + b"\n"
        function = {"index": first.call, "name": first.name, "arguments": json.loads(arguments) if arguments else {}}
        return self._line({"content": "", "tool_calls": [{"function": function}]})

    def _line(self, message: dict[str, Any], **extra: Any) -> bytes:
        line = {
            "model": self._model,
            "created_at": "2026-01-01T00:00:00.000000Z",
            "message": {"role": "assistant", **message},
            "done": False,
            **extra,
        }
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"

    def _last(self, tokens: Tokens) -> bytes:
        reason = "length" if self._stop == "length" else "stop"
        counts = {"prompt_eval_count": tokens.input, "eval_count": tokens.output}
        counts |= dict.fromkeys(("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"), 5)
        return self._line({"content": ""}, done=True, done_reason=reason, **counts)


def _is_json(text: str) -> bool:
    try:
        json.loads(text or "{}")
    except json.JSONDecodeError:
        return False
    return True


def refuse(failure: Failure) -> tuple[str, bytes]:
    return "application/json; charset=utf-8", json.dumps({"error": failure.message}).encode()


def embeddings(request: Request) -> bytes | None:
    """One vector per text: its length and its place."""
    if request.path != "/api/embed":
        return None
    texts = request.json["input"]
    vectors = [[float(len(text)), float(place)] for place, text in enumerate(texts)]
    return json.dumps({"model": request.json["model"], "embeddings": vectors, "prompt_eval_count": 3}).encode()


def model(request: Request) -> str:
    return str(request.json["model"])


if __name__ == "__main__":
    run(Fake(Chat, refuse, model, plain=embeddings))
