"""The sentence model all-MiniLM-L6-v2 in plain numpy, from the files that a package carries; for tests of quality."""

from __future__ import annotations

import json
import re
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from aura_py.llm.embeddings import Purpose, Vector

Array = NDArray[np.float32]
_HEADS, _LAYERS, _LONGEST = 12, 6, 256


class MiniLM:
    """An embedding model of 384 dimensions, read from ``model.zip``."""

    provider = "numpy"
    model = "all-MiniLM-L6-v2"

    def __init__(self, archive: Path) -> None:
        with zipfile.ZipFile(archive) as files:
            self._vocabulary: dict[str, int] = json.loads(files.read("tokenizer.json"))["model"]["vocab"]
            self._weights = _tensors(files.read("model.safetensors"))

    async def embed(self, texts: Sequence[str], *, purpose: Purpose) -> list[Vector]:
        return await anyio.to_thread.run_sync(lambda: [self.vector(text) for text in texts])

    async def aclose(self) -> None:
        pass

    def vector(self, text: str) -> Vector:
        w = self._weights
        ids = [101, *islice(self._pieces(text), _LONGEST - 2), 102]
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: len(ids)] + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, "embeddings.LayerNorm")
        for number in range(_LAYERS):
            x = self._layer(x, f"encoder.layer.{number}.")
        pooled = x.mean(axis=0)
        return [float(value) for value in pooled / np.linalg.norm(pooled)]

    def _layer(self, x: Array, at: str) -> Array:
        length, width = x.shape

        def heads(name: str) -> Array:
            return self._dense(x, f"{at}attention.self.{name}").reshape(length, _HEADS, -1).transpose(1, 0, 2)

        scores = heads("query") @ heads("key").transpose(0, 2, 1) / np.sqrt(width / _HEADS)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = (weights @ heads("value")).transpose(1, 0, 2).reshape(length, width)
        x = self._norm(x + self._dense(mixed, f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm")
        inner = self._dense(x, f"{at}intermediate.dense")
        inner = 0.5 * inner * (1 + np.tanh(0.7978846 * (inner + 0.044715 * inner**3)))
        return self._norm(x + self._dense(inner, f"{at}output.dense"), f"{at}output.LayerNorm")

    def _dense(self, x: Array, name: str) -> Array:
        result: Array = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return result

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        result: Array = scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return result

    def _pieces(self, text: str) -> Iterator[int]:
        plain = unicodedata.normalize("NFD", text.lower())
        plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
        for word in re.findall(r"\w+|[^\w\s]", plain):
            start, found = 0, list[int]()
            while start < len(word):
                prefix = "##" if start else ""
                end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in self._vocabulary), 0)
                if not end:
                    found = [100]
                    break
                found.append(self._vocabulary[prefix + word[start:end]])
                start = end
            yield from found


def _tensors(data: bytes) -> dict[str, Array]:
    size = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    found: dict[str, Array] = {}
    for name, about in header.items():
        if name != "__metadata__" and about["dtype"] == "F32":
            start, end = (8 + size + offset for offset in about["data_offsets"])
            found[name.removeprefix("bert.")] = np.frombuffer(data[start:end], np.float32).reshape(about["shape"])
    return found
