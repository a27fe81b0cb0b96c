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
class _Seen:
    count: int = 0
    digest: Json = None
    failures: int = 0
    failure: str | None = None
    outcome: ToolOutcome | None = None


class DuplicateGuard:
    """One attempt's guard. A threshold of 0 turns its stage off; failing calls have twice the patience."""

    def __init__(self, *, nudge: int, block: int, submit: str | None = None) -> None:
        self.escalated = False
        self._nudge = nudge
        self._block = block
        self._submit = submit
        self._seen: dict[bytes, _Seen] = {}

    async def __call__(self, invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        name = invocation.tool.name
        if name in _UNGUARDED:
            return await next_(invocation, context)
        seen = self._seen.setdefault(fingerprint(name, invocation.arguments), _Seen())
        if seen.outcome is not None:
            return replace(seen.outcome, meta={**seen.outcome.meta, "withheld": True})
        outcome = await next_(invocation, context)
        if outcome.ok or outcome.outcome == "schema_error":
            digest = outcome.meta.get("raw_digest", outcome.text)
            seen.count = seen.count + 1 if seen.count and digest == seen.digest else 1
            seen.digest = digest
            return self._judge(name, seen, seen.count, 1, outcome)
        if outcome.outcome in ("tool_error", "raised"):
            text = _VOLATILE.sub("#", outcome.text)
            seen.failures = seen.failures + 1 if text == seen.failure else 1
            seen.failure = text
            return self._judge(name, seen, seen.failures, 2, outcome)
        return outcome

    def _judge(self, name: str, seen: _Seen, count: int, patience: int, outcome: ToolOutcome) -> ToolOutcome:
        if self._block and count >= self._block * patience:
            self.escalated = True
            deliver = f"call `{self._submit}` with what you have" if self._submit else "answer with what you have"
            note = (
                f"{ABORT_MARKER} `{name}` was called {count} times with the same arguments and the same result. This "
                f"exact call is closed from now on. Sum up what you tried and found, then {deliver}."
            )
            noted = _noted(outcome, note)
            seen.outcome = noted if outcome.ok else success(noted.text)
            return noted
        if self._nudge and count >= self._nudge * patience:
            return _noted(
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


def _noted(outcome: ToolOutcome, note: str) -> ToolOutcome:
    return replace(outcome, text=f"{outcome.text}\n\n{note}")
