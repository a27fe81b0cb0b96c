"""Records that arrive in many pieces, and records nested deeper than the stack."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from aura_py.errors import ProviderProtocolError
from aura_py.llm.anthropic.stream import AnthropicStream
from aura_py.llm.bedrock.frames import FrameReader
from aura_py.llm.bedrock.stream import BedrockStream
from aura_py.llm.embeddings.model import HttpEmbeddingModel
from aura_py.llm.gemini.stream import GeminiStream
from aura_py.llm.ollama.stream import OllamaStream
from aura_py.llm.openai.stream import ChatStream
from aura_py.llm.sse import SseReader
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.transport import HttpClient
from tests.llm.conversations import asked
from tests.wire.providers.fakes.bedrock import frame

SIZE = 2_000_000
PIECE = 1_000
TEXT = b"x" * SIZE


def bytes_copied(feed: Callable[[bytes], object], record: bytes) -> int:
    """The bytes that were allocated while ``record`` was fed in pieces; whatever is copied is allocated."""
    pieces = [record[at : at + PIECE] for at in range(0, len(record), PIECE)]
    copied = 0
    tracemalloc.start()
    try:
        for piece in pieces:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            feed(piece)
            copied += tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return copied


@pytest.mark.parametrize(
    ("feed", "record"),
    [
        (SseReader().feed, b"data: " + TEXT + b"\n\n"),
        (SseReader().feed, b"data: " + TEXT + b"\r\n\r\n"),
        (SseReader().feed, (b"data: " + b"x" * 90 + b"\n") * (SIZE // 97) + b"\n"),
        (OllamaStream(asked("ollama", "m")).feed, b'{"message": {"content": "' + TEXT + b'"}}\n'),
        (FrameReader().feed, frame({":event-type": "metadata"}, TEXT)),
    ],
    ids=["sse", "sse-crlf", "sse-lines", "ndjson", "frames"],
)
def test_a_large_record_in_small_pieces_is_copied_a_fixed_number_of_times(
    feed: Callable[[bytes], object], record: bytes
) -> None:
    assert bytes_copied(feed, record) < 20 * SIZE


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


DEPTHS = (240, 1_000, 1_020, 100_000)
READERS: dict[str, tuple[Callable[[], StreamReader], Callable[[bytes], bytes]]] = {
    "anthropic": (lambda: AnthropicStream(asked("anthropic", "m")), lambda json: b"data: " + json + b"\n\n"),
    "gemini": (lambda: GeminiStream(asked("gemini", "m")), lambda json: b"data: " + json + b"\n\n"),
    "ollama": (lambda: OllamaStream(asked("ollama", "m")), lambda json: json + b"\n"),
    "bedrock": (lambda: BedrockStream(asked("bedrock", "m")), lambda json: frame({":event-type": "metadata"}, json)),
}
SHAPES = [
    b"%s",
    b'{"type": %s}',
    b'{"error": %s}',
    b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": %s}}]}}]}',
    b'{"message": {"tool_calls": [{"function": {"name": "f", "arguments": %s}}]}}',
]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("provider", READERS)
def test_json_of_any_depth_ends_as_an_answer_or_a_failure_of_the_provider(
    provider: str, shape: bytes, depth: int
) -> None:
    make, wrap = READERS[provider]
    reader = make()
    reader.feed(wrap(shape % _nested(depth)))
    if depth > 2_000 and shape in SHAPES[:2]:
        assert type(reader.failure) is ProviderProtocolError


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "shape",
    [
        b"%s",
        b'{"choices": %s}',
        b'{"error": %s}',
        b'{"choices": [{"delta": {"content": %s}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": %s}}]}}]}',
    ],
)
def test_json_of_any_depth_in_chat_completions_does_too(shape: bytes, depth: int) -> None:
    stream = ChatStream(asked("openai", "m"))
    stream.feed(b"data: " + shape % _nested(depth) + b"\n\n")
    if depth > 2_000:
        assert type(stream.failure) is ProviderProtocolError


def test_a_deep_exception_of_bedrock_is_a_failure_too() -> None:
    reader = BedrockStream(asked("bedrock", "m"))
    message = frame({":message-type": "exception", ":exception-type": "modelStreamErrorException"}, _nested(1_000))
    reader.feed(message)
    assert reader.failure is not None


def test_an_embedding_response_of_great_depth_is_a_failure_of_the_provider() -> None:
    class Model(HttpEmbeddingModel):
        def body(self, batch: list[str], purpose: object) -> dict[str, Any]:
            raise AssertionError

        def vectors(self, answer: Any) -> Any:
            return answer["data"]

    errors = asked("openai", "m")
    with pytest.raises(ProviderProtocolError):
        Model(errors, HttpClient("http://127.0.0.1:9"), None, None).read(_nested(100_000))
