"""Concurrent turns in one session.

A conversation is one (agent, owner, session). Its turns stand in a line; the policy of the agent says what a new one
does when others are there. Side requests and requests without a session id never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, TypeAlias

import anyio

from aura_py.errors import Conflict, RunCancelled

Policy: TypeAlias = Literal["queue", "reject", "interrupt"]
Conversation: TypeAlias = tuple[str, str, str]

MAX_WAITING: Final = 8
"""Turns that may wait in one conversation."""
_RETRY_SECONDS: Final = 2


class SessionBusy(Conflict):
    """The session's last turn still runs, and the agent lets nothing else in."""

    code = "session_busy"
    retryable = True


class Interrupted(RunCancelled):
    """A newer message took the place of this run."""

    status = 409
    type = "invalid_request_error"
    code = "interrupted"


@dataclass(slots=True)
class Place:
    """One turn's place in its conversation's line. ``stop`` cancels the turn's run."""

    _line: Line
    stop: Callable[[RunCancelled], None] | None = None
    _front: anyio.Event = field(default_factory=anyio.Event)

    @property
    def waiting(self) -> bool:
        return not self._front.is_set()

    async def enter(self) -> None:
        """Returns when the turns before this one are over."""
        await self._front.wait()

    def leave(self) -> None:
        """Gives the place up, at the front or while waiting."""
        self._line.leave(self)

    def come_forward(self) -> None:
        self._front.set()


class Line:
    """Turns of one conversation, the running one first."""

    def __init__(self, forget: Callable[[], object]) -> None:
        self._places: list[Place] = []
        self._forget = forget

    def join(self, policy: Policy) -> Place:
        if self._places and policy == "reject":
            raise _busy("The last message of this session is still being answered; send the next one afterwards.")
        if self._places and policy == "interrupt":
            for each in self._places:
                if each.stop is not None:
                    each.stop(Interrupted("A newer message in this session has ended this answer."))
        elif len(self._places) > MAX_WAITING:
            raise _busy(f"{MAX_WAITING} messages of this session are waiting already; send this one later.")
        place = Place(self)
        self._places.append(place)
        self._call()
        return place

    def leave(self, place: Place) -> None:
        if place not in self._places:
            return
        self._places.remove(place)
        if not self._places:
            self._forget()
        self._call()

    def _call(self) -> None:
        if self._places:
            self._places[0].come_forward()


class SessionTurns:
    """The conversations of this process that have a turn."""

    def __init__(self) -> None:
        self._lines: dict[Conversation, Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def join(self, conversation: Conversation, policy: Policy) -> Place:
        """A place in the conversation's line.

        Raises:
            SessionBusy: The policy lets nobody wait, or too many do.
        """
        line = self._lines.get(conversation)
        if line is None:
            line = self._lines[conversation] = Line(partial(self._lines.pop, conversation))
        return line.join(policy)


def _busy(message: str) -> SessionBusy:
    error = SessionBusy(message)
    error.headers = {"retry-after": str(_RETRY_SECONDS), "retry-after-ms": str(_RETRY_SECONDS * 1000)}
    return error
