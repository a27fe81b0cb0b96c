"""Data URLs and files of a conversation, taken apart for providers that want media type and bytes separately."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from aura_py.messages import FilePart, ImagePart


@dataclass(slots=True, frozen=True)
class Inline:
    """Bytes carried in the conversation itself; ``data`` is base64 without line breaks."""

    media_type: str
    data: str

    def decoded(self) -> bytes:
        return base64.b64decode(self.data)


def inline_image(part: ImagePart) -> Inline | None:
    """The image of a ``data:`` URL; ``None`` for an address.

    Raises:
        ValueError: The ``data:`` URL holds no valid base64.
    """
    return _data_url(part.url) if part.url.startswith("data:") else None


def inline_file(part: FilePart) -> Inline | None:
    """The bytes of a file part; ``None`` when it only has an address.

    Raises:
        ValueError: Its data is no valid base64.
    """
    url = part.data if part.data and part.data.startswith("data:") else part.url
    if url and url.startswith("data:"):
        return _data_url(url)
    if part.data:
        return Inline(part.media_type or "application/octet-stream", _checked(part.data))
    return None


def _data_url(url: str) -> Inline:
    head, comma, body = url[5:].partition(",")
    if not comma:
        raise ValueError("a `data:` URL without a comma")
    media_type, *flags = head.split(";")
    if "base64" in flags:
        return Inline(media_type or "text/plain", _checked(body))
    return Inline(media_type or "text/plain", base64.b64encode(unquote_to_bytes(body)).decode())


def _checked(data: str) -> str:
    compact = "".join(data.split())
    try:
        base64.b64decode(compact, validate=True)
    except binascii.Error as error:
        raise ValueError("invalid base64") from error
    return compact
