"""Amazon Bedrock's ``ConverseStream``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson

from aura_py.errors import ProviderError
from aura_py.llm import claude
from aura_py.llm.bedrock.body import PROVIDER, build_body
from aura_py.llm.bedrock.connection import BedrockClient
from aura_py.llm.bedrock.stream import BedrockStream, Frame, FrameReader
from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest, Delta
from aura_py.llm.finish_reasons import is_failure
from aura_py.llm.json_text import MALFORMED
from aura_py.llm.lenient_json import LenientJson
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.stream_reader import Answer, stream_deltas

if TYPE_CHECKING:
    from aura_py.config.models import BedrockLLM

CAPABILITIES = Capabilities(
    images=True,
    tool_images=True,
    reasoning=True,
    parallel_tools=True,
    tool_choice=True,
    seed=False,
    stop=True,
    response_format=True,
    reasoning_effort=True,
    prompt_cache=True,
    notes=(
        "images only as `data:` URLs",
        "`tool_choice = none` leaves the tools out and tells earlier calls as text",
        "`reasoning_effort` on Claude (3.7 on), Nova 2 and gpt-oss; refused elsewhere",
        "parallel tool calls cannot be switched off",
        "cache points on Claude (3.5 Haiku and 3.7 on) and Nova",
        "`response_format` takes `json_schema` only",
        "`temperature` and `top_p` end with Claude 4.6; later models refuse them",
    ),
)
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


def build(config: BedrockLLM, *, agent: str) -> ChatModel:
    """A model of Amazon Bedrock. Imports `boto3`.

    Raises:
        ConfigurationError: The profile does not exist, or the model has no `temperature`.
    """
    claude.check_table(config, agent)
    return _Bedrock(config, agent)


def failure(
    errors: ProviderErrors, kind: str, status: int, text: str, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """The error for one of Bedrock's exceptions, from a response or in mid-stream."""
    status = _STATUS.get(kind.lower(), status)
    if status == 400 and any(phrase in text.lower() for phrase in _UNKNOWN_MODEL):
        status = 404
    return errors.status(status, f"{kind}: {text}" if kind else text, headers)


def address(region: str, base_url: str | None) -> str:
    return base_url or f"https://bedrock-runtime.{region}.amazonaws.com"


def bedrock_errors(
    agent: str, model: str, region: str, base_url: str | None, secrets: tuple[str, ...] = ()
) -> ProviderErrors:
    return ProviderErrors(
        agent=agent,
        provider=PROVIDER,
        model=model,
        address=address(region, base_url),
        credentials="the AWS credentials, their permissions and the account's access to the model",
        missing="check `model` (newer ones need an inference profile id such as `us.…`), `region`",
        secrets=secrets,
    )


class _Bedrock:
    def __init__(self, config: BedrockLLM, agent: str) -> None:
        self.provider = PROVIDER
        self.model = config.model
        self.context_window = config.context_window
        self.capabilities = CAPABILITIES
        self._config = config
        self._errors = bedrock_errors(
            agent,
            config.model,
            config.region,
            config.base_url,
            (config.api_key.get_secret_value(),) if config.api_key else (),
        )
        self._client = BedrockClient(
            region=config.region, profile=config.profile, base_url=config.base_url, agent=agent
        )

    def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        return stream_deltas(self._answer(request))

    async def aclose(self) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def _answer(self, request: ChatRequest) -> AsyncGenerator[Answer, None]:
        errors = self._errors
        parameters = build_body(
            request,
            errors=errors,
            max_tokens=self._config.max_tokens,
            temperature=self._config.temperature,
            additional_params=self._config.additional_params,
        )
        signed = await self._client.signed(errors, "converse_stream", parameters)
        errors = signed.discreet(errors)
        async with self._client.send(errors, signed, refused) as response:
            yield _BedrockReader(errors), response.chunks()


class _BedrockReader:
    """Frames to deltas."""

    def __init__(self, errors: ProviderErrors) -> None:
        self._errors = errors
        self._frames = FrameReader()
        self._stream = BedrockStream()
        self._json = LenientJson()
        self._start = b""
        self.failure: ProviderError | None = None

    @property
    def done(self) -> bool:
        return self._stream.done

    def feed(self, chunk: bytes) -> list[Delta]:
        self._start = self._start or chunk[:200]
        deltas: list[Delta] = []
        for frame in self._frames.feed(chunk):
            self._take(frame, deltas)
            if self.failure is not None:
                return self._json.joined(deltas)
        if self._frames.damage is not None and not self.done:
            said = self._start.decode(errors="replace") if _foreign(self._start) else self._frames.damage
            self.failure = self._errors.garbage(said)
        return self._json.joined(deltas)

    def end(self) -> list[Delta]:
        deltas: list[Delta] = []
        if self._stream.stop is not None:
            self._stream.end(deltas)
        elif _foreign(self._start):
            self.failure = self._errors.garbage(self._start.decode(errors="replace"))
        else:
            self.failure = self._errors.broken()
        return self._json.joined(deltas)

    def _take(self, frame: Frame, out: list[Delta]) -> None:
        if frame.failed:
            self.failure = self._failed(frame)
            return
        try:
            try:
                self._stream.take(frame.event, orjson.loads(frame.payload or b"{}"), out)
            except orjson.JSONDecodeError:
                for body in self._json.values(frame.payload):
                    self._stream.take(frame.event, body, out)
        except MALFORMED as error:
            self.failure = self._errors.garbage(frame.payload.decode(errors="replace"), error)
        if is_failure(self._stream.stop):
            # The model failed to form an answer; asking again usually helps.
            self.failure = failure(self._errors, "", 500, str(self._stream.stop))
        elif frame.event == "metadata" and self._stream.empty:
            self.failure = self._errors.empty()

    def _failed(self, frame: Frame) -> ProviderError:
        original: object = None
        try:
            body = orjson.loads(frame.payload)
            original = body.get("originalStatusCode")
            text = f"{body.get('message', '')} {body.get('originalMessage', '')}".strip()
        except MALFORMED:
            text = frame.payload.decode(errors="replace")
        return failure(self._errors, frame.event, original if isinstance(original, int) else 500, text)


def refused(errors: ProviderErrors, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
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
    return failure(errors, kind, status, text, headers)


def _foreign(start: bytes) -> bool:
    """Whether bytes look like text rather than the beginning of a message."""
    return start.lstrip()[:1] in (b"<", b"{", b"[") or start[:5] == b"data:"
