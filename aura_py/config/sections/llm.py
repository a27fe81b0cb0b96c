"""`[agent.llm]`, a worker's `llm` and the entries of `fallback` (``config.md`` §8, ``scripted-provider.md`` §1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from aura_py.config import models
from aura_py.config.maps import FreeForm
from aura_py.config.numbers import Flag, Number, Whole
from aura_py.config.problems import At
from aura_py.config.sections import script
from aura_py.config.tables import Advice, Key, Shape, TableList, Tree, Variant
from aura_py.config.values import Choice, FilePath, Secret, Text, Url

PROVIDERS = ("openai", "anthropic", "bedrock", "gemini", "ollama", "openrouter")
"""Providers that talk to a real model; `scripted` plays one from a file."""

KEY_VARIABLES = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
}

STRUCTURAL = ("model", "messages", "contents", "tools", "stream")
"""Keys of a request body that Aura owns."""

_BLANK = "CFG-L06"


@dataclass(slots=True, frozen=True)
class _ProviderKind(Variant):
    """The union over `provider`; keys of other providers are `CFG-L04`, provider options at top level `CFG-S09`."""

    def _foreign(self, name: str, chosen: str, owners: list[str], at: At) -> None:
        advice = _MISPLACED.get(name)
        if advice is not None:
            (at / name).error(advice.code, advice.message, advice.fix)
        else:
            Variant._foreign(self, name, chosen, owners, at)


_MISPLACED = {
    name: Advice(
        f"unknown key `{name}`: provider options do not stand at the top of an LLM table",
        f"move `{name}` to the `additional_params` table beside it",
    )
    for name in ("num_ctx", "num_predict", "seed", "top_k", "top_p", "think")
}


def _common() -> dict[str, Key]:
    return {
        "model": Key(
            Text(blank="refuse", blank_code=_BLANK),
            "Name of the model as the provider knows it.",
            True,
            '`model = "…"`',
        ),
        "max_tokens": Key(Whole(1), "Most tokens of one answer."),
        "context_window": Key(
            Whole(1), "Tokens that fit into the model. Never sent; needed by the scratchpad and for usage percentages."
        ),
        "temperature": Key(Number(), "Sampling temperature; absent leaves it to the provider."),
        "tool_choice": Key(
            Choice(("auto",)), "`auto` never forces a tool call on the model; for models that refuse to be forced."
        ),
        "fallback_tool_parsing": Key(Flag(), "Find tool calls that the model writes as text."),
        "additional_params": Key(
            FreeForm(reserved=STRUCTURAL),
            "Merged last into the body of every request to the provider; wins over other keys.",
        ),
    }


def _api_key(provider: str) -> Key:
    variable = KEY_VARIABLES[provider]
    return Key(Secret("refuse"), "Credential.", True, f'`api_key = "{{{{ env.{variable} }}}}"`')


_PROVIDER = Key(
    Choice((*PROVIDERS, "scripted")), "Which API the model is reached through.", True, '`provider = "openai"`'
)
_BASE_URL = Key(Url(_BLANK, blank="absent"), "Endpoint instead of the provider's own.")
_IGNORED_KEY = Key(
    Secret(), "Not needed; accepted so that one file can switch providers. Ollama gets it as bearer token."
)
_PROFILE = Key(Text(blank="absent"), "Named AWS profile; absent uses the default credential chain.")
_REGION = Key(Text(blank="refuse", blank_code=_BLANK), "AWS region.", True, '`region = "eu-central-1"`')


def _usual_temperature(tree: Tree, at: At) -> None:
    temperature = tree.get("temperature")
    if temperature is not None and not 0 <= temperature <= 2:
        (at / "temperature").warn(
            "WARN-LLM01", f"`temperature` {temperature:g} is unusual: most providers accept 0 to 2", "use 0 to 2"
        )


def _ollama(tree: Tree, at: At) -> None:
    _usual_temperature(tree, at)
    window = tree.get("context_window")
    context = tree.get("additional_params", {}).get("num_ctx")
    if window is not None and isinstance(context, int) and window > context:
        (at / "context_window").warn(
            "WARN-LLM02",
            f"`context_window` {window} is larger than `additional_params.num_ctx` {context}, where the model is cut",
            "make the two equal",
        )


def _shapes(*, with_fallback: bool) -> dict[str, Shape]:
    own: dict[str, tuple[type[models.LLMBase], dict[str, Key]]] = {
        "openai": (
            models.OpenAILLM,
            {
                "api_key": _api_key("openai"),
                "base_url": _BASE_URL,
                "reasoning_effort": Key(Choice(get_args(models.ReasoningEffort)), "How long a reasoning model thinks."),
            },
        ),
        "anthropic": (models.AnthropicLLM, {"api_key": _api_key("anthropic"), "base_url": _BASE_URL}),
        "bedrock": (
            models.BedrockLLM,
            {"region": _REGION, "profile": _PROFILE, "api_key": _IGNORED_KEY, "base_url": _BASE_URL},
        ),
        "gemini": (models.GeminiLLM, {"api_key": _api_key("gemini"), "base_url": _BASE_URL}),
        "ollama": (models.OllamaLLM, {"api_key": _IGNORED_KEY, "base_url": _BASE_URL}),
        "openrouter": (models.OpenRouterLLM, {"api_key": _api_key("openrouter"), "base_url": _BASE_URL}),
        "scripted": (models.ScriptedLLM, _SCRIPTED),
    }
    shapes: dict[str, Shape] = {}
    for provider, (model, keys) in own.items():
        every = {"provider": _PROVIDER, **_common(), **keys}
        if with_fallback:
            every["fallback"] = _FALLBACK
        check = {"ollama": _ollama, "scripted": script.check_source}.get(provider, _usual_temperature)
        misplaced = {name: advice for name, advice in _MISPLACED.items() if name not in every}
        shapes[provider] = Shape(model, every, strict=True, misplaced=misplaced, check=check)
    return shapes


_SCRIPTED = {
    "script": Key(
        FilePath(beside=True), "A TOML file with `[[rules]]`, relative to this file; either this or `rules`."
    ),
    "rules": Key(TableList(script.RULE), "The rules themselves; either these or `script`."),
    "tokens_per_second": Key(Number(0), "Pace of the stream; 0 is as fast as possible."),
    "first_token_ms": Key(Whole(), "Silence before the first delta, in milliseconds."),
    "chunk_chars": Key(Whole(), "Characters of one text delta; 0 is one word."),
    "seed": Key(Whole(), "Seed of `jitter_ms`."),
}


def _provider_missing(at: At) -> None:
    names = ", ".join(f"`{name}`" for name in PROVIDERS)
    complete = (
        "a worker LLM must be complete; repeat provider, model and credentials"
        if at.path[:1] == ("orchestration",)
        else "a fallback LLM must be complete; repeat provider, model and credentials"
        if "fallback" in at.path
        else 'add `provider = "openai"` or another'
    )
    (at / "provider").error(
        "CFG-L02", f"missing required key `provider` in {at.table}: one of {names}, or `scripted`", complete
    )


def _variant(*, with_fallback: bool) -> Variant:
    return _ProviderKind(
        "provider",
        _shapes(with_fallback=with_fallback),
        _provider_missing,
        foreign_code="CFG-L04",
        fold=True,
        suggestions={"google": "gemini", "aws": "bedrock", "claude": "anthropic", "azure": "openai", "gpt": "openai"},
    )


_FALLBACK = Key(
    TableList(_variant(with_fallback=False)),
    "Complete LLM tables, without a `fallback` of their own, tried in order when this model is not available.",
)
LLM = _variant(with_fallback=True)
