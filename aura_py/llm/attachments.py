"""Images and files of a conversation, taken apart for providers that want media type and bytes separately."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from aura_py.llm.provider_errors import ProviderErrors
from aura_py.messages import FilePart, ImagePart


@dataclass(slots=True, frozen=True)
class Attachment:
    """Bytes carried in the conversation itself; ``data`` is base64 without line breaks."""

    media_type: str
    data: str

    def decoded(self) -> bytes:
        return base64.b64decode(self.data)


def attachment(part: ImagePart | FilePart, errors: ProviderErrors) -> Attachment | None:
    """The bytes of an image or a file; ``None`` where the conversation has its address only.

    Raises:
        UnsupportedContent: The bytes are no valid base64.
    """
    data = None if isinstance(part, ImagePart) else part.data
    url = data if data and data.startswith("data:") else part.url
    try:
        if url and url.startswith("data:"):
            return _data_url(url)
        if data and isinstance(part, FilePart):
            return Attachment(part.media_type or "application/octet-stream", _checked(data))
    except ValueError as error:
        raise errors.refuse_content(f"{attachment_kind(part)} with {error}", "send it as base64") from error
    return None


def attachment_kind(part: ImagePart | FilePart) -> str:
    """What to call a part in an error."""
    return "an image" if isinstance(part, ImagePart) else "a file"


def _data_url(url: str) -> Attachment:
    head, comma, body = url[5:].partition(",")
    if not comma:
        raise ValueError("a `data:` URL without a comma")
    media_type, *flags = head.split(";")
    if "base64" in flags:
        return Attachment(media_type or "text/plain", _checked(body))
    return Attachment(media_type or "text/plain", base64.b64encode(unquote_to_bytes(body)).decode())


def _checked(data: str) -> str:
    compact = "".join(data.split())
    try:
        base64.b64decode(compact, validate=True)
    except binascii.Error as error:
        raise ValueError("invalid base64") from error
    return compact
