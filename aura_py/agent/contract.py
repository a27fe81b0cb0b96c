"""What can be run: :class:`Runnable`. An agent and an orchestration are its two implementations."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from aura_py.context import RunContext
from aura_py.events import Event
from aura_py.llm.contract import Sampling, ToolChoice
from aura_py.messages import JsonObject, Message


@dataclass(slots=True, frozen=True)
class ClientTool:
    """A tool that the caller runs itself."""

    name: str
    description: str
    parameters: JsonObject
    strict: bool = False


@dataclass(slots=True, frozen=True)
class Turn:
    """What the caller asks.

    ``messages`` is the conversation in its original order, without the agent's own system prompt; it ends with the
    user's message or, when the caller answers tool calls, with tool results. ``side`` marks a chat UI's side request
    (title, tags): one model call without tools and without the agent's prompt. ``allowed_tools`` are the only ones
    that the caller wants to be called: of its own, and of the agent's where the file lets it choose.
    """

    messages: tuple[Message, ...]
    client_tools: tuple[ClientTool, ...] = ()
    tool_choice: ToolChoice = "auto"
    allowed_tools: frozenset[str] | None = None
    parallel_tool_calls: bool | None = None
    sampling: Sampling = Sampling()
    side: bool = False

    @property
    def query(self) -> str:
        """The text of the most recent user message."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")


@dataclass(slots=True, frozen=True)
class Description:
    """What a client may know before it asks. ``model`` is the bare model name; ``images``: it can see them."""

    id: str
    provider: str
    model: str
    context_window: int | None
    orchestrated: bool
    images: bool = False


class Runnable(Protocol):
    """An agent or an orchestration. Safe for concurrent runs."""

    def describe(self) -> Description: ...

    def run(self, turn: Turn, context: RunContext) -> AsyncGenerator[list[Event], None]:
        """Runs one turn and yields everything that happened together.

        Ends with :class:`~aura_py.events.RunFinished`. Failures are raised as :class:`~aura_py.errors.AuraError`;
        ``run.engine`` turns them into :class:`~aura_py.events.RunFailed`. Closing the iterator or cancelling the task
        stops everything the run has started.
        """
        ...
