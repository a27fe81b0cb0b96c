"""How an exploration tool answers: what fits of its result, with a footer, and charged to the budget."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from aura_py.messages import Json
from aura_py.scratchpad.budget import Budget
from aura_py.scratchpad.documents import Document
from aura_py.scratchpad.errors import SoftError
from aura_py.scratchpad.lines import numbered
from aura_py.scratchpad.store import Store

_PIECE = 256
_SAMPLE, _SAMPLED = 4096, 1024
_FOOTER = 100
"""Tokens set aside for the footer while the size of the body is sought."""


class Counter(Hashable, Protocol):
    """Counts tokens as the agent's model does."""

    def count(self, text: str) -> int: ...
    def exceeds(self, text: str, limit: int) -> bool: ...
    def count_up_to(self, text: str, limit: int) -> int: ...


@dataclass(slots=True, frozen=True)
class Desk:
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


class Room:
    """Tells while a result grows whether more of it can fit, so that costly units are not made in vain."""

    def __init__(self, desk: Desk) -> None:
        self._counter = desk.counter
        self._left = desk.limit + desk.limit // 20 + 64
        self._pending: list[str] = []
        self._size = 0
        self._step = 2 * self._left

    def takes(self, unit: str) -> bool:
        """Whether anything may fit behind this unit."""
        self._pending.append(unit)
        self._size += len(unit)
        if self._size < self._step:
            return True
        tokens = self._counter.count_up_to("\n".join(self._pending), self._left)
        self._left -= tokens
        self._step = max(512, self._left * self._size // max(1, tokens))
        self._pending.clear()
        self._size = 0
        return self._left > 0


@dataclass(slots=True, frozen=True)
class Reply:
    """A result that can be shortened.

    ``units`` are its pieces in order (lines, rows, regions), ``body`` joins the first *n* of them, ``raw`` gives the
    bare content of the first *n* for ``estimated_tokens``. ``facts`` says what is shown, and ``more`` how to go on
    after the first *n*. ``complete`` is false when ``units`` already lack something; ``cap`` is the tool's own
    limit in tokens.
    """

    tool: str
    units: Sequence[str]
    facts: Callable[[int], str]
    more: Callable[[int], str]
    body: Callable[[Sequence[str]], str] = "\n".join
    raw: Callable[[int], str] | None = None
    lines: Callable[[int], int] = lambda shown: shown
    complete: bool = True
    gap: str = "\n\n"
    cap: int | None = None


def footer(tool: str, facts: str, meta: Mapping[str, Json], gap: str = "\n\n") -> str:
    written = json.dumps(meta, separators=(",", ":"), ensure_ascii=False)
    return f"{gap}--- scratchpad {tool}: {facts} | {written} ---"


def answer(desk: Desk, reply: Reply, too_large: Mapping[str, Json], suggestions: Sequence[str]) -> str:
    """The whole result, or the largest part of it that fits, charged to the budget.

    Raises:
        SoftError: Not even one unit fits.
    """
    total = len(reply.units)
    for _ in range(8):
        shown, text, tokens = _largest(desk, reply)
        if not text or (shown == 0 and total > 0):
            break
        if desk.budget.check_and_charge(tokens) is None:
            return text
    raise SoftError(refused(desk, reply.tool, _size(desk, reply, total), too_large, suggestions))


def answer_in_pieces(
    context: Desk,
    tool: str,
    number: int,
    line: str,
    from_char: int,
    facts: Callable[[int], str],
    more: Callable[[int], str],
    too_large: Mapping[str, Json],
    suggestions: Sequence[str],
) -> str:
    """A part of one very long line, numbered. ``facts`` and ``more`` take characters: how many, and where to go on."""
    part = line[from_char : from_char + context.most_characters]
    reply = Reply(
        tool,
        [part[at : at + _PIECE] for at in range(0, len(part), _PIECE)],
        lambda shown: facts(min(len(part), shown * _PIECE)),
        lambda shown: more(from_char + shown * _PIECE),
        body=lambda units: numbered(number, "".join(units)),
        raw=lambda shown: part[: shown * _PIECE],
        lines=lambda _shown: 1,
        complete=from_char + len(part) >= len(line),
    )
    return answer(context, reply, too_large, suggestions)


def refused(
    desk: Desk, tool: str, tokens: int, fields: Mapping[str, Json], suggestions: Sequence[str]
) -> dict[str, Json]:
    """The error of a result that does not fit. The per-call limit is tested first."""
    per_call, remaining = desk.budget.per_call, desk.budget.remaining
    error: dict[str, Json] = {"error": f"{tool}_too_large", "estimated_tokens": tokens}
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
    return {**error, **fields, "suggestions": list(suggestions)}


def _render(desk: Desk, reply: Reply, shown: int, hint: str) -> str:
    units = reply.units[:shown]
    raw = reply.raw(shown) if reply.raw is not None else "\n".join(units)
    facts = reply.facts(shown)
    if shown < len(reply.units) or not reply.complete:
        facts += f"; partial, go on with {reply.more(shown)}"
    meta: dict[str, Json] = {
        "estimated_tokens": desk.counter.count(raw),
        "lines": reply.lines(shown),
        "window_hint": hint,
    }
    return reply.body(units) + footer(reply.tool, facts, meta, reply.gap)


def _largest(desk: Desk, reply: Reply) -> tuple[int, str, int]:
    limit, hint = desk.limit, desk.budget.window_hint()
    if reply.cap is not None:
        limit = min(limit, reply.cap)

    whole = desk.counter.count_up_to
    low, high, best = 0, len(reply.units) + 1, 0
    guess = _first_guess(desk, reply, limit)
    for step in range(40):
        tokens = whole(reply.body(reply.units[:guess]), 3 * limit) + _FOOTER
        if tokens <= limit:
            low = best = guess
            if tokens > limit - limit // 20:
                break
        else:
            high = guess
        if high - low <= 1:
            break
        # Aim a little below the limit; where that leads nowhere new, halve.
        aimed = guess * (limit - limit // 50) // max(1, tokens)
        guess = aimed if step < 4 and low < aimed < high else (low + high) // 2
    for shown in (best, best - 1 - best // 50):
        if shown >= 0:
            text = _render(desk, reply, shown, hint)
            tokens = whole(text, limit)
            if tokens <= limit:
                return shown, text, tokens
    return 0, "", 0


def _first_guess(desk: Desk, reply: Reply, limit: int) -> int:
    """How many units may fit, by the tokens that the first of them have."""
    sample = "\n".join(islice(reply.units, _SAMPLED))[:_SAMPLE]
    tokens = desk.counter.count_up_to(sample, limit)
    room = (limit - limit // 50 - _FOOTER) * len(sample) // max(1, tokens)
    for number, unit in enumerate(reply.units):
        room -= len(unit) + 1
        if room < 0:
            return max(1, number)
    return len(reply.units)


def _size(desk: Desk, reply: Reply, total: int) -> int:
    most = desk.most_characters
    text = reply.body(reply.units[: max(1, total)])
    return desk.counter.count(text[:most]) + max(0, len(text) - most) // 4
