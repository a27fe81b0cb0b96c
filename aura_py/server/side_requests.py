"""Titles, tags and follow-ups that chat UIs ask for beside the conversation (``clients.md`` ID-5…ID-8)."""

from __future__ import annotations

import re
from typing import Final

import orjson
from starlette.datastructures import Headers

from aura_py.messages import Message

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
)
_THOUGHT: Final = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE: Final = re.compile(r"```[\w-]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_LABEL: Final = re.compile(r"(?:title|answer)\s*:\s*", re.IGNORECASE)


def is_side_request(
    headers: Headers, *, stream: bool, has_tools: bool, messages: tuple[Message, ...], for_tasks: bool = False
) -> bool:
    """Whether a request is a chat UI's own: by header ``X-Aura-Task``, by its model, else by its fingerprint.

    Args:
        for_tasks: The request names the task model (``AURA_TASK_MODEL``).
    """
    if for_tasks or headers.get("x-aura-task", "").strip().lower() in TASKS:
        return True
    if stream or has_tools or len(messages) != 1 or messages[0].role != "user":
        return False
    return any(pattern.match(messages[0].text) for pattern in _FINGERPRINTS)


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
