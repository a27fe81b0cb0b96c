"""What a provider's refusal means: one class and one sentence for every status, message and broken connection.

Sentences name agent, provider, model and remedy; what the provider itself said goes to ``detail``, without keys.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import inf
from time import time
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies

import re2

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


def _pattern(source: str, *, any_case: bool = True) -> Any:
    """What providers say is matched in linear time, whatever they say."""
    options = re2.Options()
    options.case_sensitive = not any_case
    options.dot_nl = True
    return re2.compile(source, options)


_OVERFLOW = _pattern(
    r"context[_ ]length|context window|maximum context|max context length|context limit|prompt is too long"
    r"|input is too long|input token count.{0,40}exceeds|prompt too long|too many input tokens"
    r"|maximum number of tokens|token limit|tokens exceeded|resulted in\b.*\btokens|context.*exceed|exceed.*context"
    r"|reduce the length of|longer than the maximum model length|maximum prompt length|input token count is"
    r"|too many tokens:|`inputs`.{0,40}tokens|exceeds maximum allowed token"
)
_BAD_KEY = _pattern(r"api[_ ]?key[_ ]?(?:not[_ ]valid|invalid|expired)|invalid[_ ]api[_ ]key")
_FILTERED = _pattern(
    r"content[_ ]filter|content management policy|content[_ ]policy[_ ]violation|content filtering policy"
    r"|responsibleaipolicy|requires moderation|flagged_input|(?:input|prompt|request) was flagged"
)
_UNPAID = _pattern(
    r"insufficient_quota|credit balance is too low|billing_hard_limit_reached|billing_not_active"
    r"|insufficient (?:balance|credits)"
)
_UNSUPPORTED = _pattern(
    r"not support|unsupported|deprecated|not permitted|not allowed|unrecognized|unknown (?:name|parameter|field)"
)
_TOO_MANY_TOOLS = _pattern(r"'?tools'?: array too long|too many (?:tools|functions)|at most \d+ (?:tools|functions)")
_KNOB = _pattern(
    r"\b(temperature|top_p|topP|top_k|topK|stop_sequences|stop|seed|max_tokens|max_completion_tokens|reasoning_effort"
    r"|thinking|effort|response_format|parallel_tool_calls|tool_choice|tools|images?|stream_options)\b",
    any_case=False,
)
_HTML = _pattern(r"\A\s*<(?:!doctype|html|head|body|\?xml)")
_TLS = _pattern(
    r"SSL\w*Error\b|Certificate\w*Error\b|\[SSL|CERTIFICATE_VERIFY|TLSV1|TLS handshake",
    any_case=False,
)
_READ_CHARS = 64 * 1024
"""What is looked at for keys to hide. Bodies are cut here too, but other texts are not."""
_MATCHED_CHARS = 4096
_DETAIL_CHARS = 500
_TOO_LONG = (
    "cannot take a conversation of this length; start a new one, shorten it, or use a model with a larger window"
)


@dataclass(slots=True, frozen=True)
class ProviderErrors:
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
        """The address as the log may show it; API clients are not told what the network behind Aura looks like."""
        return _place(self.address)

    def excerpt(self, text: str | None) -> str | None:
        """What the other side said, on one short line and without the keys."""
        if not text:
            return None
        cut = len(text) > _READ_CHARS
        text = text[:_READ_CHARS]
        query = (value for _, value in parse_qsl(urlsplit(self.address).query))
        # Errors of the HTTP library repeat the address of a proxy, and plain HTTP shows its password to the provider.
        addresses = (self.address, *getproxies().values())
        hidden = {*self.secrets, *query, *(secret for each in addresses for secret in _userinfo_secrets(each))}
        # Longest first, so that no secret hides in the rest of another one.
        secrets = sorted((secret for secret in hidden if secret), key=len, reverse=True)
        for secret in secrets:
            for form in {secret, quote(secret, safe="")}:
                text = text.replace(form, "***")
        if cut and secrets:
            text = text[: -len(secrets[0]) * 3]
        text = "".join(character if character.isprintable() else " " for character in text[: 2 * _MATCHED_CHARS])
        text = " ".join(text.split())
        return text if len(text) <= _DETAIL_CHARS else text[: _DETAIL_CHARS - 1] + "…"

    def status(
        self, status: int, text: str = "", headers: Mapping[str, str] | None = None, *, retry_after: float | None = None
    ) -> ProviderError:
        """The error for an HTTP status, or for a mid-stream error that stands for one."""
        wait = retry_after if retry_after is not None else _retry_after(headers or {})
        if wait is not None and not 0 <= wait < inf:
            wait = None
        kind, what = self._judge(status, text[:_MATCHED_CHARS])
        html = _HTML.search(text[:_MATCHED_CHARS])
        if html:
            what = (
                f"answered HTTP {status} with an HTML page instead of JSON; a proxy in between or a wrong address:"
                " check `base_url`"
            )
        return kind(
            self._sentence(what),
            detail=self._at_place(text) if html or kind is ProviderNotFound else self.excerpt(text),
            provider_status=status,
            retry_after=wait,
            parameters=named_parameters(status, text[:_MATCHED_CHARS]),
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
            return ProviderNotFound, f"knows no such model or address (HTTP 404); {self.missing} and `base_url`"
        if status == 413:
            return ProviderRejected, "finds the request too large (HTTP 413); send fewer or smaller images and files"
        if status == 429:
            return ProviderOverloaded, "limits the rate of requests (HTTP 429); try again later or raise the quota"
        if status in (408, 409, 425) or status >= 500:
            return ProviderOverloaded, f"is overloaded or failing (HTTP {status}); try again later"
        if _TOO_MANY_TOOLS.search(text):
            return ProviderRejected, (
                f"takes fewer tools than the agent offers (HTTP {status}); offer fewer with `mcp_filter`, or spread"
                " them over workers"
            )
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
        if _TLS.search(text[:_MATCHED_CHARS]):
            what = (
                "cannot be reached securely (TLS failed); check the scheme of `base_url`, the certificate and the"
                " trusted authorities of this host"
            )
        else:
            what = "cannot be reached; check `base_url`, the network and that the service is running"
        return ProviderUnreachable(self._sentence(what), detail=self._at_place(text))

    def not_http(self, cause: BaseException) -> ProviderError:
        """Something answered, but not in HTTP, or with a head that no HTTP client takes."""
        what = "sent something that is not HTTP; check the scheme, the host and the port of `base_url`"
        return ProviderUnreachable(self._sentence(what), detail=self._at_place(_chain(cause)))

    def proxy_refused(self, status: int, cause: BaseException) -> ProviderError:
        """A proxy would not connect to the provider."""
        what = f"cannot be reached: the proxy refused (HTTP {status}); check `HTTPS_PROXY` and `NO_PROXY` of this host"
        return ProviderUnreachable(self._sentence(what), detail=self._at_place(_chain(cause)))

    def redirected(self, status: int, location: str) -> ProviderError:
        """A redirect. Following it would give key and conversation to whom nobody configured."""
        try:
            target = _place(urljoin(self.place, location))
        except ValueError:
            target = "an address that is none"
        what = f"redirects to another address (HTTP {status}); put the address that answers into `base_url`"
        detail = self._at_place(f"redirected to {target}")
        return ProviderNotFound(self._sentence(what), detail=detail, provider_status=status)

    def broken(self, cause: BaseException | None = None) -> ProviderError:
        """The stream ended or broke before the provider said it was done."""
        what = "broke the connection in the middle of the answer; try again"
        detail = self._at_place(_chain(cause) if cause else "the stream ended early")
        return ProviderUnreachable(self._sentence(what), detail=detail)

    def empty(self) -> ProviderError:
        """A stream that ended properly and never had anything of an answer in it."""
        return ProviderProtocolError(self._sentence("ended the stream without an answer; try again"))

    def malformed(self, text: str, cause: BaseException | None = None) -> ProviderError:
        """Something that is not the provider's protocol."""
        if _HTML.search(text[:_MATCHED_CHARS]):
            what = (
                "answered with an HTML page instead of a stream; a proxy in between or a wrong address: check"
                " `base_url`"
            )
        else:
            what = "sent a stream that is not its protocol; check that `provider` fits the service behind `base_url`"
        detail = self._at_place(text or (_chain(cause) if cause else ""))
        return ProviderProtocolError(self._sentence(what), detail=detail)

    def overflow(self, text: str, *, status: int | None = None) -> ProviderError:
        """The conversation does not fit, whatever status the provider chose to say so."""
        return ContextOverflow(self._sentence(_TOO_LONG), detail=self.excerpt(text), provider_status=status)

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

    def _at_place(self, text: str) -> str:
        said = self.excerpt(text)
        return f"`{self.place}`: {said}" if said else f"`{self.place}`"

    def _sentence(self, what: str) -> str:
        return f"Agent `{self.agent}`: provider `{self.provider}`, model `{self.model}`, {what}."


def is_context_overflow(text: str) -> bool:
    """Whether a provider's words say that the context window is full; the first 4,096 characters count."""
    return _OVERFLOW.search(text[:_MATCHED_CHARS]) is not None


def _userinfo_secrets(address: str) -> tuple[str, ...]:
    """User and password of an address, as they stand there and as a header carries them."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return (address,)
    found = [part for part in (parts.username, parts.password) if part]
    plain = [unquote(part) for part in found]
    return (*found, *plain, b64encode(":".join(plain).encode()).decode()) if found else ()


def _place(address: str) -> str:
    """An address without user, password and query, each of which may be a credential."""
    scheme, host, path, _query, _fragment = urlsplit(address)
    return urlunsplit((scheme, host.rpartition("@")[2], path, "", ""))


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
    except (ValueError, OverflowError, OSError):
        return None
