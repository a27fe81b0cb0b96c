"""The runner's middleware that parks large tool outputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

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


class ScratchpadMiddleware:
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
        is_small = len(outcome.text) < _AT_ONCE
        if is_small and not self._is_too_large(outcome.text, threshold):
            return outcome
        return await in_thread(self._handle, outcome, invocation, context, threshold, is_small, abandon=False)

    def _handle(
        self, outcome: ToolOutcome, invocation: Invocation, context: CallContext, threshold: int | None, judged: bool
    ) -> ToolOutcome:
        """Small texts were judged at once, before there was a need for a thread."""
        if not judged and not self._is_too_large(outcome.text, threshold):
            return outcome
        text, plain = outcome.text, self._exploration.plain
        tokens = estimate(plain, text)
        try:
            record, document = self._exploration.store.save(
                text,
                tool=invocation.tool.name,
                arguments=summary(invocation.arguments),
                tokens=lambda other: tokens if other is text else estimate(plain, other),
                initiator=context.initiator,
                task=context.task_id or 0,
                attempt=context.attempt,
            )
        except OSError as error:
            return self._unsaved(outcome, invocation.tool.name, tokens, error.strerror or type(error).__name__)
        self._exploration.budget.note_intercepted(tokens)
        message = pointer(record, document, plain, tokens if threshold is None else threshold)
        return replace(outcome, text=message, structured=None, meta={**outcome.meta, "parked": record.file})

    def _is_too_large(self, text: str, threshold: int | None) -> bool:
        exploration = self._exploration
        if threshold is not None and (threshold <= 0 or exploration.plain.exceeds(text, threshold - 1)):
            return True
        room = exploration.budget.room
        tokens = len(text) // 2 + 1
        if len(text) > _SHORT or not text.isascii() or 4 * tokens > room:
            tokens = exploration.counter.count_up_to(text, room)
        return not exploration.budget.admit_inline(tokens)

    def _unsaved(self, outcome: ToolOutcome, tool: str, tokens: int, reason: str) -> ToolOutcome:
        """The output itself when it fits the budget, else as much of it as one result may have; never silence."""
        _log.warning("the output of tool `%s` could not be saved to the scratchpad: %s", tool, reason)
        notice = f"[scratchpad: failed to save the output of '{tool}' (~{tokens} tokens): {reason}. "
        budget, counter, text = self._exploration.budget, self._exploration.counter, outcome.text
        if budget.admit_inline(counter.count_up_to(text, budget.room)):
            return replace(outcome, text=f"{notice}The whole output follows.]\n\n{text}")
        limit = max(0, min(budget.per_call, budget.room // 2))
        kept = prefix(counter, text, limit)
        budget.admit_inline(limit)
        notice += "" if not kept else "Only its beginning follows. "
        notice += "Retry, narrow the query, or go on without it.]"
        if kept:
            notice += f"\n\n{kept}\n[cut here: {len(kept)} of {len(text)} characters shown]"
        return replace(outcome, text=notice, structured=None, meta={**outcome.meta, "cut": True})


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
