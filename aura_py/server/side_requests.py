"""Titles, tags and follow-ups that chat UIs ask for beside the conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import orjson
from starlette.datastructures import Headers

from aura_py.messages import Message, TextPart
from aura_py.server.openai.content import Omitted, content_parts

TASKS: Final = frozenset(
    {
        "title_generation",
        "tags_generation",
        "follow_up_generation",
        "query_generation",
        "autocomplete_generation",
        "emoji_generation",
        "image_prompt_generation",
        "moa_response_generation",
        "function_calling",
    }
)
MAX_TOKENS: Final = 1000
"""Cap of a side request's answer."""
_FINGERPRINTS: Final = (
    re.compile(r"\s*### Task:"),
    re.compile(r"\s*Provide a concise, 5-word-or-less title", re.IGNORECASE),
    re.compile(r"\s*Analyze this conversation and provide:\s*1\. The detected language", re.IGNORECASE),
    re.compile(r"\s*Your task is to reflect the speaker's likely facial expression through a fitting emoji"),
    re.compile(r"\s*Write a short label describing what this block of agent activity accomplished"),
    re.compile(r"\s*You write the one-line header above a group of tool calls"),
)
"""How chat UIs begin what they ask for themselves, in the only message or in the system message before it."""
_SYNTHESIS: Final = re.compile(
    r"\s*You have been provided with a set of responses from various models to the latest user"
)
_THOUGHT: Final = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE: Final = re.compile(r"```[\w-]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_LABEL: Final = re.compile(r"(?:title|answer)\s*:\s*", re.IGNORECASE)


def is_side_request(
    headers: Headers,
    *,
    stream: bool,
    has_tools: bool,
    messages: tuple[Message, ...],
    instructions: str = "",
    for_tasks: bool = False,
) -> bool:
    """Whether a request is a chat UI's own: by header ``X-Aura-Task``, by its model, else by its fingerprint.

    Args:
        instructions: The client's system message.
        for_tasks: The request names the task model (``AURA_TASK_MODEL``).
    """
    if for_tasks or headers.get("x-aura-task", "").strip().lower() in TASKS:
        return True
    if has_tools or len(messages) != 1 or messages[0].role != "user":
        return False
    if _SYNTHESIS.match(messages[0].text):
        return True
    return not stream and any(
        pattern.match(text) for pattern in _FINGERPRINTS for text in (messages[0].text, instructions)
    )


def is_synthesis(question: str, headers: Headers) -> bool:
    """Whether one answer is to be made out of several models': an answer for the user, as long as it has to be."""
    task = headers.get("x-aura-task", "").strip().lower()
    return task == "moa_response_generation" or _SYNTHESIS.match(question) is not None


def client_instructions(body: Mapping[str, object]) -> str:
    """The text of the system message that a request begins with, or ``instructions`` of the Responses API."""
    given = body.get("instructions")
    if isinstance(given, str):
        return given
    items = body.get("messages") or body.get("input")
    first = items[0] if isinstance(items, list) else None
    if not isinstance(first, dict) or first.get("role") not in ("system", "developer"):
        return ""
    parts = content_parts(first.get("content"), param="messages[0].content", omitted=Omitted())
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def wants_json(question: str, response_format: object, headers: Headers) -> bool:
    """Whether the UI will look for a JSON object in the answer."""
    if isinstance(response_format, dict) and response_format.get("type") in ("json_schema", "json_object"):
        return True
    task = headers.get("x-aura-task", "").strip().lower()
    return "### Task:" in question or task in ("tags_generation", "follow_up_generation", "query_generation")


def cleaned(answer: str, *, json: bool) -> str:
    """``answer`` without thinking, code fences and preamble; with ``json``, only the object in it."""
    text = _THOUGHT.sub("", answer).strip()
    fenced = _FENCE.search(text)
    if fenced is not None and fenced.group(1).strip():
        text = fenced.group(1).strip()
    if json:
        found = text[text.find("{") : text.rfind("}") + 1] if "{" in text else ""
        try:
            orjson.loads(found)
        except orjson.JSONDecodeError:
            return text
        return found
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    line = lines[1] if len(lines) > 1 and lines[0].endswith(":") else lines[0]
    return _LABEL.sub("", line, count=1).strip().strip('"“”').strip() if _is_short(lines) else text


def _is_short(lines: list[str]) -> bool:
    """A title with or without a line that announces it, not a longer text."""
    return len(lines) == 1 or (len(lines) == 2 and lines[0].endswith(":"))
