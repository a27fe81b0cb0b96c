"""Repeated requests attach to the run they repeat.

A request with an ``Idempotency-Key`` is remembered under that key; one of an SDK that counts its retries
(``x-stainless-retry-count``) under what it asks. A repetition follows the running response or replays the finished
one. Callers never share: whatever distinguishes them (key, credentials, headers that MCP servers get) is part of the
identity.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers

from aura_py.errors import Conflict
from aura_py.run.catalog import Served
from aura_py.server.end_user import Caller
from aura_py.server.headers import forwarded_names, header_value
from aura_py.server.tape import Tape

KEYED_SECONDS: Final = 600.0
COUNTED_SECONDS: Final = 30.0
MAX_ENTRIES: Final = 1024
MAX_BYTES: Final = 32 * 1024 * 1024
TAPE_BYTES: Final = 1024 * 1024
_CREDENTIALS: Final = ("authorization", "x-api-key", "api-key", "cookie", "x-chat-session-id", "x-openwebui-chat-id")


@dataclass(slots=True, frozen=True)
class Claim:
    """What a request is to do: record on ``tape``, or follow it when ``repeats`` is set."""

    tape: Tape
    repeats: bool


@dataclass(slots=True)
class _Entry:
    tape: Tape
    body: str
    keep: float
    """Seconds after the end of the response."""
    stream: bool = False


class Retries:
    """The responses of this process that may be repeated; bounded in number, bytes and time.

    ``grace`` is how many seconds a run waits for its client to ask again, when that is one that counts its retries.
    """

    def __init__(
        self,
        session_headers: Sequence[str] = (),
        now: Callable[[], float] = time.monotonic,
        grace: float = 0.0,
    ) -> None:
        self._session_headers = tuple(session_headers)
        self._grace = grace
        self._now = now
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def claim(
        self,
        headers: Headers,
        *,
        path: str,
        caller: Caller,
        client: str,
        served: Served,
        body: bytes,
    ) -> Claim | None:
        """What a request is to this table; ``None`` when it cannot be recognised again.

        Raises:
            Conflict: The key was used with another body, or its response is too large to be repeated.
            RequestError: A header that tells callers apart is sent more than once.
        """
        key = header_value(headers, "idempotency-key")
        counted = header_value(headers, "x-stainless-retry-count") or ""
        if not key and not counted.isdecimal():
            return None
        again = bool(key) or bool(counted.strip("0"))
        digest = hashlib.sha256(body).hexdigest()
        names = (*_CREDENTIALS, *forwarded_names(served.config), *self._session_headers)
        sender = (path, caller.owner, caller.user, served.id, *(header_value(headers, name) for name in names))
        identity = _digest("key", key, *sender) if key else _digest("body", digest, client, *sender)
        self._forget_old()
        entry = self._entries.get(identity)
        if key and entry is not None and entry.body != digest:
            raise Conflict(
                "The `Idempotency-Key` was used for another request body; use a new key for a new request.",
                param="Idempotency-Key",
            )
        if entry is not None and not entry.tape.discarded and again:
            return Claim(entry.tape, repeats=True)
        if entry is not None and entry.tape.overlong and again:
            raise Conflict("The response to this request is too large to be repeated; use a new `Idempotency-Key`.")
        tape = Tape(TAPE_BYTES, self._now, self._grace if counted.isdecimal() else 0.0)
        self._entries[identity] = _Entry(tape, digest, KEYED_SECONDS if key else COUNTED_SECONDS)
        self._entries.move_to_end(identity)
        return Claim(tape, repeats=False)

    def keep(self, run: str, owner: str, tape: Tape | None, *, stream: bool) -> Tape:
        """A tape under the id of a run that outlives its client; ``tape`` if it has one already."""
        self._forget_old()
        tape = tape or Tape(TAPE_BYTES, self._now)
        self._entries[_digest("run", run, owner)] = _Entry(tape, "", KEYED_SECONDS, stream)
        return tape

    def kept(self, run: str, owner: str) -> tuple[Tape, bool] | None:
        """The tape of a run and whether it is a stream; ``None`` when there is none for this caller."""
        self._forget_old()
        entry = self._entries.get(_digest("run", run, owner))
        return None if entry is None or entry.tape.discarded else (entry.tape, entry.stream)

    def _forget_old(self) -> None:
        """Drops what is over for long enough; while there is too much, ended responses go before running ones and,
        of these, those without a key first."""
        now = self._now()
        for identity, entry in list(self._entries.items()):
            if entry.tape.ended is not None and entry.tape.ended + entry.keep <= now:
                del self._entries[identity]
        size = sum(entry.tape.size for entry in self._entries.values())
        if len(self._entries) < MAX_ENTRIES and size <= MAX_BYTES:
            return
        order = sorted(self._entries.items(), key=lambda item: (item[1].tape.ended is None, item[1].keep))
        for identity, entry in order:
            size -= entry.tape.size
            del self._entries[identity]
            if len(self._entries) < MAX_ENTRIES and size <= MAX_BYTES:
                return


def _digest(*parts: str | None) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()
