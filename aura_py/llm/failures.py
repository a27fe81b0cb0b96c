"""What a provider's refusal means: one class and one sentence for every status, message and broken connection.

Sentences name agent, provider, model and remedy; what the provider itself said goes to ``detail``, without keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import urlsplit, urlunsplit

from aura_py.errors import (
    ContextOverflow,
    ProviderAuthError,
    ProviderError,
    ProviderNotFound,
    ProviderOverloaded,
    ProviderProtocolError,
    ProviderRejected,
    ProviderUnreachable,
    RequestError,
    UnsupportedContent,
)
from aura_py.llm.parameters import named_parameters

_OVERFLOW = re.compile(
    r"context[_ ]length|context window|maximum context|max context length|context limit|prompt is too long"
    r"|input is too long|input token count.{0,40}exceeds|prompt too long|too many input tokens"
    r"|maximum number of tokens|token limit|tokens exceeded|resulted in\b.*\btokens|context.*exceed|exceed.*context"
    r"|reduce the length of|longer than the maximum model length|maximum prompt length|input token count is"
    r"|too many tokens:|`inputs`.{0,40}tokens|exceeds maximum allowed token",
    re.IGNORECASE | re.DOTALL,
)
_BAD_KEY = re.compile(r"api[_ ]?key[_ ]?(?:not[_ ]valid|invalid|expired)|invalid[_ ]api[_ ]key", re.IGNORECASE)
_FILTERED = re.compile(
    r"content[_ ]filter|content management policy|content[_ ]policy[_ ]violation|content filtering policy"
    r"|responsibleaipolicy|requires moderation|flagged_input|(?:input|prompt|request) was flagged",
    re.IGNORECASE,
)
_UNPAID = re.compile(
    r"insufficient_quota|credit balance is too low|billing_hard_limit_reached|billing_not_active"
    r"|insufficient (?:balance|credits)",
    re.IGNORECASE,
)
_UNSUPPORTED = re.compile(
    r"not support|unsupported|deprecated|not permitted|not allowed|unrecognized|unknown (?:name|parameter|field)",
    re.IGNORECASE,
)
_KNOB = re.compile(
    r"\b(temperature|top_p|topP|top_k|topK|stop_sequences|stop|seed|max_tokens|max_completion_tokens|reasoning_effort"
    r"|thinking|effort|response_format|parallel_tool_calls|tool_choice|tools|images?|stream_options)\b"
)
_HTML = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)
_TLS = re.compile(r"\b\w*SSL\w*Error\b|\w*Certificate\w*Error\b|\[SSL|CERTIFICATE_VERIFY|TLSV1|TLS handshake")
_DETAIL_CHARS = 500
_TOO_LONG = (
    "cannot take a conversation of this length; start a new one, shorten it, or use a model with a larger window"
)


@dataclass(slots=True, frozen=True)
class Asked:
    """Who asked which model where; builds the errors of one dialect.

    ``credentials`` says where the person finds the key to mend, ``missing`` how to get a model that is not there;
    ``secrets`` never appear in any text.
    """

    agent: str
    provider: str
    model: str
    address: str
    credentials: str = "`api_key` in `[agent.llm]`"
    missing: str = "check `model`"
    secrets: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The address as it may be shown: a user, a password and a query may be credentials."""
        scheme, host, path, _query, _fragment = urlsplit(self.address)
        return urlunsplit((scheme, host.rpartition("@")[2], path, "", ""))

    def said(self, text: str | None) -> str | None:
        """What the provider said, shortened and without the keys."""
        if not text:
            return None
        for secret in (*self.secrets, urlsplit(self.address).password):
            if secret:
                text = text.replace(secret, "***")
        text = " ".join(text.split())
        return text if len(text) <= _DETAIL_CHARS else text[: _DETAIL_CHARS - 1] + "…"

    def status(
        self, status: int, text: str = "", headers: Mapping[str, str] | None = None, *, retry_after: float | None = None
    ) -> ProviderError:
        """The error for an HTTP status, or for a mid-stream error that stands for one."""
        detail = self.said(text)
        wait = retry_after if retry_after is not None else _retry_after(headers or {})
        kind, what = self._judge(status, text)
        if _HTML.match(text):
            what = (
                f"answered HTTP {status} with an HTML page instead of JSON; a proxy in between or a wrong address:"
                f" check `base_url` (`{self.place}`)"
            )
        return kind(
            self._sentence(what),
            detail=detail,
            provider_status=status,
            retry_after=wait,
            parameters=named_parameters(status, text),
        )

    def _judge(self, status: int, text: str) -> tuple[type[ProviderError], str]:
        if status in (400, 403, 422) and _FILTERED.search(text):
            return ProviderRejected, (
                f"withheld the answer: its content filter objects to the conversation (HTTP {status}); rephrase it"
            )
        if status in (400, 402, 403, 429) and (status == 402 or _UNPAID.search(text)):
            return ProviderRejected, (
                f"wants payment first (HTTP {status}); check the credit, the plan and the limits of the account"
            )
        if status in (401, 403) or (status == 400 and _BAD_KEY.search(text)):
            return ProviderAuthError, f"refused the credentials (HTTP {status}); check {self.credentials}"
        if status in (400, 413, 422, 500) and is_context_overflow(text):
            return ContextOverflow, _TOO_LONG
        if status == 404:
            return ProviderNotFound, (
                f"knows no such model or address (HTTP 404); {self.missing} and `base_url` (`{self.place}`)"
            )
        if status == 413:
            return ProviderRejected, "finds the request too large (HTTP 413); send fewer or smaller images and files"
        if status == 429:
            return ProviderOverloaded, "limits the rate of requests (HTTP 429); try again later or raise the quota"
        if status in (408, 409, 425) or status >= 500:
            return ProviderOverloaded, f"is overloaded or failing (HTTP {status}); try again later"
        knob = _KNOB.search(text) if _UNSUPPORTED.search(text) else None
        if knob:
            return ProviderRejected, (
                f"does not take `{knob[1]}` as it was sent (HTTP {status}); remove it from the agent's file or the"
                " request, or use a model that takes it"
            )
        return ProviderRejected, (
            f"rejected the request as malformed (HTTP {status}); check `model`, `additional_params` and the log"
        )

    def unreachable(self, cause: BaseException) -> ProviderError:
        """No connection: refused, unknown host, timed out, or TLS."""
        text = _chain(cause)
        if _TLS.search(text):
            what = (
                f"cannot be reached securely at `{self.place}` (TLS failed); check the scheme of `base_url`, the"
                " certificate and the trusted authorities of this host"
            )
        else:
            what = f"cannot be reached at `{self.place}`; check `base_url`, the network and that the service is running"
        return ProviderUnreachable(self._sentence(what), detail=self.said(text))

    def broken(self, cause: BaseException | None = None) -> ProviderError:
        """The stream ended or broke before the provider said it was done."""
        what = f"broke the connection in the middle of the answer (`{self.place}`); try again"
        return ProviderUnreachable(self._sentence(what), detail=self.said(_chain(cause)) if cause else None)

    def garbage(self, text: str, cause: BaseException | None = None) -> ProviderError:
        """Something that is not the provider's protocol."""
        if _HTML.match(text):
            what = (
                "answered with an HTML page instead of a stream; a proxy in between or a wrong address: check"
                f" `base_url` (`{self.place}`)"
            )
        else:
            what = (
                "sent a stream that is not its protocol; check that `provider` fits the service behind"
                f" `base_url` (`{self.place}`)"
            )
        return ProviderProtocolError(self._sentence(what), detail=self.said(text or (_chain(cause) if cause else "")))

    def overflow(self, text: str, *, status: int | None = None) -> ProviderError:
        """The conversation does not fit, whatever status the provider chose to say so."""
        return ContextOverflow(self._sentence(_TOO_LONG), detail=self.said(text), provider_status=status)

    def refuse(self, param: str, why: str) -> RequestError:
        """A request parameter that this provider has no knob for."""
        return RequestError(
            f"Agent `{self.agent}`: provider `{self.provider}`, model `{self.model}`, cannot take `{param}`: {why}.",
            param=param,
        )

    def refuse_content(self, what: str, remedy: str) -> UnsupportedContent:
        """A content part that this provider cannot take."""
        return UnsupportedContent(
            f"Agent `{self.agent}`: provider `{self.provider}`, model `{self.model}`, cannot take {what}; {remedy}.",
            param="messages",
        )

    def _sentence(self, what: str) -> str:
        return f"Agent `{self.agent}`: provider `{self.provider}`, model `{self.model}`, {what}."


def is_context_overflow(text: str) -> bool:
    """Whether a provider's words say that the context window is full (``http-api.md`` §9.10)."""
    return _OVERFLOW.search(text) is not None


def _chain(error: BaseException) -> str:
    parts = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        parts.append(f"{type(current).__name__}: {current}" if str(current) else type(current).__name__)
        current = current.__cause__ or current.__context__
    return " < ".join(parts)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        if "retry-after-ms" in lower:
            return max(0.0, float(lower["retry-after-ms"]) / 1000)
        if "retry-after" in lower:
            return max(0.0, float(lower["retry-after"]))
    except ValueError:
        pass
    if "retry-after" not in lower:
        return None
    try:
        return max(0.0, parsedate_to_datetime(lower["retry-after"]).timestamp() - time())
    except ValueError:
        return None
