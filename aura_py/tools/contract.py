"""Tools as the rest of Aura sees them: :class:`Tool`, its outcome, and the middlewares around a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from aura_py.context import RunContext
from aura_py.events import Event, ToolKind
from aura_py.messages import Json, JsonObject, Part

OutcomeClass = Literal["success", "schema_error", "tool_error", "raised", "cancelled", "denied"]
"""``tool_error``: the tool itself reports failure (``isError``). ``raised``: transport, timeout, our own fault."""


@dataclass(slots=True, frozen=True)
class Annotations:
    """MCP's hints. ``None`` is unsaid; see the MCP specification for the defaults that unsaid hints imply."""

    title: str | None = None
    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None


@dataclass(slots=True, frozen=True)
class ToolOutcome:
    """The outcome of a call.

    ``text`` is what the model reads, on failure too. ``structured`` is the raw structured content, ``attachments``
    are parts that are not text. ``code`` is a JSON-RPC error code. ``meta`` carries facts from middleware to middleware
    (``artifact``: file name of the stored output; ``parked``: the scratchpad's file; ``raw_digest``: hash of the
    untouched text within this process) so that nothing has to be parsed back out of text.
    """

    ok: bool
    text: str
    structured: Json = None
    attachments: tuple[Part, ...] = ()
    outcome: OutcomeClass = "success"
    code: int | None = None
    meta: Mapping[str, Json] = field(default_factory=dict)


def success(text: str, *, structured: Json = None, attachments: tuple[Part, ...] = ()) -> ToolOutcome:
    return ToolOutcome(True, text, structured, attachments)


def failure(text: str, *, outcome: OutcomeClass = "raised", code: int | None = None) -> ToolOutcome:
    return ToolOutcome(False, text, outcome=outcome, code=code)


Emit: TypeAlias = Callable[[Event], None]
"""Hand an event to the run's stream without waiting; the agent's ``TurnSequence`` keeps the order."""


@dataclass(slots=True, frozen=True)
class CallContext:
    """What a tool call knows of the run it belongs to.

    ``turn`` counts model calls from 1 and ``turns_left`` those still allowed after this one. ``started`` is called by
    a tool of kind ``mcp`` at the moment its request is sent, with the progress token. ``intent`` is why the model
    wants the call, when it said so. ``initiator`` is the worker's name (``""`` for a single agent).
    """

    run: RunContext
    call_id: str
    emit: Emit
    started: Callable[[int | str | None], None] = lambda _token: None
    turn: int = 1
    turns_left: int = 0
    agent_id: str = "main"
    initiator: str = ""
    task_id: int | None = None
    attempt: int = 0
    iteration: int = 1
    intent: str | None = None
    model_sees_images: bool = False


class Tool(Protocol):
    """Something a model may call.

    ``source`` names the MCP server (``""`` for built-in tools). ``native_name`` is the name the server knows;
    ``name`` is the public, sanitised one.
    """

    @property
    def name(self) -> str: ...
    @property
    def native_name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> JsonObject: ...
    @property
    def kind(self) -> ToolKind: ...
    @property
    def source(self) -> str: ...
    @property
    def annotations(self) -> Annotations: ...

    async def call(self, arguments: JsonObject, context: CallContext) -> ToolOutcome:
        """Run the tool. May raise: the runner turns every exception into an outcome."""
        ...


@dataclass(slots=True, frozen=True)
class BuiltinTool:
    """A tool made of a coroutine. ``handler`` gets the parsed arguments and answers with an outcome or plain text."""

    name: str
    description: str
    parameters: JsonObject
    handler: Callable[[JsonObject, CallContext], Awaitable[ToolOutcome | str]]
    kind: ToolKind
    source: str = ""
    annotations: Annotations = Annotations(read_only=True)

    @property
    def native_name(self) -> str:
        return self.name

    async def call(self, arguments: JsonObject, context: CallContext) -> ToolOutcome:
        result = await self.handler(arguments, context)
        return success(result) if isinstance(result, str) else result


@dataclass(slots=True, frozen=True)
class Invocation:
    """A call on its way through the middlewares: a tool and its parsed arguments."""

    tool: Tool
    arguments: JsonObject


Next: TypeAlias = Callable[[Invocation, CallContext], Awaitable[ToolOutcome]]


class Middleware(Protocol):
    """A layer around every tool call. It may change the call, answer itself, or change the outcome."""

    async def __call__(self, invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome: ...
