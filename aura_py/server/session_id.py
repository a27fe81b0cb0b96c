"""Which conversation a request belongs to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers

from aura_py.server.headers import header_value

_VALID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_HEADERS: Final = ("x-chat-session-id", "x-openwebui-chat-id")


def session_id(metadata: str | None, headers: Headers, further: Sequence[str] = ()) -> str | None:
    """The id the caller gave, made safe for a header; ``None`` when it gave none.

    ``metadata`` is ``metadata.chat_session_id`` of the body; it wins over ``X-Chat-Session-Id``, which wins over
    ``X-OpenWebUI-Chat-Id``, which wins over ``further`` headers (``AURA_SESSION_HEADERS``). An id with other
    characters is replaced by a digest of itself, so that the same id is always the same session.

    Raises:
        RequestError: One of these headers is sent more than once.
    """
    given = metadata or next((v for name in (*_HEADERS, *further) if (v := header_value(headers, name))), None)
    if not given:
        return None
    if _VALID.fullmatch(given):
        return given
    return f"cs_{hashlib.sha256(given.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
