"""The duplicate-call guard.

It counts identical calls with identical raw outputs. At the first threshold the model is told; at the second the
call is withheld from then on, and ``escalated`` says so to whoever runs the agent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from aura_py.messages import Json, JsonObject
from aura_py.tools.contract import CallContext, Invocation, Next, ToolOutcome, success

GUIDANCE_MARKER = "[DUPLICATE_CALL_GUIDANCE]"
ABORT_MARKER = "[DUPLICATE_CALL_ABORT]"
_REASONING_KEY = "_aura_reasoning"
_UNGUARDED = frozenset({"submit_result", "request_approval", "wait_for"})
_VOLATILE = re.compile(r"\d+")


@dataclass(slots=True)
class _CallRecord:
    count: int = 0
    digest: Json = None
    failures: int = 0
    failure: str | None = None
    outcome: ToolOutcome | None = None


class DuplicateGuard:
    """One attempt's guard. A threshold of 0 switches it off; failing calls have twice the patience."""

    def __init__(self, *, nudge: int, block: int, submit: str | None = None) -> None:
        self.escalated = False
        self._nudge = nudge
        self._block = block
        self._submit = submit
        self._records: dict[bytes, _CallRecord] = {}

    async def __call__(self, invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        name = invocation.tool.name
        if name in _UNGUARDED:
            return await next_(invocation, context)
        record = self._records.setdefault(fingerprint(name, invocation.arguments), _CallRecord())
        if record.outcome is not None:
            return replace(record.outcome, meta={**record.outcome.meta, "withheld": True})
        outcome = await next_(invocation, context)
        if outcome.ok or outcome.outcome == "schema_error":
            digest = outcome.meta.get("raw_digest", outcome.text)
            record.count = record.count + 1 if record.count and digest == record.digest else 1
            record.digest = digest
            return self._apply_thresholds(name, record, record.count, 1, outcome)
        if outcome.outcome in ("tool_error", "raised"):
            text = _VOLATILE.sub("#", outcome.text)
            record.failures = record.failures + 1 if text == record.failure else 1
            record.failure = text
            return self._apply_thresholds(name, record, record.failures, 2, outcome)
        return outcome

    def _apply_thresholds(
        self, name: str, record: _CallRecord, count: int, patience: int, outcome: ToolOutcome
    ) -> ToolOutcome:
        if self._block and count >= self._block * patience:
            self.escalated = True
            deliver = f"call `{self._submit}` with what you have" if self._submit else "answer with what you have"
            note = (
                f"{ABORT_MARKER} `{name}` was called {count} times with the same arguments and the same result. This "
                f"exact call is closed from now on. Sum up what you tried and found, then {deliver}."
            )
            noted = _with_note(outcome, note)
            record.outcome = noted if outcome.ok else success(noted.text)
            return noted
        if self._nudge and count >= self._nudge * patience:
            return _with_note(
                outcome,
                f"{GUIDANCE_MARKER} `{name}` was called {count} times with the same arguments and the same result. "
                "That is not a failure and turns remain: use this result, other arguments, another tool or a smaller "
                "step.",
            )
        return outcome


def fingerprint(name: str, arguments: JsonObject) -> bytes:
    """Identity of a call: its name and its arguments with sorted keys, the stated reason left out."""
    return orjson.dumps([name, _canonical(arguments)], option=orjson.OPT_SORT_KEYS)


def _canonical(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items() if key != _REASONING_KEY}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value


def _with_note(outcome: ToolOutcome, note: str) -> ToolOutcome:
    return replace(outcome, text=f"{outcome.text}\n\n{note}")
