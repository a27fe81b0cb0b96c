"""What a strict server (``AURA_STRICT_REQUESTS``) refuses instead of ignoring it."""

from __future__ import annotations

from collections.abc import Mapping

from aura_py.errors import RequestError
from aura_py.server.openai import fields


def refuse_unhonoured(body: Mapping[str, object]) -> None:
    """Raises :class:`RequestError` for several choices, token probabilities and audio output."""
    if (fields.whole(body, "n") or 1) > 1:
        raise _refused("n", "there is one answer to a request")
    if body.get("logprobs") or body.get("top_logprobs"):
        raise _refused("logprobs" if body.get("logprobs") else "top_logprobs", "token probabilities are not given")
    if any("logprobs" in str(item) for item in fields.array(body, "include") or ()):
        raise _refused("include", "token probabilities are not given")
    if body.get("audio") is not None or "audio" in (fields.array(body, "modalities") or ()):
        raise _refused("audio" if body.get("audio") is not None else "modalities", "answers are text")


def _refused(param: str, why: str) -> RequestError:
    return RequestError(f"`{param}` cannot be served: {why}; leave it out.", param=param)
