"""Bedrock's exceptions, from a response or in mid-stream, as errors of Aura."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from aura_py.errors import ProviderError
from aura_py.llm.provider_errors import ProviderErrors

PROVIDER = "bedrock"
# Statuses of the exceptions that a stream may report, and of those whose HTTP status misleads.
_STATUS = {
    "validationexception": 400,
    "accessdeniedexception": 403,
    "expiredtokenexception": 403,
    "unrecognizedclientexception": 403,
    "invalidsignatureexception": 403,
    "resourcenotfoundexception": 404,
    "modeltimeoutexception": 408,
    "throttlingexception": 429,
    "servicequotaexceededexception": 429,
    "modelstreamerrorexception": 500,
    "modelerrorexception": 500,
    "internalserverexception": 500,
    "serviceunavailableexception": 503,
    "modelnotreadyexception": 503,
}
_UNKNOWN_MODEL = ("model identifier is invalid", "could not resolve the foundation model", "on-demand throughput")


def bedrock_errors(
    agent: str, model: str, region: str, base_url: str | None, secrets: tuple[str, ...] = ()
) -> ProviderErrors:
    """The errors of one model."""
    return ProviderErrors(
        agent=agent,
        provider=PROVIDER,
        model=model,
        address=base_url or f"https://bedrock-runtime.{region}.amazonaws.com",
        credentials="the AWS credentials, their permissions and the account's access to the model",
        missing="check `model` (newer ones need an inference profile id such as `us.…`), `region`",
        secrets=secrets,
    )


def bedrock_error(
    errors: ProviderErrors, kind: str, status: int, text: str, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """The error for one of Bedrock's exceptions, from a response or in mid-stream."""
    status = _STATUS.get(kind.lower(), status)
    if status == 400 and any(phrase in text.lower() for phrase in _UNKNOWN_MODEL):
        status = 404
    return errors.status(status, f"{kind}: {text}" if kind else text, headers)


def bedrock_refusal(errors: ProviderErrors, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
    """The error for a response whose status is not 200."""
    raw = body.decode(errors="replace")
    kind = headers.get("x-amzn-errortype", "").partition(":")[0]
    text = raw
    try:
        value: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict):
        kind = kind or str(value.get("__type", "")).rpartition("#")[2]
        text = str(value.get("message") or value.get("Message") or raw)
    return bedrock_error(errors, kind, status, text, headers)
