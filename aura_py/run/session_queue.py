"""Turns of one session do not overlap.

A session is one (agent, owner, session id). Its turns stand in a queue; the policy of the agent says what a new one
does when others are there. Side requests and requests without a session id never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import anyio

from aura_py.errors import Conflict, RunCancelled

TurnPolicy: TypeAlias = Literal["queue", "reject", "interrupt"]
SessionKey: TypeAlias = tuple[str, str, str]

MAX_WAITING: Final = 8
"""Turns that may wait in one session."""
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


@dataclass(slots=True, eq=False)
class Ticket:
    """One turn's place in the queue of its session. ``stop`` cancels the turn's run."""

    _queues: SessionQueues
    _session: SessionKey
    stop: Callable[[RunCancelled], None] | None = None
    _called: anyio.Event = field(default_factory=anyio.Event)

    @property
    def waiting(self) -> bool:
        return not self._called.is_set()

    async def wait(self) -> None:
        """Returns when the turns before this one are over."""
        await self._called.wait()

    def give_up(self) -> None:
        """Leaves the queue, when the turn is over or while it waits."""
        self._queues.remove(self, self._session)

    def call(self) -> None:
        self._called.set()


class SessionQueues:
    """The sessions of this process that have a turn, each with its tickets, the running turn's first."""

    def __init__(self) -> None:
        self._queues: dict[SessionKey, list[Ticket]] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def join(self, session: SessionKey, policy: TurnPolicy) -> Ticket:
        """A ticket at the end of the session's queue.

        Raises:
            SessionBusy: The policy lets nobody wait, or too many do.
        """
        queue = self._queues.get(session, [])
        if queue and policy == "reject":
            raise _busy("The last message of this session is still being answered; send the next one afterwards.")
        if queue and policy == "interrupt":
            for each in queue:
                if each.stop is not None:
                    each.stop(Interrupted("A newer message in this session has ended this answer."))
        elif len(queue) > MAX_WAITING:
            raise _busy(f"{MAX_WAITING} messages of this session are waiting already; send this one later.")
        ticket = Ticket(self, session)
        self._queues[session] = queue
        queue.append(ticket)
        queue[0].call()
        return ticket

    def remove(self, ticket: Ticket, session: SessionKey) -> None:
        queue = self._queues.get(session, [])
        if ticket not in queue:
            return
        queue.remove(ticket)
        if queue:
            queue[0].call()
        else:
            del self._queues[session]


def _busy(message: str) -> SessionBusy:
    error = SessionBusy(message)
    error.headers = {"retry-after": str(_RETRY_SECONDS), "retry-after-ms": str(_RETRY_SECONDS * 1000)}
    return error
