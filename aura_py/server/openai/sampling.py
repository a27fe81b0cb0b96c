"""Parameters of a request that may replace the agent's own, and those that cannot be honoured."""

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
        RequestError: An allowed parameter has a wrong type or is out of range.
    """
    allowed = frozenset(agent.request_overrides)
    return Sampling(
        temperature=_number(body, "temperature", 2) if "temperature" in allowed else None,
        top_p=_number(body, "top_p", 1) if "top_p" in allowed else None,
        max_tokens=max_tokens(body, agent.llm.max_tokens) if "max_tokens" in allowed else None,
        stop=_stop(body) if "stop" in allowed else (),
        seed=_seed(body) if "seed" in allowed else None,
        reasoning_effort=_effort(body) if "reasoning_effort" in allowed else None,
        response_format=_format(body) if "response_format" in allowed else None,
    )


def max_tokens(body: Mapping[str, object], configured: int | None) -> int | None:
    """The request's cap, never above the configured one; zero and less count as absent."""
    wish = next(
        (n for key in ("max_completion_tokens", "max_tokens", "max_output_tokens") if (n := fields.whole(body, key))),
        None,
    )
    if wish is None or wish <= 0:
        return None
    return wish if configured is None else min(wish, configured)


def _number(body: Mapping[str, object], key: str, most: int) -> float | None:
    value = fields.number(body, key)
    if value is None or 0 <= value <= most:
        return value
    raise fields.wrong(key, f"a number from 0 to {most}")


def _seed(body: Mapping[str, object]) -> int | None:
    value = fields.whole(body, "seed")
    if value is None or -(2**63) <= value < 2**63:
        return value
    raise fields.wrong("seed", "a whole number of 64 bits")


def _stop(body: Mapping[str, object]) -> tuple[str, ...]:
    value = body.get("stop")
    if value is None:
        return ()
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        # An empty sequence stops nothing, and some providers refuse it.
        return tuple(item for item in cast(list[str], value) if item)
    raise fields.wrong("stop", "a string or an array of strings")


def _effort(body: Mapping[str, object]) -> ReasoningEffort | None:
    value = body.get("reasoning_effort")
    if value is None or value in get_args(ReasoningEffort):
        return cast(ReasoningEffort | None, value)
    # Responses has it in a table.
    param = "reasoning.effort" if isinstance(body.get("reasoning"), dict) else "reasoning_effort"
    raise fields.wrong(param, f"one of {', '.join(f'`{effort}`' for effort in get_args(ReasoningEffort))}")


def _format(body: Mapping[str, object]) -> JsonObject | None:
    given = fields.table(body, "response_format")
    match given:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"} | {"type": "json_schema", "json_schema": {"schema": dict()}}:
            return given
    # Responses has it in a table, and the schema flat in it.
    param = "text.format" if isinstance(body.get("text"), dict) else "response_format"
    raise fields.wrong(param, "of the `type` `text`, `json_object`, or `json_schema` with a `schema`")


def refuse_unhonoured(body: Mapping[str, object]) -> None:
    """Raises :class:`RequestError` for several choices, token probabilities and audio output."""
    if (fields.whole(body, "n") or 1) > 1:
        raise _refused("n", "there is one answer to a request")
    if body.get("logprobs") or body.get("top_logprobs"):
        raise _refused("logprobs" if body.get("logprobs") else "top_logprobs", "token probabilities are not given")
    if any("logprobs" in str(item) for item in fields.array(body, "include") or ()):
        raise _refused("include", "token probabilities are not given")
    if body.get("audio") is not None or "audio" in (fields.array(body, "modalities") or ()):
        raise _refused("audio" if body.get("audio") is not None else "modalities", "answers are text")


def _refused(param: str, why: str) -> RequestError:
    return RequestError(f"`{param}` cannot be served: {why}; leave it out.", param=param)
