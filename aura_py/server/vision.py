"""Images in a conversation and models that cannot see them."""

from __future__ import annotations

from dataclasses import replace

from aura_py.errors import UnsupportedContent
from aura_py.messages import ImagePart, Message, Part, TextPart
from aura_py.run.catalog import ServedAgent


def replace_unsupported_images(messages: tuple[Message, ...], served: ServedAgent) -> tuple[Message, ...]:
    """What the model gets of a conversation's images.

    With ``images = "auto"`` they go to every provider that carries images. ``note`` puts a note in their place,
    ``refuse`` refuses them; so does ``auto`` where the provider carries none. Images in tools' results are never
    refused: a note takes their place.

    Raises:
        UnsupportedContent: The conversation has images that the agent does not take.
    """
    if not any(isinstance(part, ImagePart) for message in messages for part in message.content):
        return messages
    policy = served.config.agent.images
    if policy == "auto" and served.runnable.describe().images:
        return messages
    for message in messages if policy != "note" else ():
        if message.role != "tool" and any(isinstance(part, ImagePart) for part in message.content):
            raise UnsupportedContent(
                f"The model of the agent `{served.id}` cannot see images; send text only.", param="messages"
            )
    return tuple(replace(m, content=tuple(_noted(part) for part in m.content)) for m in messages)


def _noted(part: Part) -> TextPart:
    return part if isinstance(part, TextPart) else TextPart("[an image that this model cannot see]")
