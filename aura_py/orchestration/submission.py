"""``submit_result``: how a worker delivers, and what it means for the other calls of a turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import anyio
import orjson

from aura_py.messages import JsonObject, ToolCall
from aura_py.orchestration.plan import Confidence, read_confidence
from aura_py.orchestration.text import object_in_text
from aura_py.tools.contract import BuiltinTool, CallContext, Invocation, Next, ToolOutcome, failure, success
from aura_py.tools.runner import ToolRunner, parse_arguments

SUBMIT = "submit_result"
_SUMMARY_LENGTH = 200

SUBMIT_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "summary": {
            "type": "string",
            "description": "One to three sentences; shown to the coordinator and kept in the session history.",
        },
        "result": {
            "type": "string",
            "description": "The complete findings, with every value, name and unit. Others see only this.",
        },
        "confidence": {
            "type": "string",
            "enum": ["high", "medium", "low"],
            "description": "`low` when important data was missing or ambiguous.",
        },
    },
    "required": ["summary", "result", "confidence"],
}

_CUT_ADVICE = (
    "The arguments ended in the middle, most likely because they were too long. Call `submit_result` again with the "
    "essential part only."
)


@dataclass(slots=True, frozen=True)
class Submission:
    summary: str
    result: str
    confidence: Confidence


class SubmissionSlot:
    """The first submission of an attempt; later ones change nothing."""

    def __init__(self) -> None:
        self.submission: Submission | None = None

    @property
    def is_set(self) -> bool:
        return self.submission is not None

    def tool(self) -> BuiltinTool:
        return BuiltinTool(
            SUBMIT,
            "Deliver the result of your task. Call it once, when the final answer is ready: a short summary for the "
            "coordinator, the full findings, and how sure you are.",
            SUBMIT_SCHEMA,
            self._handle,
            "orchestration",
        )

    async def read(self, text: str, context: CallContext) -> None:
        """Takes a submission that was written as text, if ``text`` is one."""
        found = object_in_text(text) or {}
        given = found.get("arguments") if found.get("name") == SUBMIT else found
        if isinstance(given, Mapping) and all(key in given for key in ("summary", "result", "confidence")):
            await self._handle(given, context)

    async def _handle(self, arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        for key in ("summary", "result", "confidence"):
            if not isinstance(arguments.get(key), str):
                return failure(
                    f"Not accepted: `{key}` must be text; call again with all three.", outcome="schema_error"
                )
        result, summary = str(arguments["result"]), str(arguments["summary"])
        if not result.strip():
            return failure(
                "Not accepted: `result` is blank; put the complete findings into it.", outcome="schema_error"
            )
        if self.submission is not None:
            return success(_status("already submitted; the first submission is kept"))
        self.submission = Submission(
            summary=summary if summary.strip() else result[:_SUMMARY_LENGTH],
            result=result,
            confidence=read_confidence(arguments["confidence"]),
        )
        return success(_status("submitted"))


def _status(text: str) -> str:
    return orjson.dumps({"status": text}).decode()


_NOT_EXECUTED = "ToolCallError: not executed, the result was submitted before this call."


@dataclass(slots=True)
class _Turn:
    number: int
    unfinished: list[anyio.Event] = field(default_factory=list)
    submitting: anyio.Event | None = None


class SubmissionOrder:
    """The outermost middleware of an attempt: what a turn calls before ``submit_result`` runs before it, what stands
    behind it does not run, and everything else runs side by side. Calls enter in the order the model wrote them."""

    def __init__(self, submitted: Callable[[], bool]) -> None:
        self._submitted = submitted
        self._turn = _Turn(0)

    async def __call__(self, invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        if self._turn.number != context.turn:
            self._turn = _Turn(context.turn)
        turn = self._turn
        # runs to the first wait without interruption, in the order of the calls: `earlier` is what stands before this
        earlier = list(turn.unfinished)
        barrier, done = turn.submitting, anyio.Event()
        turn.unfinished.append(done)
        is_submission = invocation.tool.name == SUBMIT
        if is_submission:
            turn.submitting = done
        try:
            if is_submission:
                for event in earlier:
                    await event.wait()
            elif barrier is not None:
                await barrier.wait()
                if self._submitted():
                    return failure(_NOT_EXECUTED)
            return await next_(invocation, context)
        finally:
            done.set()


class SubmissionRunner(ToolRunner):
    """Adds advice where the arguments of a submission were cut in the middle."""

    async def run(self, call: ToolCall, context: CallContext) -> ToolOutcome:
        outcome = await super().run(call, context)
        if call.name == SUBMIT and not outcome.ok and isinstance(parse_arguments(call.arguments), str):
            return replace(outcome, text=f"{outcome.text} {_CUT_ADVICE}")
        return outcome
