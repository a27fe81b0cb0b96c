"""Conversations as content blocks, the form that Anthropic's API and Bedrock's Converse API share."""

from __future__ import annotations

from abc import ABC, abstractmethod

from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body
from aura_py.llm.turns import Turn, call_id, nonblank_parts
from aura_py.messages import Message, Part, Reasoning, ToolCall


class ContentBlocks(ABC):
    """Writes turns as blocks. A dialect gives each kind of block its shape."""

    def __init__(self, errors: ProviderErrors) -> None:
        self.errors = errors

    def turns(self, turns: list[Turn]) -> list[Body]:
        return [{"role": turn.role, "content": self.turn(turn)} for turn in turns]

    def turn(self, turn: Turn) -> list[Body]:
        blocks: list[Body] = []
        for message in turn.messages:
            if message.role == "tool":
                content = [self.part(part) for part in nonblank_parts(message.content)]
                blocks.append(self.result(call_id(message.tool_call_id or ""), content, message))
                continue
            for reasoning in message.reasoning:
                if reasoning.provider == self.errors.provider:
                    blocks += self.reasoning(reasoning)
            blocks += [self.part(part) for part in nonblank_parts(message.content)]
            blocks += [self.call(call_id(call.id), call) for call in message.tool_calls]
        return blocks

    @abstractmethod
    def part(self, part: Part) -> Body:
        """A text, an image or a file. Raises :class:`UnsupportedContent`."""

    @abstractmethod
    def reasoning(self, reasoning: Reasoning) -> list[Body]:
        """Reasoning that this provider made; none where it does not want it back."""

    @abstractmethod
    def call(self, id_: str, call: ToolCall) -> Body: ...

    @abstractmethod
    def result(self, id_: str, content: list[Body], message: Message) -> Body: ...
