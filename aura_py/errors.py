"""Everything that can go wrong, as one tree.

Each class knows its HTTP status, its OpenAI ``type``/``code`` and whether asking again can help. A message is one
sentence: what happened, to what (in backticks), and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

FailureKind = Literal[
    "provider",
    "context_overflow",
    "timeout",
    "first_chunk_timeout",
    "inactivity_timeout",
    "turn_limit",
    "shutdown",
    "cancelled",
    "internal",
]
"""The ``kind`` of an ``aura.error`` event, plus ``cancelled`` for a run whose client has gone."""


class AuraError(Exception):
    """Base of every error Aura raises on purpose.

    Args:
        message: One sentence for the person who can mend it. Never holds a secret.
        detail: What the other side said, for the log; shown to clients only with provider debugging on.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal_error"
    code: ClassVar[str | None] = None
    retryable: ClassVar[bool] = False
    failure: ClassVar[FailureKind] = "internal"

    def __init__(self, message: str, *, detail: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.param = param
        self.headers: Mapping[str, str] = {}

    @property
    def log_text(self) -> str:
        """Message and detail, for the log."""
        return f"{self.message} ({self.detail})" if self.detail else self.message


# --- configuration -------------------------------------------------------------------------------------------------


class ConfigurationError(AuraError):
    """The configuration cannot be used; nothing was started. Carries every problem found (``config.diagnostics``)."""

    type = "configuration_error"


# --- the caller's mistakes -----------------------------------------------------------------------------------------


class RequestError(AuraError):
    """The request cannot be served as it is; sending it again unchanged will fail again."""

    status = 400
    type = "invalid_request_error"


class MissingModel(RequestError):
    code = "missing_required_parameter"


class ModelNotFound(RequestError):
    status = 404
    code = "model_not_found"


class UnsupportedContent(RequestError):
    code = "unsupported_content"


class PathNotFound(RequestError):
    status = 404
    type = "not_found"
    code = "not_found"


class MethodNotAllowed(RequestError):
    status = 405
    code = "method_not_allowed"


class Conflict(RequestError):
    status = 409
    code = "conflict"


class BodyTooLarge(RequestError):
    status = 413
    code = "body_too_large"


class UnsupportedMediaType(RequestError):
    status = 415
    code = "unsupported_media_type"


class InvalidKey(RequestError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(RequestError):
    status = 403
    type = "permission_error"
    code = "forbidden"


# --- the server's state --------------------------------------------------------------------------------------------


class Unavailable(AuraError):
    """The server is draining or overloaded; the same request may succeed in a moment."""

    status = 503
    type = "service_unavailable"
    code = "server_shutdown"
    retryable = True
    failure = "shutdown"


# --- the run's failures --------------------------------------------------------------------------------------------


class RunError(AuraError):
    """The run ended without the answer it was started for."""


class RunCancelled(RunError):
    status = 499
    code = "cancelled"
    failure = "cancelled"


class RunTimeout(RunError):
    status = 504
    type = "timeout_error"
    code = "deadline_exceeded"
    retryable = True
    failure: ClassVar[FailureKind] = "timeout"


class FirstChunkTimeout(RunTimeout):
    """The model did not send its first delta in time."""

    code = "first_chunk_timeout"
    failure = "first_chunk_timeout"


class InactivityTimeout(RunTimeout):
    """The model fell silent in the middle of its answer."""

    code = "inactivity_timeout"
    failure = "inactivity_timeout"


class ServerUnavailable(RunError):
    """An MCP server that the agent declares as ``required`` is not there."""

    status = 502
    type = "upstream_error"
    code = "mcp_server_unavailable"
    retryable = True


# --- the model's provider ------------------------------------------------------------------------------------------


class ProviderError(RunError):
    """A model provider failed. ``provider_status`` is its HTTP status, ``retry_after`` its wish in seconds.

    ``parameters`` are those of the request that its words name, as Chat Completions calls them.
    """

    status = 502
    type = "upstream_error"
    code = "provider_error"
    failure: ClassVar[FailureKind] = "provider"

    def __init__(
        self,
        message: str,
        *,
        detail: str | None = None,
        provider_status: int | None = None,
        retry_after: float | None = None,
        parameters: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(message, detail=detail)
        self.provider_status = provider_status
        self.retry_after = retry_after
        self.parameters = parameters


class ProviderAuthError(ProviderError):
    """The provider refuses the credentials (401, 403)."""

    code = "provider_auth_error"


class ProviderNotFound(ProviderError):
    """The provider does not know the model or the endpoint (404)."""

    code = "provider_not_found"


class ProviderRejected(ProviderError):
    """The provider says that the request is malformed (400, 413, 422)."""

    code = "provider_rejected"


class ContextOverflow(ProviderError):
    """The conversation does not fit the model's context window."""

    status = 400
    type = "invalid_request_error"
    code = "context_length_exceeded"
    failure = "context_overflow"


class ProviderOverloaded(ProviderError):
    """The provider is overloaded or limits the rate (408, 429, 5xx)."""

    status = 503
    code = "provider_overloaded"
    retryable = True


class ProviderUnreachable(ProviderError):
    """No connection, a broken connection, or a TLS failure."""

    code = "provider_unreachable"
    retryable = True


class ProviderProtocolError(ProviderError):
    """The provider sent something that is not its protocol."""

    code = "provider_protocol_error"
    retryable = True
