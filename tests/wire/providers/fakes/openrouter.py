"""OpenRouter: Chat Completions with ``reasoning_details``."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.providers.fakes.openai import ChatCompletions, model
from tests.wire.providers.fakes.serving import Fake, run
from tests.wire.providers.scenario import Failure, Step


class OpenRouter(ChatCompletions):
    def thought(self, text: str, signature: str | None) -> dict[str, Any]:
        detail: dict[str, Any] = {"type": "reasoning.text", "text": text, "format": "anthropic-claude-v1", "index": 0}
        if signature is not None:
            detail["signature"] = signature
        return {"role": "assistant", "content": "", "reasoning": text, "reasoning_details": [detail]}

    def step(self, step: Step) -> bytes:
        if step.fail is not None:
            choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
            return self._event({**self._envelope(), "error": error(step.fail), "choices": [choice]})
        if step.keepalive:
            return b": OPENROUTER PROCESSING\n\n"
        return super().step(step)


def error(failure: Failure) -> dict[str, Any]:
    return {"code": failure.status, "message": failure.message, "metadata": {"provider_name": "Somebody"}}


def refuse(failure: Failure) -> tuple[str, bytes]:
    return "application/json", json.dumps({"error": error(failure), "user_id": "user_1"}).encode()


if __name__ == "__main__":
    run(Fake(OpenRouter, refuse, model))
