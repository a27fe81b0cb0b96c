"""Images in a conversation and models that cannot see them (``clients.md`` RQ-5)."""

from __future__ import annotations

from dataclasses import replace

from aura_py.errors import UnsupportedContent
from aura_py.messages import ImagePart, Message, Part, TextPart
from aura_py.run.catalog import Served


def seen(messages: tuple[Message, ...], served: Served) -> tuple[Message, ...]:
    """Images go to models that can see them (RQ-5). Otherwise a note takes their place in tools' results, and with
    ``images = "note"`` everywhere.

    Raises:
        UnsupportedContent: The conversation has images, the model sees none and the agent wants no notes.
    """
    if not any(isinstance(part, ImagePart) for message in messages for part in message.content):
        return messages
    if served.runnable.describe().images:
        return messages
    for message in messages if served.config.agent.images == "auto" else ():
        if message.role != "tool" and any(isinstance(part, ImagePart) for part in message.content):
            raise UnsupportedContent(
                f"The model of the agent `{served.id}` cannot see images; send text only.", param="messages"
            )
    return tuple(replace(m, content=tuple(_noted(part) for part in m.content)) for m in messages)


def _noted(part: Part) -> TextPart:
    return part if isinstance(part, TextPart) else TextPart("[an image that this model cannot see]")
