"""Chunks of OpenRouter: Chat Completions with ``reasoning_details``, which go back unchanged."""

from __future__ import annotations

from typing import Any

from aura_py.llm.contract import Delta
from aura_py.llm.json_text import join_surrogates, text_at
from aura_py.llm.openai.stream import ChatStream
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.messages import Json

_GROWING = ("text", "summary", "data", "signature")


class OpenRouterStream(ChatStream):
    """Shows the reasoning once, although it comes as text and as details, and keeps the details."""

    def __init__(self, errors: ProviderErrors) -> None:
        super().__init__(errors)
        self._details: dict[tuple[object, object], dict[str, Any]] = {}

    def take_reasoning(self, delta: dict[str, Any], out: list[Delta]) -> None:
        found = delta.get("reasoning_details")
        details = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
        for detail in details:
            self._collect(detail)
        shown = text_at(delta, "reasoning") or text_at(delta, "reasoning_content")
        if shown or details:
            written = "".join(str(detail.get("text") or detail.get("summary") or "") for detail in details)
            self.think(shown or written, out)

    def opaque(self, block: object, marks: dict[str, Json]) -> dict[str, Json] | None:
        if not self._details:
            return None
        kept = [{name: _joined(value) for name, value in detail.items()} for detail in self._details.values()]
        return {"reasoning_details": kept}

    def _collect(self, detail: dict[str, Any]) -> None:
        """Pieces of one detail share type and index; texts grow, the rest is replaced."""
        key = (str(detail.get("type")), str(detail.get("index", detail.get("id"))))
        known = self._details.setdefault(key, {})
        for name, value in detail.items():
            if name in _GROWING and isinstance(value, str):
                pieces = known.get(name)
                if isinstance(pieces, list):
                    pieces.append(value)
                else:
                    known[name] = [value]
            elif value is not None or name not in known:
                known[name] = value


def _joined(value: Any) -> Any:
    return (
        join_surrogates("".join(value)) if isinstance(value, list) and all(isinstance(x, str) for x in value) else value
    )
