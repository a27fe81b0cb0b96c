"""The one glob dialect for every pattern over tool names.

A pattern is parsed into a small automaton whose states are the bits of an integer; transitions are computed on first
use and remembered. Matching takes one step per character whatever the pattern, so no pattern can be made slow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_REMEMBERED_STEPS = 4096


class GlobError(ValueError):
    """The pattern is malformed; ``position`` counts characters from 1."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} at position {position}")
        self.reason = reason
        self.position = position


@dataclass(slots=True, frozen=True)
class _One:
    """Exactly one character: any, or one inside (outside, when negated) of the ranges."""

    ranges: tuple[tuple[str, str], ...] = ()
    negated: bool = True

    def accepts(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) != self.negated


class Glob:
    """A compiled pattern: ``*`` ``?`` ``[a-z]`` ``[!a]`` ``{a,b}`` ``\\x``, case-sensitive, over the whole name.

    Raises:
        GlobError: The pattern does not compile.
    """

    __slots__ = ("_accepting", "_edges", "_empty", "_loops", "_start", "_steps", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        parser = _Parser(pattern)
        end = parser.parse()
        self._edges = tuple(parser.edges)
        self._empty = _closures(parser.empty)
        self._loops = parser.loops
        self._start = self._empty[0]
        self._accepting = 1 << end
        self._steps: dict[tuple[int, str], int] = {}

    def matches(self, name: str) -> bool:
        """Whether the pattern covers the whole of ``name``."""
        states = self._start
        steps = self._steps
        for char in name:
            following = steps.get((states, char))
            if following is None:
                following = self._step(states, char)
            if not following:
                return False
            states = following
        return bool(states & self._accepting)

    def _step(self, states: int, char: str) -> int:
        following = 0
        left = states
        while left:
            lowest = left & -left
            left ^= lowest
            state = lowest.bit_length() - 1
            if self._loops & lowest:
                following |= self._empty[state]
            for one, target in self._edges[state]:
                if one.accepts(char):
                    following |= self._empty[target]
        if len(self._steps) >= _REMEMBERED_STEPS:
            self._steps.clear()
        self._steps[states, char] = following
        return following

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Glob) and other.pattern == self.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"


class _Parser:
    """Lays out the automaton: ``edges`` per state, ``empty`` moves per state, and the set of ``loops`` (stars)."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.edges: list[list[tuple[_One, int]]] = [[]]
        self.empty: list[int] = [0]
        self.loops = 0

    def parse(self) -> int:
        state = 0
        groups: list[tuple[int, int, int]] = []  # where the group started, its first state, its last state
        at = 0
        while at < len(self.pattern):
            char = self.pattern[at]
            if char == "*":
                if not self.loops >> state & 1:
                    star = self._state()
                    self.empty[state] |= 1 << star
                    self.loops |= 1 << star
                    state = star
                at += 1
            elif char == "?":
                state = self._edge(state, _One())
                at += 1
            elif char == "[":
                one, at = self._set(at)
                state = self._edge(state, one)
            elif char == "{":
                first, last = self._state(), self._state()
                self.empty[state] |= 1 << first
                groups.append((at, first, last))
                state = self._branch(first)
                at += 1
            elif char == "," and groups:
                _, first, last = groups[-1]
                self.empty[state] |= 1 << last
                state = self._branch(first)
                at += 1
            elif char == "}" and groups:
                _, _, last = groups.pop()
                self.empty[state] |= 1 << last
                state = last
                at += 1
            elif char == "}":
                raise GlobError("`}` without an opening `{`", at + 1)
            elif char == "\\":
                if at + 1 == len(self.pattern):
                    raise GlobError("`\\` with nothing after it", at + 1)
                state = self._edge(state, _exactly(self.pattern[at + 1]))
                at += 2
            else:
                state = self._edge(state, _exactly(char))
                at += 1
        if groups:
            raise GlobError("`{` without a closing `}`", groups[-1][0] + 1)
        return state

    def _state(self) -> int:
        self.edges.append([])
        self.empty.append(0)
        return len(self.edges) - 1

    def _edge(self, state: int, one: _One) -> int:
        target = self._state()
        self.edges[state].append((one, target))
        return target

    def _branch(self, first: int) -> int:
        """A state of its own per alternative, so that a star inside one never leaks into the next."""
        state = self._state()
        self.empty[first] |= 1 << state
        return state

    def _set(self, start: int) -> tuple[_One, int]:
        at = start + 1
        negated = self.pattern[at : at + 1] in ("!", "^")
        at += negated
        ranges: list[tuple[str, str]] = []
        first = True
        while first or self.pattern[at : at + 1] != "]":
            first = False
            low, at = self._member(at, start)
            high = low
            if self.pattern[at : at + 1] == "-" and self.pattern[at + 1 : at + 2] not in ("", "]"):
                where = at
                high, at = self._member(at + 1, start)
                if high < low:
                    raise GlobError(f"the range `{low}-{high}` runs backwards", where)
            ranges.append((low, high))
        return _One(tuple(ranges), negated), at + 1

    def _member(self, at: int, start: int) -> tuple[str, int]:
        if self.pattern[at : at + 1] == "\\":
            at += 1
        if at >= len(self.pattern):
            raise GlobError("`[` without a closing `]`", start + 1)
        return self.pattern[at], at + 1


def _exactly(char: str) -> _One:
    return _One(((char, char),), negated=False)


def _closures(empty: list[int]) -> tuple[int, ...]:
    """Every state reachable without reading a character, per state."""
    closures: list[int] = []
    for state in range(len(empty)):
        reached, left = 0, 1 << state
        while left:
            lowest = left & -left
            left ^= lowest
            reached |= lowest
            left |= empty[lowest.bit_length() - 1] & ~reached
        closures.append(reached)
    return tuple(closures)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Glob:
    return Glob(pattern)


def any_match(patterns: Iterable[str], name: str) -> bool:
    """Whether any of the patterns covers ``name``; raises ``GlobError`` for a malformed one."""
    return any(_compiled(pattern).matches(name) for pattern in patterns)
