"""A run's identity and limits, made once where it enters."""

from __future__ import annotations

from collections.abc import Mapping

from aura_py import ids
from aura_py.context import ANONYMOUS, Clock, RunContext, RunLimits, SystemClock

_SYSTEM_CLOCK = SystemClock()


def new_context(
    *,
    session_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    principal: str | None = None,
    user: str | None = None,
    owner: str = ANONYMOUS,
    metadata: Mapping[str, str] | None = None,
    limits: RunLimits = RunLimits(),
    request_id: str | None = None,
    clock: Clock = _SYSTEM_CLOCK,
) -> RunContext:
    """A fresh context. Without a session id it gets one of its own."""
    started = clock.monotonic()
    return RunContext(
        run_id=ids.uuid7(),
        request_id=request_id or ids.request_id(),
        session_id=session_id or ids.session_id(),
        session_given=session_id is not None,
        headers={name.lower(): value for name, value in (headers or {}).items()},
        principal=principal,
        user=user,
        owner=owner,
        metadata=dict(metadata or {}),
        limits=limits,
        started=started,
        deadline=None if limits.total is None else started + limits.total,
        clock=clock,
    )
