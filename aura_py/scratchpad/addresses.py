"""The notation of places inside a JSON value: what ``schema`` prints, ``get_in`` accepts.

``$.a.b[0]["a key.with dots"]``, ``a.b.0``, ``a[-1]``, ``items[*].name``; empty, ``.`` and ``$`` are the whole value.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

_PLAIN = re.compile(r"[^\W\d][\w\-/@:]*")
_INTEGER = re.compile(r"-?[0-9]+")
_BARE = re.compile(r"[^.\[]+")
_QUOTED = re.compile(r"""\[\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\]""")
_BRACKET = re.compile(r"\[([^\]]*)\]")

_INDEXES = re.compile(r"\[[0-9]+\]")


@dataclass(slots=True, frozen=True)
class Step:
    """One step down. ``either`` is a bare number: an index in an array, a key in an object."""

    text: str
    kind: Literal["key", "index", "either", "every"]

    @property
    def is_index(self) -> bool:
        """Whether it may name an element of an array."""
        return self.kind in ("index", "either")

    @property
    def index(self) -> int:
        return int(self.text)


class AddressError(ValueError):
    """The path cannot be read; the message names the place."""


def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path. Raises ``AddressError``."""
    text = path.strip()
    if text in ("", ".", "$", "$."):
        return ()
    at = 1 if text.startswith("$") and text[1:2] in (".", "[") else 0
    steps: list[Step] = []
    while at < len(text):
        if text[at] == ".":
            at += 1
            if at == len(text) or text[at] == ".":
                raise AddressError(f"path `{path}` has an empty segment at character {at + 1}")
        if text[at] == "[":
            step, at = _bracket(text, at)
        else:
            bare = _BARE.match(text, at)
            if bare is None:
                raise AddressError(f"path `{path}` cannot be read from character {at + 1} on")
            step, at = _bare(bare[0]), bare.end()
        steps.append(step)
    return tuple(steps)


def _bracket(text: str, at: int) -> tuple[Step, int]:
    quoted = _QUOTED.match(text, at)
    if quoted is not None:
        return Step(_unquoted(quoted[1]), "key"), quoted.end()
    bracket = _BRACKET.match(text, at)
    if bracket is None:
        raise AddressError(f"path `{text}` has a `[` without its `]` at character {at + 1}")
    inside = bracket[1].strip()
    if inside in ("*", ""):
        return Step("*", "every"), bracket.end()
    kind: Literal["key", "index"] = "index" if _is_index(inside) else "key"
    return Step(inside, kind), bracket.end()


def _bare(text: str) -> Step:
    if text == "*":
        return Step("*", "every")
    return Step(text, "either" if _is_index(text) else "key")


def _is_index(text: str) -> bool:
    return len(text) <= 18 and _INTEGER.fullmatch(text) is not None


def _unquoted(quoted: str) -> str:
    if quoted.startswith("'"):
        inner = re.sub(r"\\(.)|\"", lambda m: '\\"' if m[0] == '"' else "'" if m[1] == "'" else m[0], quoted[1:-1])
        quoted = f'"{inner}"'
    try:
        key: str = json.loads(quoted, strict=False)
    except ValueError:
        return quoted[1:-1]
    return key


def join(prefix: str, step: str | int) -> str:
    """The printed path of a child: the form that ``parse`` reads back to exactly this child."""
    if isinstance(step, int):
        return f"{prefix}[{step}]"
    if _PLAIN.fullmatch(step):
        return f"{prefix}.{step}"
    return f"{prefix}[{json.dumps(step, ensure_ascii=False)}]"


def pattern(path: str) -> str:
    """A printed path with every index as ``[*]``: what places of one kind have in common."""
    return _INDEXES.sub("[*]", path)
