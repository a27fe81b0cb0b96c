"""How an exploration tool answers: as much of its result as fits, with a footer, charged to the budget."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aura_py.messages import Json
from aura_py.scratchpad.budget import Budget
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.errors import SoftError
from aura_py.scratchpad.lines import numbered
from aura_py.scratchpad.store import Store

_FOOTER = 110
"""Tokens set aside for the footer while the size of the body is sought."""
_PIECE = 256


class Counter(Hashable, Protocol):
    """Counts tokens as the agent's model does."""

    def count(self, text: str) -> int: ...
    def exceeds(self, text: str, limit: int) -> bool: ...
    def count_up_to(self, text: str, limit: int) -> int: ...


@dataclass(slots=True, frozen=True)
class ExplorationContext:
    """What every exploration tool of one agent works with.

    ``counter`` follows what the model reports; ``plain`` never changes, so that equal outputs are treated equally.
    """

    store: Store
    budget: Budget
    counter: Counter
    plain: Counter

    def open(self, name: str) -> Document:
        return self.store.open(name)

    @property
    def limit(self) -> int:
        """Tokens that one result may have now."""
        return min(self.budget.per_call, self.budget.remaining)

    @property
    def most_characters(self) -> int:
        """More characters than any result could fit; building a longer one is a waste."""
        return 12 * self.limit + 4096

    def size(self, text: str) -> int:
        """About how many tokens a text has, exact for what could fit."""
        most = self.most_characters
        return self.counter.count(text[:most]) + max(0, len(text) - most) // 4


@dataclass(slots=True, frozen=True)
class Result:
    """What is said around the units of a result: its lines, rows or parts.

    ``facts`` says what is shown, and ``more`` names the call that goes on, after the first *n* units. ``too_large`` and
    ``suggestions`` are for the error when not even one fits. ``join`` makes the body of units, ``raw`` the content
    alone, whose tokens are told. ``first_number`` is set for units that are numbered lines; ``cap`` is the tool's own
    limit in tokens.
    """

    tool: str
    facts: Callable[[int], str]
    more: Callable[[int], str]
    too_large: Mapping[str, Json]
    suggestions: Sequence[str]
    join: Callable[[Sequence[str]], str] = "\n".join
    raw: Callable[[Sequence[str]], str] = "\n".join
    lines: Callable[[Sequence[str]], int] = len
    first_number: int | None = None
    cap: int | None = None

    def rendered(self, context: ExplorationContext, units: Sequence[str], complete: bool, hint: str) -> str:
        facts = self.facts(len(units))
        if not complete:
            facts += f"; partial, go on with {self.more(len(units))}"
        shown = units
        if self.first_number is not None:
            shown = [numbered(number, unit) for number, unit in enumerate(units, self.first_number)]
        meta: dict[str, Json] = {
            "estimated_tokens": context.counter.count(self.raw(units)),
            "lines": self.lines(units),
            "window_hint": hint,
        }
        return f"{self.join(shown)}\n\n--- scratchpad {self.tool}: {facts} | {_compact(meta)} ---"


def answer(context: ExplorationContext, result: Result, units: Iterable[str], *, complete: bool = True) -> str:
    """The whole result, or the largest part of it that fits, charged to the budget. Takes no more units than may fit.

    ``complete`` is false when the units lack something even together.

    Raises:
        SoftError: Not even one unit fits.
    """
    limit = context.limit if result.cap is None else min(context.limit, result.cap)
    hint = context.budget.window_hint()
    kept: list[str] = []
    room = limit - _FOOTER
    for unit in units:
        size = context.size(unit)
        if size > limit and not kept:
            raise SoftError(refused(context, result, size))
        room -= size + (1 if result.first_number is None else 4)
        if room < 0 and kept:
            complete = False
            break
        kept.append(unit)
    while True:
        text = result.rendered(context, kept, complete, hint)
        tokens = context.counter.count_up_to(text, limit)
        if tokens <= limit and context.budget.check_and_charge(tokens) is None:
            return text
        if len(kept) <= 1:
            raise SoftError(refused(context, result, context.size(text)))
        del kept[-1 - len(kept) // 50 :]
        complete = False


def answer_in_pieces(context: ExplorationContext, result: Result, number: int, line: str, from_char: int) -> str:
    """A part of one very long line. ``facts`` and ``more`` take characters: how many, and the one to go on from."""
    starts = range(from_char, len(line), _PIECE)
    pieces = Result(
        result.tool,
        lambda shown: result.facts(min(max(0, len(line) - from_char), shown * _PIECE)),
        lambda shown: result.more(from_char + shown * _PIECE),
        result.too_large,
        result.suggestions,
        join=lambda units: numbered(number, "".join(units)),
        raw="".join,
        lines=lambda _units: 1,
    )
    return answer(context, pieces, (line[at : at + _PIECE] for at in starts))


def refused(context: ExplorationContext, result: Result, tokens: int) -> dict[str, Json]:
    """The error of a result that does not fit. The per-call limit is tested first."""
    per_call, remaining = context.budget.per_call, context.budget.remaining
    error: dict[str, Json] = {"error": f"{result.tool}_too_large", "estimated_tokens": tokens}
    if tokens > per_call or per_call <= remaining:
        error["message"] = (
            f"the result has about {tokens} tokens, more than the {per_call} that one call may return; "
            "ask for less with a narrower tool"
        )
        error["per_call_limit"] = per_call
    else:
        error["message"] = (
            f"the result has about {tokens} tokens but only {remaining} remain in the context budget; "
            "narrow the request, or answer with what is known"
        )
        error["remaining_budget_tokens"] = remaining
    return {**error, **result.too_large, "suggestions": list(result.suggestions)}


def quoted(text: str) -> str:
    """A string as a model writes it in a call."""
    return json.dumps(text, ensure_ascii=False)


def _compact(meta: Mapping[str, Json]) -> str:
    return json.dumps(meta, separators=(",", ":"), ensure_ascii=False)
