"""`python -m tests.wire.providers.local_model FOLDER`: llama.cpp's own server over a tiny model of random weights.

It says nothing sensible, but it is a real inference server: real tokens, real sampling, real grammar-bound output.
The weights are made here, so nothing is fetched. Prints its address; ends with its standard input.
"""

from __future__ import annotations

import random
import struct
import sys
from array import array
from pathlib import Path
from typing import Any

WINDOW = 512
_WIDTH, _INNER, _HEADS = 64, 128, 2
_ALIGNMENT = 32
_TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
_UINT32, _FLOAT32, _STRING, _ARRAY, _INT32 = 4, 6, 8, 9, 5
_UNKNOWN, _CONTROL, _BYTE, _NORMAL = 2, 3, 6, 1


def _vocabulary() -> tuple[list[str], list[int]]:
    letters = [chr(code) for code in range(32, 127)] + ["\u2581"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256)), *letters]
    return tokens, [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256, *[_NORMAL] * len(letters)]


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _array(kind: int, items: list[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


def _settings() -> list[tuple[str, int, bytes]]:
    tokens, kinds = _vocabulary()

    def number(value: int) -> bytes:
        return struct.pack("<I", value)

    settings: list[tuple[str, int, Any]] = [
        ("general.architecture", _STRING, _string("llama")),
        ("llama.context_length", _UINT32, number(WINDOW)),
        ("llama.embedding_length", _UINT32, number(_WIDTH)),
        ("llama.block_count", _UINT32, number(1)),
        ("llama.feed_forward_length", _UINT32, number(_INNER)),
        ("llama.attention.head_count", _UINT32, number(_HEADS)),
        ("llama.attention.layer_norm_rms_epsilon", _FLOAT32, struct.pack("<f", 1e-5)),
        ("tokenizer.ggml.model", _STRING, _string("llama")),
        ("tokenizer.ggml.tokens", _ARRAY, _array(_STRING, [_string(token) for token in tokens])),
        ("tokenizer.ggml.scores", _ARRAY, _array(_FLOAT32, [struct.pack("<f", 0.0)] * len(tokens))),
        ("tokenizer.ggml.token_type", _ARRAY, _array(_INT32, [struct.pack("<i", kind) for kind in kinds])),
        ("tokenizer.ggml.bos_token_id", _UINT32, number(1)),
        ("tokenizer.ggml.eos_token_id", _UINT32, number(2)),
        ("tokenizer.ggml.unknown_token_id", _UINT32, number(0)),
        ("tokenizer.chat_template", _STRING, _string(_TEMPLATE)),
    ]
    return settings


def _tensors() -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes, the fastest dimension first."""
    words = len(_vocabulary()[0])
    square = (_WIDTH, _WIDTH)
    return [
        ("token_embd.weight", (_WIDTH, words)),
        ("output_norm.weight", (_WIDTH,)),
        ("output.weight", (_WIDTH, words)),
        ("blk.0.attn_norm.weight", (_WIDTH,)),
        *((f"blk.0.attn_{name}.weight", square) for name in ("q", "k", "v", "output")),
        ("blk.0.ffn_norm.weight", (_WIDTH,)),
        ("blk.0.ffn_gate.weight", (_WIDTH, _INNER)),
        ("blk.0.ffn_up.weight", (_WIDTH, _INNER)),
        ("blk.0.ffn_down.weight", (_INNER, _WIDTH)),
    ]


def write_model(path: Path) -> None:
    """A GGUF file (version 3) with one layer of random weights."""
    chance = random.Random(1)
    head, data = b"", b""
    for name, shape in _tensors():
        size = 1
        for length in shape:
            size *= length
        norm = len(shape) == 1
        weights = array("f", (1.0 if norm else chance.gauss(0, 0.5) for _ in range(size)))
        head += _string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", 0, len(data))
        data += weights.tobytes()
        data += b"\0" * (-len(data) % _ALIGNMENT)
    settings = _settings()
    start = b"GGUF" + struct.pack("<IQQ", 3, len(_tensors()), len(settings))
    start += b"".join(_string(name) + struct.pack("<I", kind) + value for name, kind, value in settings)
    start += head
    path.write_bytes(start + b"\0" * (-len(start) % _ALIGNMENT) + data)


def main(folder: Path) -> None:
    from importlib import import_module

    llama: Any = import_module("xllamacpp")
    model = folder / "tiny.gguf"
    write_model(model)
    parameters = llama.CommonParams()
    parameters.model.path = str(model)
    parameters.n_ctx = WINDOW
    parameters.warmup = False
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    server = llama.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
