"""Turn nudges: a note on a tool's output when turns run short."""

from __future__ import annotations

from dataclasses import replace

from aura_py.tools.contract import CallContext, Invocation, Next, ToolOutcome

_CARRIERS = frozenset({"mcp", "scratchpad", "filesystem", "knowledge"})


class TurnNudges:
    """A middleware that appends at most one note per turn, to the first tool result of that turn.

    Args:
        last_turn: Announce the final turn on the outputs of the turn before it.
        remaining: Announce wrap-up when this many turns or fewer remain; ``None`` is off.
        submit: Name of the tool a worker must deliver through; ``None`` for agents that answer in text.
    """

    def __init__(self, *, last_turn: bool, remaining: int | None, submit: str | None = None) -> None:
        self._last_turn = last_turn
        self._remaining = remaining
        self._submit = submit
        self._nudged_turn = 0

    @property
    def active(self) -> bool:
        return self._last_turn or self._remaining is not None

    async def __call__(self, invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        outcome = await next_(invocation, context)
        if invocation.tool.kind not in _CARRIERS or context.turn <= self._nudged_turn:
            return outcome
        note = self._note(context.turns_left)
        if note is None:
            return outcome
        self._nudged_turn = context.turn
        return replace(outcome, text=f"{outcome.text}\n\n---\n{note}")

    def _note(self, left: int) -> str | None:
        if left == 1 and self._last_turn:
            if self._submit:
                return (
                    f"[FINAL TURN] The next turn is your last. Call `{self._submit}` now and nothing else first; "
                    "partial findings are better than none."
                )
            return (
                "[FINAL TURN] The next turn is your last and tools are closed to you then. Give your answer now; "
                "a partial answer is better than none."
            )
        if self._remaining is not None and 1 <= left <= self._remaining:
            deliver = f"deliver through `{self._submit}`" if self._submit else "give your answer"
            turns = "1 turn is" if left == 1 else f"{left} turns are"
            return f"[WRAP UP] {turns} left. Make only the calls you cannot do without, then {deliver}."
        return None
