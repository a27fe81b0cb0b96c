"""Answers to side requests: a run's events without thinking, its text cleaned."""

from __future__ import annotations

from dataclasses import replace

from starlette.datastructures import Headers

from aura_py.agent.contract import Turn
from aura_py.errors import Forbidden
from aura_py.events import Event, ReasoningDelta, RunFinished, TextDelta
from aura_py.llm.contract import Sampling
from aura_py.messages import JsonObject, Message, system
from aura_py.run.catalog import ServedAgent
from aura_py.server.side_requests import MAX_TOKENS, cleaned, is_synthesis, wants_json
from aura_py.server.vision import replace_unsupported_images


def side_answer(
    headers: Headers, served: ServedAgent, messages: tuple[Message, ...], response_format: JsonObject | None
) -> SideAnswer | None:
    """How to answer a side request; ``None`` when the agent is to answer it as any other.

    Raises:
        Forbidden: The agent refuses side requests.
    """
    policy = served.config.agent.side_requests
    if policy == "refuse":
        raise Forbidden(f"The agent `{served.id}` does not answer side requests such as titles and tags.")
    if policy == "agent":
        return None
    question = messages[-1].text if messages else ""
    if is_synthesis(question, headers):
        return SideAnswer(json=False, cap=None)
    return SideAnswer(json=wants_json(question, response_format, headers))


def side_turn(
    served: ServedAgent,
    messages: tuple[Message, ...],
    response_format: JsonObject | None,
    *,
    instructions: str,
    cap: int | None,
) -> Turn:
    """One call of the agent's model, under the chat UI's instructions, without tools and with a cap of its own."""
    configured = served.config.agent.llm.max_tokens
    if cap is not None and configured is not None:
        cap = min(cap, configured)
    if instructions:
        messages = (system(instructions), *messages)
    wanted = response_format or {}
    # Not every provider can be held to JSON without a schema; the answer is cut to its JSON either way.
    schema = wanted if wanted.get("type") == "json_schema" else None
    sampling = Sampling(max_tokens=cap, response_format=schema)
    return Turn(replace_unsupported_images(messages, served), sampling=sampling, side=True)


class SideAnswer:
    """Rewrites batches. ``json``: the chat UI looks for a JSON object.

    Without a ``cap`` on its tokens an answer is for the user and stays as it is, but for the reasoning.
    """

    def __init__(self, *, json: bool, cap: int | None = MAX_TOKENS) -> None:
        self.cap = cap
        self._json = json
        self._text: list[str] = []

    def rewrite(self, batch: list[Event]) -> list[Event]:
        if self.cap is None:
            shown = (event for event in batch if not isinstance(event, ReasoningDelta))
            return [replace(event, reasoning="") if isinstance(event, RunFinished) else event for event in shown]
        kept: list[Event] = []
        for event in batch:
            if isinstance(event, TextDelta):
                self._text.append(event.text)
            elif isinstance(event, RunFinished):
                answer = cleaned(event.answer or "".join(self._text), json=self._json)
                if answer:
                    kept.append(TextDelta(answer))
                kept.append(replace(event, answer=answer, reasoning=""))
            elif not isinstance(event, ReasoningDelta):
                kept.append(event)
        return kept
