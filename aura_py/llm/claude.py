"""What the families of Claude models take, whether asked directly or through Bedrock."""

from __future__ import annotations

import re
from typing import Literal

from aura_py.llm.contract import ReasoningEffort
from aura_py.messages import JsonObject

_NAME = re.compile(r"claude-(?:([a-z]+)-)?(?:v)?(\d)(?:[-.](\d{1,2}))?(?!\d)(?:-([a-z]+))?")
_BUDGETS: dict[ReasoningEffort, int] = {
    "minimal": 1024,
    "low": 4096,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
}
_MIN_BUDGET = 1024
_UNKNOWN_MAX_TOKENS = 8192
_NEW_MAX_TOKENS = 32_000


def generation(model: str) -> tuple[int, int] | None:
    """Major and minor version of a Claude model id; ``None`` for anything else."""
    found = _NAME.search(model)
    if found is None:
        return None
    return int(found[2]), int(found[3] or 0)


def default_max_tokens(model: str) -> int:
    """The limit sent when the file names none (``config.md`` §8.2): the family's own, else a safe one."""
    found = _NAME.search(model)
    version = generation(model)
    if found is None or version is None:
        return _UNKNOWN_MAX_TOKENS
    family = found[1] or found[4]
    if version < (3, 0):
        return 4096
    if version < (3, 5):
        return 4096
    if version < (3, 7):
        return 8192
    if version < (4, 0):
        return 64_000
    if version[0] == 4:
        return 32_000 if family == "opus" and version < (4, 5) else 64_000
    return _NEW_MAX_TOKENS


def thinking_style(model: str) -> Literal["none", "budget", "adaptive"]:
    """How a model is told to think: not at all, by a budget of tokens, or by effort."""
    version = generation(model)
    if version is None or version < (3, 7):
        return "none"
    return "adaptive" if version >= (4, 6) else "budget"


def thinking_budget(effort: ReasoningEffort, max_tokens: int) -> int | None:
    """Tokens for thinking, which must stay below ``max_tokens``; ``None`` when there is no room."""
    budget = min(_BUDGETS.get(effort, 0), max_tokens - _MIN_BUDGET)
    return budget if budget >= _MIN_BUDGET else None


def effort_fields(model: str, effort: ReasoningEffort, max_tokens: int) -> JsonObject:
    """Body fields for a reasoning effort.

    Raises:
        ValueError: The model does not think, or ``max_tokens`` leaves no room for it; says why.
    """
    style = thinking_style(model)
    if effort == "none":
        return {} if style == "none" else {"thinking": {"type": "disabled"}}
    if style == "none":
        raise ValueError("this model does not think")
    if style == "adaptive":
        level = "low" if effort == "minimal" else effort
        return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": level}}
    budget = thinking_budget(effort, max_tokens)
    if budget is None:
        raise ValueError(f"thinking needs `max_tokens` of {2 * _MIN_BUDGET} or more")
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def takes_cache_points(model: str) -> bool:
    """Whether Bedrock accepts cache points for this model (Claude from 3.5 v2 on, Nova)."""
    version = generation(model)
    if version is not None:
        return version >= (3, 7) or "claude-3-5-haiku" in model or "claude-3-5-sonnet-20241022" in model
    return "amazon.nova" in model
