"""Variables of the environment: the words of booleans, and variables of features that are not built yet.

The latter are checked and refused. Those of OpenTelemetry are often set for all programs of a machine, so they get a
warning.
"""

from __future__ import annotations

from collections.abc import Mapping

from aura_py.config.diagnostics import Diagnostic

TRUE_WORDS = frozenset({"1", "true", "t", "yes", "y", "on"})
FALSE_WORDS = frozenset({"0", "false", "f", "no", "n", "off"})
_STORES = {"memory": "memory", "redis": "redis", "valkey": "redis"}
_REDIS_NUMBERS = ("AURA_SESSION_STORE_CONNECT_TIMEOUT_SECS", "AURA_SESSION_STORE_TASK_TTL_SECS")
_SECRETS = ("AURA_HITL_WEBHOOK_SECRET", "AURA_HITL_WEBHOOK_SECRET_SECONDARY")
_TOLERANCE = "AURA_HITL_WEBHOOK_TOLERANCE_SECS"
_EXPORTERS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SHORTEST_SECRET = 32
_LONGEST_TOLERANCE = 86_400


def is_true(value: str | None) -> bool:
    return value is not None and value.strip().lower() in TRUE_WORDS


def is_blank(value: object) -> bool:
    """A variable that is set to nothing counts as unset."""
    return value is None or (isinstance(value, str) and not value.strip())


def check(env: Mapping[str, str]) -> list[Diagnostic]:
    """What is wrong with the session store's and the webhook's variables."""
    return [*_session_store(env), *_webhook(env)]


def unused_variables(env: Mapping[str, str]) -> list[Diagnostic]:
    """Warnings about variables that are common to many programs and that Aura does not heed yet."""
    fix = "unset it for Aura, or ignore this"
    return [
        Diagnostic("WARN-ENV04", f"`{name}`: traces are not exported yet", fix, "warning", key=name)
        for name in _EXPORTERS
        if not is_blank(env.get(name))
    ]


def _session_store(env: Mapping[str, str]) -> list[Diagnostic]:
    word = env.get("AURA_SESSION_STORE", "")
    if is_blank(word):
        return []
    store = _STORES.get(word.strip().lower())
    if store is None:
        message = f"`AURA_SESSION_STORE`: unknown session store backend `{word.strip()[:80]}`"
        return [Diagnostic("CFG-D03", message, "use `memory` or `redis`")]
    if store == "memory":
        return []
    found: list[Diagnostic] = []
    if is_blank(env.get("AURA_SESSION_STORE_URL")):
        fix = "set it to a `redis://` or `rediss://` URL"
        found.append(Diagnostic("CFG-D04", "`AURA_SESSION_STORE_URL` is required for the redis store", fix))
    for name in _REDIS_NUMBERS:
        value = env.get(name, "").strip()
        if value and not (value.isascii() and value.isdecimal()):
            message = f"`{name}` must be a non-negative integer, got `{value[:80]}`"
            found.append(Diagnostic("CFG-D05", message, "write a whole number of seconds"))
    unbuilt = "the redis session store is not built yet"
    return [*found, Diagnostic("CFG-N01", unbuilt, "unset `AURA_SESSION_STORE` or set it to `memory`")]


def _webhook(env: Mapping[str, str]) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    primary, secondary = _SECRETS
    for name in _SECRETS:
        value = env.get(name)
        if value is None:
            continue
        length = len(value.strip().encode("utf-8", "surrogateescape"))
        if length < _SHORTEST_SECRET:
            message = f"`{name}` is {length} bytes long, below the 32-byte minimum"
            found.append(Diagnostic("CFG-D06", message, "set at least 32 random bytes, or unset it"))
    if secondary in env and primary not in env:
        message = f"`{secondary}` is set without a primary `{primary}`"
        found.append(Diagnostic("CFG-D06", message, f"set `{primary}` as well"))
    tolerance = env.get(_TOLERANCE, "").strip()
    if tolerance:
        number = int(tolerance) if tolerance.isascii() and tolerance.isdecimal() and len(tolerance) < 10 else 0
        if not 1 <= number <= _LONGEST_TOLERANCE:
            message = f"`{_TOLERANCE}` is out of range: expected 1 to {_LONGEST_TOLERANCE}, got `{tolerance[:80]}`"
            found.append(Diagnostic("CFG-D06", message, "write a whole number of seconds in this range"))
    if any(name in env for name in (*_SECRETS, _TOLERANCE)):
        fix = "unset the `AURA_HITL_WEBHOOK_*` variables until Aura supports approvals"
        found.append(Diagnostic("CFG-N01", "approval of tool calls is not built yet", fix))
    return found
