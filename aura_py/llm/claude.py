"""What the families of Claude models take, whether asked directly or through Bedrock."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from aura_py.errors import ConfigurationError
from aura_py.llm.contract import ReasoningEffort, Sampling
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.turns import Turn
from aura_py.messages import Reasoning

if TYPE_CHECKING:
    from aura_py.config.models import AnthropicLLM, BedrockLLM

_NAME = re.compile(r"claude-(?:([a-z]+)-)?(?:v)?(\d)(?:[-.](\d{1,2}))?(?!\d)(?:-([a-z]+))?")
_BUDGETS: dict[ReasoningEffort, int] = {
    "minimal": 1024,
    "low": 4096,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
}
_ALWAYS_THINKING = ("fable", "mythos")
_MIN_BUDGET = 1024
_UNKNOWN_MAX_TOKENS = 8192
_NEW_MAX_TOKENS = 32_000


def _family(model: str) -> str | None:
    found = _NAME.search(model)
    return (found[1] or found[4]) if found else None


def generation(model: str) -> tuple[int, int] | None:
    """Major and minor version of a Claude model id; ``None`` for anything else."""
    found = _NAME.search(model)
    if found is None:
        return None
    return int(found[2]), int(found[3] or 0)


def default_max_tokens(model: str) -> int:
    """The limit sent when the file names none: the family's own, else a safe one."""
    version = generation(model)
    if version is None:
        return _UNKNOWN_MAX_TOKENS
    if version < (3, 5):
        return 4096
    if version < (3, 7):
        return 8192
    if version < (4, 0):
        return 64_000
    if version[0] == 4:
        return 32_000 if _family(model) == "opus" and version < (4, 5) else 64_000
    return _NEW_MAX_TOKENS


def always_thinks(model: str) -> bool:
    """Whether thinking cannot be switched off, which also forbids to force a tool."""
    return _family(model) in _ALWAYS_THINKING


def takes_sampling(model: str) -> bool:
    """Whether ``temperature`` and ``top_p`` exist; from 4.7 on the API answers them with a 400."""
    version = generation(model)
    return version is None or version < (4, 7)


def check_table(config: AnthropicLLM | BedrockLLM, agent: str) -> None:
    """Refuses at load what the file asks for and the model does not have.

    Raises:
        ConfigurationError: ``temperature`` for a model without it.
    """
    if config.base_url is None and config.temperature is not None and not takes_sampling(config.model):
        raise ConfigurationError(
            f"agent `{agent}`: model `{config.model}` has no `temperature`; remove it from the model's table"
        )


def check_sampling(errors: ProviderErrors, sampling: Sampling) -> None:
    """Refuses what the request asks for and the model does not have.

    Raises:
        RequestError: ``temperature`` or ``top_p`` for a model without them.
    """
    if takes_sampling(errors.model):
        return
    for name in ("temperature", "top_p"):
        if getattr(sampling, name) is not None:
            raise errors.refuse(name, "this model has no sampling parameters")


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


def effort_fields(errors: ProviderErrors, effort: ReasoningEffort, max_tokens: int) -> dict[str, Any]:
    """Body fields for a reasoning effort.

    Raises:
        RequestError: The model does not think, cannot but think, or ``max_tokens`` leaves no room for it.
    """
    model = errors.model
    style = thinking_style(model)
    if effort == "none" and not always_thinks(model):
        return {} if style == "none" else {"thinking": {"type": "disabled"}}
    if effort == "none":
        why = "this model always thinks"
    elif style == "none":
        why = "this model does not think"
    elif style == "adaptive":
        # 4.6 knows the level above `high` as `max` only.
        highest = "max" if generation(model) == (4, 6) else "xhigh"
        level = {"minimal": "low", "xhigh": highest}.get(effort, effort)
        return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": level}}
    else:
        budget = thinking_budget(effort, max_tokens)
        if budget is not None:
            return {"thinking": {"type": "enabled", "budget_tokens": budget}}
        why = f"thinking needs `max_tokens` of {2 * _MIN_BUDGET} or more"
    raise errors.refuse("reasoning_effort", why)


def thinks(fields: Mapping[str, Any], model: str) -> bool:
    """Whether a model with these body fields thinks, which forbids to force a tool."""
    thinking = fields.get("thinking")
    asked = isinstance(thinking, Mapping) and thinking.get("type") in ("enabled", "adaptive")
    return asked or always_thinks(model)


def suit_thinking(fields: dict[str, Any], turns: Sequence[Turn], provider: str) -> None:
    """Switches a budget of thinking off while the calls being answered were made without thinking.

    The API wants each of those messages to begin with a thinking block, and one made elsewhere has none.
    """
    thinking = fields.get("thinking")
    if not (isinstance(thinking, Mapping) and thinking.get("type") == "enabled"):
        return
    for turn in reversed(turns):
        if turn.role == "user":
            if any(message.role == "user" for message in turn.messages):
                return
        elif any(m.tool_calls and not any(_returns(r, provider) for r in m.reasoning) for m in turn.messages):
            fields["thinking"] = {"type": "disabled"}
            return


def _returns(reasoning: Reasoning, provider: str) -> bool:
    return reasoning.provider == provider and bool(reasoning.opaque)


def takes_cache_points(model: str) -> bool:
    """Whether Bedrock accepts cache points for this model (Claude from 3.5 v2 on, Nova)."""
    version = generation(model)
    if version is not None:
        return version >= (3, 7) or "claude-3-5-haiku" in model or "claude-3-5-sonnet-20241022" in model
    return "amazon.nova" in model
