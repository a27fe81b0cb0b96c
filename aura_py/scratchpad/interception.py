"""The stage around every tool call that parks large outputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from aura_py.scratchpad.confinement import OutsideError
from aura_py.scratchpad.pointer import pointer
from aura_py.scratchpad.results import Counter, ExplorationContext
from aura_py.scratchpad.store import summary
from aura_py.scratchpad.threads import in_thread
from aura_py.tools.contract import CallContext, Invocation, Next, ToolOutcome

_log = logging.getLogger(__name__)
_NEVER = frozenset({"skill", "scratchpad"})
_OWN_RULE = frozenset({"read_artifact"})
_EXACT = 1 << 17
_AT_ONCE = 1 << 14
_SHORT = 1 << 11
_SAMPLES, _SAMPLE = 8, 4096


class Interception:
    """Parks what is over its tool's threshold, and what would not fit the remaining budget whoever made it."""

    def __init__(self, exploration: ExplorationContext, thresholds: Mapping[str, int], default: int | None) -> None:
        self._exploration = exploration
        self._thresholds = thresholds
        self._default = default

    async def __call__(self, invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        outcome = await next_(invocation, context)
        tool = invocation.tool
        if not outcome.ok or tool.kind in _NEVER or tool.name in _OWN_RULE or "parked" in outcome.meta:
            return outcome
        threshold = self._thresholds.get(tool.name, self._default)
        if len(outcome.text) < _AT_ONCE:
            return await self._handle(outcome, invocation, context, threshold)
        return await in_thread(self._decide, outcome, invocation, context, threshold, abandon=False)

    async def _handle(
        self, outcome: ToolOutcome, invocation: Invocation, context: CallContext, threshold: int | None
    ) -> ToolOutcome:
        """Small texts are judged at once; only writing needs a thread."""
        if not self._is_too_large(outcome.text, threshold):
            return outcome
        return await in_thread(self._park, outcome, invocation, context, threshold, abandon=False)

    def _decide(
        self, outcome: ToolOutcome, invocation: Invocation, context: CallContext, threshold: int | None
    ) -> ToolOutcome:
        if not self._is_too_large(outcome.text, threshold):
            return outcome
        return self._park(outcome, invocation, context, threshold)

    def _is_too_large(self, text: str, threshold: int | None) -> bool:
        exploration = self._exploration
        if threshold is not None and (threshold <= 0 or exploration.plain.exceeds(text, threshold - 1)):
            return True
        room = exploration.budget.room
        tokens = len(text) // 2 + 1
        if len(text) > _SHORT or not text.isascii() or 4 * tokens > room:
            tokens = exploration.counter.count_up_to(text, room)
        return not exploration.budget.admit_inline(tokens)

    def _park(
        self, outcome: ToolOutcome, invocation: Invocation, context: CallContext, threshold: int | None
    ) -> ToolOutcome:
        text, plain = outcome.text, self._exploration.plain
        tokens = estimate(plain, text)
        try:
            file, message = self._exploration.store.save(
                text,
                tool=invocation.tool.name,
                arguments=summary(invocation.arguments),
                tokens=lambda other: tokens if other is text else estimate(plain, other),
                describe=lambda saved: pointer(
                    saved, self._exploration.plain, tokens if threshold is None else threshold
                ),
                initiator=context.initiator,
                task=context.task_id or 0,
                attempt=context.attempt,
            )
        except (OSError, OutsideError) as error:
            return self._unsaved(outcome, invocation.tool.name, tokens, error)
        self._exploration.budget.note_intercepted(tokens)
        meta = {**outcome.meta, "parked": file}
        return replace(outcome, text=message, structured=None, meta=meta)

    def _unsaved(self, outcome: ToolOutcome, tool: str, tokens: int, error: Exception) -> ToolOutcome:
        """The output itself when it fits the budget, else as much of it as one result may have; never silence."""
        _log.warning("the output of tool `%s` could not be saved to the scratchpad: %s", tool, error)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        notice = f"[scratchpad: failed to save the output of '{tool}' (~{tokens} tokens): {reason}. "
        budget, counter, text = self._exploration.budget, self._exploration.counter, outcome.text
        if budget.admit_inline(counter.count_up_to(text, budget.room)):
            return replace(outcome, text=f"{notice}The whole output follows.]\n\n{text}")
        limit = max(0, min(budget.per_call, budget.room // 2))
        kept = prefix(counter, text, limit)
        budget.admit_inline(limit)
        advice = "Retry, narrow the query, or go on without it.]"
        if not kept:
            return replace(outcome, text=f"{notice}{advice}", structured=None, meta={**outcome.meta, "cut": True})
        cut = f"[cut here: {len(kept)} of {len(text)} characters shown]"
        return replace(
            outcome,
            text=f"{notice}Only its beginning follows. {advice}\n\n{kept}\n{cut}",
            structured=None,
            meta={**outcome.meta, "cut": True},
        )


def estimate(counter: Counter, text: str) -> int:
    """Exact for texts up to 128 Ki characters; beyond, reckoned from samples at fixed places."""
    if len(text) <= _EXACT:
        return counter.count(text)
    step = (len(text) - _SAMPLE) // (_SAMPLES - 1)
    counted = sum(counter.count(text[at : at + _SAMPLE]) for at in range(0, step * _SAMPLES, step))
    return counted * len(text) // (_SAMPLES * _SAMPLE)


def prefix(counter: Counter, text: str, limit: int) -> str:
    """The longest beginning of about ``limit`` tokens, never more."""
    low, high = 0, min(len(text), 24 * limit)
    while high - low > max(16, low // 50):
        middle = (low + high) // 2
        if counter.exceeds(text[:middle], limit):
            high = middle
        else:
            low = middle
    return text[:low]
