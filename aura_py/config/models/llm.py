"""`[agent.llm]`, a worker's `llm` and the entries of `fallback`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import Field, SecretStr

from aura_py.config.file_report import Location
from aura_py.config.maps import AnyTable
from aura_py.config.models.script import ScriptRule, load_script
from aura_py.config.numbers import Float, Integer
from aura_py.config.tables import Advice, Key, StrictSection, Tree, Variant
from aura_py.config.values import FilePath, Text, Url

PROVIDERS = ("openai", "anthropic", "bedrock", "gemini", "ollama", "openrouter")
"""Providers that talk to a real model; `scripted` plays one from a file."""

STRUCTURAL = ("model", "messages", "contents", "tools", "stream")
"""Keys of a request body that Aura owns."""

ReasoningEffort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh"]

_BLANK = "CFG-L06"
_PROVIDER = Key("Which API the model is reached through.", required=True, example='`provider = "openai"`')
_MISPLACED = {
    name: Advice(
        f"unknown key `{name}`: provider options do not stand at the top of an LLM table",
        f"move `{name}` to the `additional_params` table beside it",
    )
    for name in ("num_ctx", "num_predict", "seed", "top_k", "top_p", "think")
}


def _completion(at: Location) -> str:
    """What to do about a missing provider."""
    if at.path[:1] != ("orchestration",) and "fallback" not in at.path:
        return 'add `provider = "openai"` or another'
    who = "fallback" if "fallback" in at.path else "worker"
    return f"a {who} LLM must be complete; repeat provider, model and credentials"


_ANY_PROVIDER = Variant(
    "provider",
    missing_code="CFG-L02",
    missing_fix=_completion,
    foreign_code="CFG-L04",
    fold=True,
    suggestions={"google": "gemini", "aws": "bedrock", "claude": "anthropic", "azure": "openai", "gpt": "openai"},
)

BaseUrl: TypeAlias = Annotated[str | None, Url(_BLANK, blank="absent"), Key("Endpoint instead of the provider's own.")]


def _credential(variable: str) -> Key:
    return Key("Credential.", example=f'`api_key = "{{{{ env.{variable} }}}}"`')


_UNUSED_CREDENTIAL = Key("Not needed; accepted so that one file can switch providers. Ollama gets it as bearer token.")


class LLMBase(StrictSection):
    misplaced: ClassVar = _MISPLACED

    provider: Annotated[str, _PROVIDER]
    model: Annotated[
        str,
        Text(blank="refuse", blank_code=_BLANK),
        Key("Name of the model as the provider knows it.", example='`model = "…"`'),
    ]
    max_tokens: Annotated[int | None, Integer(1), Key("Most tokens of one answer.")] = None
    context_window: Annotated[
        int | None,
        Integer(1),
        Key("Tokens that fit into the model. Never sent; needed by the scratchpad and for usage percentages."),
    ] = None
    temperature: Annotated[float | None, Key("Sampling temperature; absent leaves it to the provider.")] = None
    tool_choice: Annotated[
        Literal["auto"] | None,
        Key("`auto` never forces a tool call on the model; for models that refuse to be forced."),
    ] = None
    fallback_tool_parsing: Annotated[bool, Key("Find tool calls that the model writes as text.")] = False
    additional_params: Annotated[
        Mapping[str, Any],
        AnyTable(reserved=STRUCTURAL),
        Key("Merged last into the body of every request to the provider; wins over other keys."),
    ] = Field(default_factory=dict)
    fallback: Annotated[
        tuple[FallbackLLM, ...],
        Key("Complete LLM tables, without a `fallback` of their own, tried in order when this model is not available."),
    ] = ()

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        temperature = tree.get("temperature")
        if temperature is not None and not 0 <= temperature <= 2:
            (at / "temperature").warn(
                "WARN-LLM01", f"`temperature` {temperature:g} is unusual: most providers accept 0 to 2", "use 0 to 2"
            )


class OpenAILLM(LLMBase):
    provider: Annotated[Literal["openai"], _PROVIDER] = "openai"
    api_key: Annotated[SecretStr, _credential("OPENAI_API_KEY")]
    base_url: BaseUrl = None
    reasoning_effort: Annotated[ReasoningEffort | None, Key("How long a reasoning model thinks.")] = None


class OpenRouterLLM(LLMBase):
    provider: Annotated[Literal["openrouter"], _PROVIDER] = "openrouter"
    api_key: Annotated[SecretStr, _credential("OPENROUTER_API_KEY")]
    base_url: BaseUrl = None


class AnthropicLLM(LLMBase):
    provider: Annotated[Literal["anthropic"], _PROVIDER] = "anthropic"
    api_key: Annotated[SecretStr, _credential("ANTHROPIC_API_KEY")]
    base_url: BaseUrl = None


class GeminiLLM(LLMBase):
    provider: Annotated[Literal["gemini"], _PROVIDER] = "gemini"
    api_key: Annotated[SecretStr, _credential("GEMINI_API_KEY")]
    base_url: BaseUrl = None


class OllamaLLM(LLMBase):
    provider: Annotated[Literal["ollama"], _PROVIDER] = "ollama"
    api_key: Annotated[SecretStr | None, _UNUSED_CREDENTIAL] = None
    base_url: Annotated[str, Url(_BLANK, blank="absent"), Key("Endpoint instead of the provider's own.")] = (
        "http://localhost:11434"
    )

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        super().check(tree, at)
        window = tree.get("context_window")
        context = tree.get("additional_params", {}).get("num_ctx")
        if window is not None and isinstance(context, int) and window > context:
            (at / "context_window").warn(
                "WARN-LLM02",
                f"`context_window` {window} is larger than `additional_params.num_ctx` {context}, where the model is"
                " cut",
                "make the two equal",
            )


class BedrockLLM(LLMBase):
    provider: Annotated[Literal["bedrock"], _PROVIDER] = "bedrock"
    region: Annotated[
        str,
        Text(blank="refuse", blank_code=_BLANK),
        Key("AWS region.", example='`region = "eu-central-1"`'),
    ]
    profile: Annotated[str | None, Key("Named AWS profile; absent uses the default credential chain.")] = None
    api_key: Annotated[SecretStr | None, _UNUSED_CREDENTIAL] = None
    base_url: BaseUrl = None


class ScriptedLLM(LLMBase):
    """``rules`` come from ``script`` or stand inline; both are read and checked with the agent."""

    misplaced: ClassVar = {name: advice for name, advice in _MISPLACED.items() if name != "seed"}

    provider: Annotated[Literal["scripted"], _PROVIDER] = "scripted"
    script: Annotated[
        Path | None,
        FilePath(beside=True),
        Key("A TOML file with `[[rules]]`, relative to this file; either this or `rules`."),
    ] = None
    rules: Annotated[tuple[ScriptRule, ...], Key("The rules themselves; either these or `script`.")] = ()
    tokens_per_second: Annotated[float, Float(0), Key("Pace of the stream; 0 is as fast as possible.")] = 0
    first_token_ms: Annotated[int, Key("Silence before the first delta, in milliseconds.")] = 0
    chunk_chars: Annotated[int, Key("Characters of one text delta; 0 is one word.")] = 0
    seed: Annotated[int, Key("Seed of `jitter_ms`.")] = 0

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        load_script(tree, at)


_AnyLLM: TypeAlias = OpenAILLM | AnthropicLLM | BedrockLLM | GeminiLLM | OllamaLLM | OpenRouterLLM | ScriptedLLM
LLM: TypeAlias = Annotated[_AnyLLM, Field(discriminator="provider"), _ANY_PROVIDER]
FallbackLLM: TypeAlias = Annotated[
    _AnyLLM, Field(discriminator="provider"), replace(_ANY_PROVIDER, without=("fallback",))
]

# `fallback` names a type that its own class is part of.
for _model in (LLMBase, *get_args(_AnyLLM)):
    _model.model_rebuild()
