"""Parameters of a request that may replace the agent's own (``clients.md`` RQ-6…RQ-9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, get_args

from aura_py.config.models import AgentSection
from aura_py.errors import RequestError
from aura_py.llm.contract import ReasoningEffort, Sampling
from aura_py.messages import JsonObject
from aura_py.server.openai import fields


def sampling(body: Mapping[str, object], agent: AgentSection) -> Sampling:
    """What ``request_overrides`` of the agent allows; everything else in the request is ignored.

    Raises:
        RequestError: An allowed parameter has a wrong type.
    """
    allowed = frozenset(agent.request_overrides)
    return Sampling(
        temperature=fields.number(body, "temperature") if "temperature" in allowed else None,
        top_p=fields.number(body, "top_p") if "top_p" in allowed else None,
        max_tokens=max_tokens(body, agent.llm.max_tokens) if "max_tokens" in allowed else None,
        stop=_stop(body) if "stop" in allowed else (),
        seed=fields.whole(body, "seed") if "seed" in allowed else None,
        reasoning_effort=_effort(body) if "reasoning_effort" in allowed else None,
        response_format=_format(body) if "response_format" in allowed else None,
    )


def max_tokens(body: Mapping[str, object], configured: int | None) -> int | None:
    """The request's cap, never above the configured one; zero and less count as absent (RQ-9)."""
    wish = next(
        (n for key in ("max_completion_tokens", "max_tokens", "max_output_tokens") if (n := fields.whole(body, key))),
        None,
    )
    if wish is None or wish <= 0:
        return None
    return wish if configured is None else min(wish, configured)


def _stop(body: Mapping[str, object]) -> tuple[str, ...]:
    value = body.get("stop")
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(cast(list[str], value))
    raise fields.wrong("stop", "a string or an array of strings")


def _effort(body: Mapping[str, object]) -> ReasoningEffort | None:
    value = body.get("reasoning_effort")
    if value is None:
        # Responses has it in a table.
        table = body.get("reasoning")
        value = table.get("effort") if isinstance(table, dict) else None
    if value is None:
        return None
    if value in get_args(ReasoningEffort):
        return cast(ReasoningEffort, value)
    raise RequestError(
        f"`reasoning_effort` must be one of {', '.join(get_args(ReasoningEffort))}.", param="reasoning_effort"
    )


def _format(body: Mapping[str, object]) -> JsonObject | None:
    """``response_format``, or what Responses says flat in ``text.format``."""
    given = fields.table(body, "response_format")
    text = body.get("text")
    flat = text.get("format") if given is None and isinstance(text, dict) else None
    if not isinstance(flat, dict):
        return given
    if flat.get("type") != "json_schema":
        return flat
    return {"type": "json_schema", "json_schema": {key: value for key, value in flat.items() if key != "type"}}
