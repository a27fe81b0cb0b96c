"""How much one request may hold, so that reading it never holds up the others for long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aura_py.errors import RequestError


@dataclass(slots=True, frozen=True)
class RequestLimits:
    """Counts, each a setting (``AURA_MAX_MESSAGES`` and so on). ``parts`` are those of the whole conversation."""

    messages: int = 10_000
    parts: int = 50_000
    tools: int = 1_000
    input_items: int = 10_000

    @property
    def values(self) -> int:
        """Arrays, objects and commas of a whole body, checked before it is parsed.

        A part has about three; the rest is room for tools and whatever else a request holds.
        """
        return 6 * self.parts

    def check(self, body: Mapping[str, object]) -> None:
        """Raises :class:`RequestError` when a list of the request is too long."""
        for key, limit in (("messages", self.messages), ("input", self.input_items), ("tools", self.tools)):
            _check(key, key, _length(body.get(key)), limit, "INPUT_ITEMS" if key == "input" else key.upper())
        for key in ("messages", "input"):
            _check(key, "the content of " + key, sum(_parts(body.get(key))), self.parts, "PARTS")


def _check(param: str, what: str, count: int, limit: int, setting: str) -> None:
    if count > limit:
        raise RequestError(
            f"`{what}` has {count} entries, more than the limit of {limit} (`AURA_MAX_{setting}`); send less at once.",
            param=param,
        )


def _length(value: object) -> int:
    return len(value) if isinstance(value, list) else 0


def _parts(items: object) -> Iterator[int]:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield sum(_length(item.get(key)) for key in ("content", "output", "tool_calls"))
