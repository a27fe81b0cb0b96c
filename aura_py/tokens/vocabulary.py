"""Byte-pair vocabularies: ``o200k_base`` from the package, others only from the user's own tiktoken cache.

Nothing here touches the network. The shipped file is zlib over a count (32 bit), one length byte per token, and the
tokens' bytes in order of rank; a test rebuilds the published text from it and compares digests.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import threading
import zlib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

SHIPPED = "o200k_base"
LONGEST_TOKEN = 128
"""Bytes of the longest token in any known vocabulary; gives a lower bound without encoding."""

_PUBLISHED = "https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
_DIGESTS = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "p50k_base": "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    "r50k_base": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
}

# The word pattern is part of the published encoding; a test compares it with tiktoken's own definition.
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LEAD = r"[^\r\n\p{L}\p{N}]?"
_TAIL = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERN = "|".join(
    (
        f"{_LEAD}{_UPPER}*{_LOWER}+{_TAIL}",
        f"{_LEAD}{_UPPER}+{_LOWER}*{_TAIL}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_SPECIAL = {"<|endoftext|>": 199_999, "<|endofprompt|>": 200_018}

_lock = threading.Lock()
_encodings: dict[str, Encoding] = {}


def encoding(name: str) -> Encoding:
    """The named encoding, or ``o200k_base`` when the user's cache does not hold it. Loaded once per process."""
    loaded = _encodings.get(name)
    if loaded is None:
        with _lock:
            loaded = _encodings.get(name) or _load(name)
            _encodings[name] = loaded
    return loaded


def tokens() -> list[bytes]:
    """The shipped vocabulary in order of rank."""
    packed = zlib.decompress(files("aura_py.tokens").joinpath(f"{SHIPPED}.bin").read_bytes())
    (count,) = struct.unpack_from("<I", packed)
    result = []
    start = 4 + count
    for length in packed[4:start]:
        end = start + length
        result.append(packed[start:end])
        start = end
    return result


def _load(name: str) -> Encoding:
    import tiktoken

    if name in _DIGESTS and _is_cached(name):
        return tiktoken.get_encoding(name)
    if name != SHIPPED and SHIPPED in _encodings:
        return _encodings[SHIPPED]
    ranks = {token: rank for rank, token in enumerate(tokens())}
    return tiktoken.Encoding(SHIPPED, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=_SPECIAL)


def _is_cached(name: str) -> bool:
    """Whether tiktoken would find the file on disk; with a wrong digest it would go and fetch a new one."""
    variables = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")
    folder = next((os.environ[key] for key in variables if key in os.environ), None)
    if folder is None:
        folder = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    key = hashlib.sha1(_PUBLISHED.format(name=name).encode(), usedforsecurity=False).hexdigest()
    try:
        data = (Path(folder) / key).read_bytes() if folder else b""
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == _DIGESTS[name]
