"""Calls of one turn around ``submit_result``: what stands before it runs first, what stands behind it does not run.

Everything else of a turn runs side by side (``orchestration-workers.md`` §5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from aura_py.tools.contract import CallContext, Invocation, Next, ToolOutcome, failure

_AFTER = "ToolCallError: not executed, the result was submitted before this call."


@dataclass(slots=True)
class _Turn:
    number: int
    unfinished: list[anyio.Event] = field(default_factory=list)
    submitting: anyio.Event | None = None


class SubmissionOrder:
    """The outermost stage of an attempt. Calls enter in the order the model wrote them."""

    def __init__(self, submit: str, submitted: Callable[[], bool]) -> None:
        self._submit = submit
        self._submitted = submitted
        self._turn = _Turn(0)

    async def __call__(self, invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        if self._turn.number != context.turn:
            self._turn = _Turn(context.turn)
        turn = self._turn
        earlier = list(turn.unfinished)
        barrier, done = turn.submitting, anyio.Event()
        turn.unfinished.append(done)
        is_submission = invocation.tool.name == self._submit
        if is_submission:
            turn.submitting = done
        try:
            if is_submission:
                for event in earlier:
                    await event.wait()
            elif barrier is not None:
                await barrier.wait()
                if self._submitted():
                    return failure(_AFTER)
            return await next_(invocation, context)
        finally:
            done.set()
