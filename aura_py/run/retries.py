"""Repeated requests attach to the run they repeat.

A request with a key is remembered under that key; one of an SDK that counts its retries under what it asks. A
repetition follows the running response or replays the finished one. Senders never share: whatever distinguishes them
(owner, credentials, headers that MCP servers get) is part of the identity.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aura_py.errors import Conflict
from aura_py.run.recording import ResponseRecording

KEYED_SECONDS: Final = 600.0
COUNTED_SECONDS: Final = 30.0
MAX_ENTRIES: Final = 1024
MAX_BYTES: Final = 32 * 1024 * 1024
RECORDING_BYTES: Final = 1024 * 1024


@dataclass(slots=True, frozen=True)
class Repeatable:
    """A request that can be recognised again.

    ``sender`` is what tells its sender from others. Without a ``key`` (``Idempotency-Key``) it is the same as another
    one when the ``digest`` of its body and the ``client``'s address are. ``counts``: its sender is one that asks again
    after a time-out; ``again``: this is such a repetition.
    """

    owner: str
    sender: tuple[str | None, ...]
    client: str
    digest: str
    key: str | None = None
    counts: bool = False
    again: bool = False


@dataclass(slots=True)
class _Entry:
    recording: ResponseRecording
    owner: str
    digest: str = ""
    keep: float = KEYED_SECONDS
    """Seconds after the end of the response."""
    stream: bool = False


class Retries:
    """The responses of this process that may be repeated; bounded in number, bytes and time.

    ``grace`` is how many seconds a run waits for its client to ask again, when that is one that counts its retries.
    """

    def __init__(self, *, grace: float = 0.0, now: Callable[[], float] = time.monotonic) -> None:
        self._grace = grace
        self._now = now
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def claim(self, request: Repeatable) -> tuple[ResponseRecording, bool]:
        """A recording for the response to the request, or the one that it repeats; and whether it repeats one.

        Raises:
            Conflict: The key was used with another body, or its response is too large to be repeated.
        """
        identity = identity_of(request)
        self._forget_old()
        entry = self._entries.get(identity)
        if request.key and entry is not None and entry.digest != request.digest:
            raise Conflict(
                "The `Idempotency-Key` was used for another request body; use a new key for a new request.",
                param="Idempotency-Key",
            )
        if entry is not None and (request.key or request.again):
            if not entry.recording.discarded:
                return entry.recording, True
            if entry.recording.overlong:
                raise Conflict("The response to this request is too large to be repeated; use a new `Idempotency-Key`.")
        recording = ResponseRecording(RECORDING_BYTES, grace=self._grace if request.counts else 0.0, now=self._now)
        keep = KEYED_SECONDS if request.key else COUNTED_SECONDS
        self._entries[identity] = _Entry(recording, request.owner, request.digest, keep)
        self._entries.move_to_end(identity)
        return recording, False

    def keep(self, run: str, owner: str, recording: ResponseRecording | None, *, stream: bool) -> ResponseRecording:
        """A recording under the id of a run that outlives its client; ``recording`` if it has one already."""
        self._forget_old()
        recording = recording or ResponseRecording(RECORDING_BYTES, now=self._now)
        recording.outlives_client = True
        self._entries[identity_of_run(run, owner)] = _Entry(recording, owner, stream=stream)
        return recording

    def kept(self, run: str, owner: str) -> tuple[ResponseRecording, bool] | None:
        """The recording of a run and whether it is a stream; ``None`` when there is none for this owner."""
        self._forget_old()
        entry = self._entries.get(identity_of_run(run, owner))
        return None if entry is None or entry.recording.discarded else (entry.recording, entry.stream)

    def holds(self, identity: str) -> bool:
        """Whether there is a recording under the identity of a request or run."""
        self._forget_old()
        entry = self._entries.get(identity)
        return entry is not None and not entry.recording.discarded

    def _forget_old(self) -> None:
        """Drops what is over for long enough; while there is too much, something of the owner who has most of it."""
        now = self._now()
        for identity, entry in list(self._entries.items()):
            if entry.recording.ended is not None and entry.recording.ended + entry.keep <= now:
                del self._entries[identity]
        while len(self._entries) >= MAX_ENTRIES:
            self._forget_one(Counter(entry.owner for entry in self._entries.values()))
        sizes: Counter[str] = Counter()
        for entry in self._entries.values():
            sizes[entry.owner] += entry.recording.size
        while sizes.total() > MAX_BYTES:
            dropped = self._forget_one(sizes)
            sizes[dropped.owner] -= dropped.recording.size

    def _forget_one(self, shares: Counter[str]) -> _Entry:
        """Drops a response of the owner with the largest share: ended ones before running ones and, of these, those
        without a key first."""
        owner = max(shares, key=shares.__getitem__)
        own = ((identity, entry) for identity, entry in self._entries.items() if entry.owner == owner)
        identity, _ = min(own, key=lambda item: (item[1].recording.ended is None, item[1].keep))
        return self._entries.pop(identity)


def identity_of(request: Repeatable) -> str:
    """What the request has in common with its repetitions, and with nothing else."""
    what = ("key", request.key) if request.key else ("body", request.digest, request.client)
    return _digest(*what, request.owner, *request.sender)


def identity_of_run(run: str, owner: str) -> str:
    """What a kept run of the owner is found by."""
    return _digest("run", run, owner)


def _digest(*parts: str | None) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()
