"""Parameters that a model refuses: which ones its words name, and the same request without them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from aura_py.errors import ProviderError, ProviderRejected
from aura_py.llm.contract import ChatRequest, NamedTool
from aura_py.messages import TextPart, user

OPTIONAL: Final = frozenset(
    {
        "tool_choice",
        "stream_options",
        "parallel_tool_calls",
        "strict",
        "cache_control",
        "eager_input_streaming",
        "include_thoughts",
        "reasoning_content",
    }
)
"""What Aura adds to a request on its own; an answer without it is better than none."""

_OPTIONAL_IN_SIDE_REQUESTS: Final = frozenset({"max_tokens", "response_format"})
"""What is optional in a chat UI's side request: its cap is Aura's own, and its answer is cut to its JSON anyway."""

# Each vendor has its own spelling. Words only, without repetition, so that matching is linear in the text.
_SPELLINGS: Final = {
    "tool_choice": r"tool[_ ]?choice|function_?calling_?config|allowed_?function_?names|forced function calling",
    "stream_options": r"stream_options|include_usage",
    "parallel_tool_calls": r"parallel_tool_calls|parallel tool|parallel function|disable_parallel_tool_use",
    "strict": r"\bstrict\b",
    "cache_control": r"cache_control|cache_?point|cache point|prompt caching",
    "eager_input_streaming": r"eager_input_streaming",
    "include_thoughts": r"include_?thoughts|thinking_?config",
    "reasoning_content": r"reasoning_content|property 'reasoning'",
    "temperature": r"\btemperature\b",
    "top_p": r"\btop_?p\b",
    "max_tokens": r"\bmax_?tokens\b|max_completion_tokens|max_?output_?tokens|num_predict",
    "stop": r"\bstop\b|stop_?sequences",
    "seed": r"\bseed\b",
    "reasoning_effort": r"reasoning_effort|reasoning\.effort|reasoningconfig|\beffort\b|\bthinking\b|thinking_?budget"
    r"|thinking_?level",
    "response_format": r"response_format|text\.format|output_?config|json_schema|response_?(?:json_?)?schema"
    r"|response_?mime_?type|text_?format",
}
_NO_TOOL_CALL: Final = "tool_choice=none"
"""A model that cannot be forced to call a tool may well be forbidden to, and the other way round."""
_NAMES: Final = tuple((name, re.compile(spelling, re.IGNORECASE)) for name, spelling in _SPELLINGS.items())
_LONGEST_TEXT: Final = 4096
# OpenRouter says 404 where no provider takes a parameter; some servers fail with 500 or 501 over one they do not know.
_STATUSES: Final = frozenset({400, 404, 405, 422, 500, 501})
_BAD_REQUEST: Final = frozenset({400, 422})


def named_parameters(status: int, text: str) -> frozenset[str]:
    """The parameters that a refusal names, whatever the vendor calls them, as Chat Completions calls them."""
    if status not in _STATUSES:
        return frozenset()
    text = text[:_LONGEST_TEXT]
    return frozenset(name for name, pattern in _NAMES if pattern.search(text))


def refused_additions(error: ProviderError, request: ChatRequest) -> frozenset[str]:
    """Which of the things that Aura added to ``request`` the provider refused, and an answer may do without.

    A forced tool is suspected of every refusal that names nothing else: thinking models refuse it in many words.
    """
    optional = OPTIONAL | _OPTIONAL_IN_SIDE_REQUESTS if request.info.caller == "side" else OPTIONAL
    named = error.parameters & optional - request.left_out - {"tool_choice"}
    refused = frozenset(name for name in named if _is_sent(name, request))
    if request.tool_choice == "auto" or "tool_choice" in request.from_caller:
        return refused
    if "tool_choice" in error.parameters:
        return refused | {"tool_choice" if _forces(request) else _NO_TOOL_CALL}
    suspect = _forces(request) and not error.parameters
    malformed = isinstance(error, ProviderRejected) and error.provider_status in _BAD_REQUEST
    return frozenset({"tool_choice"}) if suspect and malformed else refused


def refused_overrides(error: ProviderError, request: ChatRequest) -> frozenset[str]:
    """Which parameters of the API's caller the provider refused."""
    if not isinstance(error, ProviderRejected) or error.provider_status not in _BAD_REQUEST:
        return frozenset()
    return error.parameters & request.from_caller


def without_parameters(request: ChatRequest, names: frozenset[str]) -> ChatRequest:
    """``request`` without what a model does not take; a forced tool is asked for in words instead."""
    left_out = request.left_out | names
    if left_out == request.left_out:
        return request
    request = replace(request, left_out=left_out)
    if "parallel_tool_calls" in names:
        request = replace(request, parallel_tool_calls=None)
    if "strict" in names:
        request = replace(request, tools=tuple(replace(tool, strict=False) for tool in request.tools))
    if request.info.caller == "side":
        sampling = request.sampling
        cap = None if "max_tokens" in names else sampling.max_tokens
        wanted = None if "response_format" in names else sampling.response_format
        request = replace(request, sampling=replace(sampling, max_tokens=cap, response_format=wanted))
    if "tool_choice" in request.from_caller:
        return request
    if "tool_choice" in names and _forces(request):
        return _asked_in_words(request)
    if _NO_TOOL_CALL in names and request.tool_choice == "none":
        # The messages say already that no tools are left.
        return replace(request, tool_choice="auto")
    return request


def _is_sent(name: str, request: ChatRequest) -> bool:
    if name == "strict":
        return any(tool.strict for tool in request.tools)
    if name in _OPTIONAL_IN_SIDE_REQUESTS:
        return getattr(request.sampling, name) is not None
    return name != "parallel_tool_calls" or request.parallel_tool_calls is not None


def _forces(request: ChatRequest) -> bool:
    return request.tool_choice == "required" or isinstance(request.tool_choice, NamedTool)


def _asked_in_words(request: ChatRequest) -> ChatRequest:
    choice = request.tool_choice
    if isinstance(choice, NamedTool):
        words = f"Call the tool `{choice.name}` now. Answer with that call, not with text."
    else:
        names = ", ".join(f"`{tool.name}`" for tool in request.tools)
        words = f"Call one of these tools now: {names}. Answer with the call, not with text."
    *earlier, last = request.messages
    if last.role == "user":
        # Some templates want the sides to alternate.
        asked = (*earlier, replace(last, content=(*last.content, TextPart(f"\n\n{words}"))))
    else:
        asked = (*request.messages, user(words))
    return replace(request, messages=tuple(asked), tool_choice="auto")
