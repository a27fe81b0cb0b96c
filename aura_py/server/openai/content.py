"""Message content, strings, ``null`` and arrays of parts, and what is left out of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from aura_py.errors import UnsupportedContent
from aura_py.messages import ImagePart, Part, TextPart
from aura_py.server.openai.fields import shown, wrong

_ECHOES: Final = frozenset({"reasoning", "reasoning_content", "thinking", "redacted_thinking", "tool_use", "tool_call"})
"""Parts that repeat output; they are dropped from history."""
_TEXTS: Final = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_ATTACHED: Final = {
    "input_audio": "a recording",
    "audio": "a recording",
    "file": "a file",
    "input_file": "a file",
    "video_url": "a video",
    "input_video": "a video",
    "video": "a video",
}
"""What no model can be given, and what stands in its place."""


def content_parts(content: object, *, param: str, omitted: Omitted) -> tuple[Part, ...]:
    """The parts of one message's content; text parts next to each other are one part.

    Args:
        omitted: Gets a refusal for each part that no model can be given (audio, files), in whose place stands a note.

    Raises:
        RequestError: The content is neither text nor an array, or a known part lacks what it needs.
        UnsupportedContent: An image that is given in no known way.
    """
    if content is None:
        return ()
    if isinstance(content, str):
        return (TextPart(content),) if content else ()
    if not isinstance(content, list):
        raise wrong(param, "a string or an array of content parts")
    parts: list[Part] = []
    for is_text, run in groupby(_parts(content, param, omitted), lambda part: isinstance(part, TextPart)):
        if is_text:
            parts.append(TextPart("".join(part.text for part in run if isinstance(part, TextPart))))
        else:
            parts.extend(run)
    return tuple(parts)


def _parts(content: list[object], param: str, omitted: Omitted) -> Iterator[Part]:
    for index, item in enumerate(content):
        place = f"{param}[{index}]"
        if isinstance(item, str):
            yield TextPart(item)
            continue
        if not isinstance(item, dict):
            raise wrong(place, "an object with a `type`")
        kind = item.get("type")
        if not isinstance(kind, str):
            raise wrong(f"{place}.type", "a string")
        if kind in _TEXTS:
            text = item.get(_TEXTS[kind])
            if text is not None and not isinstance(text, str):
                raise wrong(f"{place}.{_TEXTS[kind]}", "a string")
            if text:
                yield TextPart(text)
        elif kind in ("image_url", "input_image"):
            yield _image(item, place)
        elif kind in _ATTACHED or kind.startswith("input_"):
            why = f"Content of type `{shown(kind)}` is not supported; send text or images."
            omitted.refusals.append(UnsupportedContent(why, param=place))
            yield TextPart(f"[{_ATTACHED.get(kind, 'a part')} that this model cannot be given]")
        elif kind not in _ECHOES:
            omitted.note(f"content parts of the unknown type `{shown(kind)}` were ignored")


def _image(item: dict[str, object], place: str) -> ImagePart:
    image = item.get("image_url")
    detail = item.get("detail")
    if isinstance(image, dict):
        detail = image.get("detail", detail)
        image = image.get("url")
    if not isinstance(image, str):
        raise wrong(f"{place}.image_url", "an object with a `url`")
    if not image.startswith(("http://", "https://", "data:")):
        raise UnsupportedContent("An image must be given by an `http`, `https` or `data` URL.", param=place)
    return ImagePart(image, detail if isinstance(detail, str) else None)


logger = logging.getLogger(__name__)

_MOST_NOTES: Final = 10


@dataclass(slots=True)
class Omitted:
    """Collects it while a request is read.

    ``refusals`` are for parts that no model can be given; a note stands in their place, and whether that will do is
    for the agent to say. ``notes`` are for the log, one of a kind: a request may hold thousands of them.
    """

    refusals: list[UnsupportedContent] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)

    def note(self, text: str) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.add(text)

    def log(self) -> None:
        for text in sorted(self.notes):
            logger.warning(text)
