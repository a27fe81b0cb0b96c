"""Qdrant's engine in this process: one folder, no server.

The engine never releases the interpreter's lock, so whatever takes long is done elsewhere: indexes are built by another
process on a copy of the files, which then takes their place. One shard serves all stores of the process that name the
same folder; another process cannot open it meanwhile.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import anyio.to_process
import anyio.to_thread
import orjson

from aura_py.knowledge import payloads
from aura_py.knowledge.bm25 import WordModel, word_model
from aura_py.knowledge.contract import Chunk, Indexed, KnowledgeError, Match, ScoreKind, Search, StoreInfo
from aura_py.llm.embeddings import Vector
from aura_py.storage import make_private

if TYPE_CHECKING:
    import qdrant_edge as edge

T = TypeVar("T")

_SHARD, _NEW, _OLD, _FACTS = "shard", "shard.new", "shard.old", "aura.json"
_SETTLE_AFTER: Final = 20_000
"""Chunks that are searched in a row, which takes a few milliseconds, before an index is built for them."""
_BATCH: Final = 50
"""Points of one write: no longer than a few milliseconds with the interpreter's lock held."""
_PAGE: Final = 2_000

_shards: dict[str, _Shard] = {}
_opening = threading.Lock()


class EmbeddedStore:
    """A store in ``path``, or in a temporary folder that goes with it."""

    filters = True
    writable = True

    def __init__(self, name: str, path: Path | None, language: str, model: str | None) -> None:
        self._name = name
        self._path = path
        self._language = language
        self._model = model
        self._temporary: str | None = None
        self._shard: _Shard | None = None
        self._threads = anyio.CapacityLimiter(2)

    async def open(self, dimensions: int | None) -> StoreInfo:
        if self._shard is None:
            if self._path is None:
                self._temporary = tempfile.mkdtemp(prefix="aura-store-")
            path = self._path or Path(str(self._temporary))
            facts = {"format": 1, "language": self._language, "model": self._model, "dimensions": dimensions}
            self._shard = await anyio.to_thread.run_sync(_acquire, self._name, path, facts, limiter=self._threads)
        return await self.info()

    async def search(self, search: Search) -> list[Match]:
        return await self._run(lambda shard: shard.search(search))

    async def upsert(self, chunks: Sequence[Chunk], vectors: Sequence[Vector] | None, *, owner: str) -> None:
        async with self._open.writing:
            for start in range(0, len(chunks), _BATCH):
                part = slice(start, start + _BATCH)
                some = None if vectors is None else vectors[part]
                await self._run(lambda shard, part=part, some=some: shard.upsert(chunks[part], some, owner))  # type: ignore[misc]

    async def delete(self, document: str, *, from_part: int = 0) -> None:
        async with self._open.writing:
            await self._run(lambda shard: shard.delete(document, from_part))

    async def documents(self) -> dict[str, Indexed]:
        found: dict[str, Indexed] = {}
        offset: Any = None
        while True:
            page, offset = await self._run(lambda shard, at=offset: shard.documents(at))  # type: ignore[misc]
            found.update(page)
            if offset is None:
                return found

    async def settle(self, written: int) -> None:
        shard = self._open
        if not written:
            return
        async with shard.writing:
            shard.facts["unsettled"] = pending = int(shard.facts.get("unsettled", 0)) + written
            if pending >= _SETTLE_AFTER:
                copy = await self._run(lambda shard: shard.copy())
                await anyio.to_process.run_sync(build_index, str(copy), cancellable=True)
                await self._run(lambda shard: shard.replace(copy))
                shard.facts["unsettled"] = 0
            await self._run(lambda shard: shard.save())

    async def info(self) -> StoreInfo:
        return await self._run(lambda shard: shard.info())

    async def close(self) -> None:
        shard, self._shard = self._shard, None
        if shard is not None:
            await anyio.to_thread.run_sync(_release, shard)
        if self._temporary is not None:
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(str(self._temporary), ignore_errors=True))

    @property
    def _open(self) -> _Shard:
        if self._shard is None:
            raise KnowledgeError(f"the vector store `{self._name}` is not open", transient=True)
        return self._shard

    async def _run(self, action: Callable[[_Shard], T]) -> T:
        shard = self._open

        def run() -> T:
            with shard.lock:
                return _guarded(lambda: action(shard), f"the vector store `{self._name}` failed")

        return await anyio.to_thread.run_sync(run, limiter=self._threads)


class _Shard:
    """An open folder. Blocking; ``lock`` is held around every use, ``writing`` around all of a write."""

    def __init__(self, path: Path, engine: edge.EdgeShard, facts: dict[str, Any]) -> None:
        import qdrant_edge

        self.path, self.facts = path, facts
        self.users = 1
        self.lock = threading.Lock()
        self.writing = anyio.Lock()
        self._engine = engine
        self._edge = qdrant_edge
        self._words: WordModel = word_model(facts["language"])

    def search(self, search: Search) -> list[Match]:
        lib = self._edge
        wanted = [
            lib.FieldCondition(key=payloads.LABELS, match=lib.MatchValue(payloads.label(key, value)))
            for key, value in search.filters
        ]
        only = lib.Filter(must=wanted) if wanted else None
        words = lib.Query.Nearest(self._words.query(search.text), using=payloads.WORDS)
        kind: ScoreKind = "bm25"
        request: dict[str, Any] = {"query": words}
        if search.vector is not None:
            meaning = lib.Query.Nearest(search.vector, using=payloads.DENSE)
            kind, request = "cosine", {"query": meaning, "score_threshold": search.min_score}
            if search.lexical:
                many = payloads.candidates(search.limit)
                branches = [
                    lib.Prefetch(limit=many, query=words, filter=only),
                    lib.Prefetch(limit=many, query=meaning, filter=only, score_threshold=search.min_score),
                ]
                kind, request = "fused", {"query": lib.Fusion.Rrf(k=payloads.FUSION_K), "prefetches": branches}
        found = self._engine.query(lib.QueryRequest(limit=search.limit, with_payload=True, filter=only, **request))
        return [payloads.match(point.id, point.score, kind, point.payload or {}) for point in found]

    def upsert(self, chunks: Sequence[Chunk], vectors: Sequence[Vector] | None, owner: str) -> None:
        points = []
        for index, chunk in enumerate(chunks):
            vector: dict[str, Any] = {payloads.WORDS: self._words.document(chunk.searched_text)}
            if vectors is not None:
                vector[payloads.DENSE] = vectors[index]
            points.append(self._edge.Point(chunk.id, vector, payloads.payload(chunk, owner)))
        self._engine.update(self._edge.UpdateOperation.upsert_points(points))

    def delete(self, document: str, from_part: int) -> None:
        lib = self._edge
        these = [
            lib.FieldCondition(key=payloads.DOCUMENT, match=lib.MatchValue(document)),
            lib.FieldCondition(key=payloads.PART, range=lib.RangeFloat(gte=from_part)),
        ]
        self._engine.update(lib.UpdateOperation.delete_points_by_filter(lib.Filter(must=these)))

    def documents(self, offset: Any) -> tuple[dict[str, Indexed], Any]:
        lib = self._edge
        first = lib.Filter(must=[lib.FieldCondition(key=payloads.PART, match=lib.MatchValue(0))])
        fields = [payloads.DOCUMENT, payloads.DIGEST, payloads.OWNER]
        found, following = self._engine.scroll(
            lib.ScrollRequest(offset=offset, limit=_PAGE, filter=first, with_payload=fields)
        )
        known = [point.payload or {} for point in found]
        return {each[fields[0]]: Indexed(each[fields[1]], each[fields[2]]) for each in known}, following

    def info(self) -> StoreInfo:
        return StoreInfo(self._engine.info().points_count, self.facts["dimensions"])

    def save(self) -> None:
        self._engine.flush()
        _write_facts(self.path, self.facts)

    def copy(self) -> Path:
        self._engine.flush()
        copy = self.path / _NEW
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.path / _SHARD, copy)
        return copy

    def replace(self, copy: Path) -> None:
        """Takes up ``copy``. Whenever the process ends in the middle of it, :func:`_repair` finds a whole folder."""
        self._engine.close()
        os.rename(self.path / _SHARD, self.path / _OLD)
        os.rename(copy, self.path / _SHARD)
        self._engine = self._edge.EdgeShard.load(str(self.path / _SHARD))
        shutil.rmtree(self.path / _OLD, ignore_errors=True)

    def close(self) -> None:
        self._engine.close()


def build_index(path: str) -> None:
    """Merge the segments of a shard and build their indexes; for a process of its own."""
    import qdrant_edge

    os.nice(10)
    shard = qdrant_edge.EdgeShard.load(path)
    shard.optimize()
    shard.close()


def _acquire(name: str, path: Path, wanted: dict[str, Any]) -> _Shard:
    key = os.path.realpath(path)
    with _opening:
        shard = _shards.get(key)
        if shard is None:
            shard = _shards[key] = _load(name, Path(key), wanted)
        else:
            _check(name, path, shard.facts, wanted)
            shard.users += 1
        return shard


def _release(shard: _Shard) -> None:
    with _opening:
        shard.users -= 1
        if shard.users == 0:
            _shards.pop(str(shard.path), None)
            with shard.lock:
                shard.close()


def _load(name: str, path: Path, wanted: dict[str, Any]) -> _Shard:
    import qdrant_edge

    try:
        make_private(path)
        _repair(path)
        facts = _read_facts(path)
        new = not os.path.exists(path / _SHARD)
        if new and any(each.name != _FACTS for each in path.iterdir()):
            raise KnowledgeError(f"`{path}` holds other files; name an empty folder for the vector store `{name}`")
        if new or facts is None:
            facts = dict(wanted)
            _write_facts(path, facts)
        _check(name, path, facts, wanted)
        if new:
            os.mkdir(path / _SHARD)
    except OSError as error:
        raise KnowledgeError(
            f"the folder `{error.filename or path}` of the vector store `{name}` cannot be used: {error.strerror}"
        ) from error
    failed = f"the files of the vector store `{name}` in `{path}` are damaged; delete the folder and index it again"
    load = qdrant_edge.EdgeShard.load
    engine = _guarded(lambda: _create(path, facts) if new else load(str(path / _SHARD)), failed, name=name)
    return _Shard(path, engine, facts)


def _create(path: Path, facts: dict[str, Any]) -> edge.EdgeShard:
    import qdrant_edge as lib

    vectors = {}
    if facts["dimensions"]:
        vectors[payloads.DENSE] = lib.EdgeVectorParams(
            size=facts["dimensions"], distance=lib.Distance.Cosine, memory=lib.Memory.Cold
        )
    words = {payloads.WORDS: lib.EdgeSparseVectorParams(modifier=lib.Modifier.Idf)}
    shard = lib.EdgeShard.create(str(path / _SHARD), lib.EdgeConfig(vectors=vectors, sparse_vectors=words))
    for field in payloads.KEYWORDS:
        shard.update(lib.UpdateOperation.create_field_index(field, lib.PayloadSchemaType.Keyword))
    shard.update(lib.UpdateOperation.create_field_index(payloads.PART, lib.PayloadSchemaType.Integer))
    return shard


def _check(name: str, path: Path, facts: dict[str, Any], wanted: dict[str, Any]) -> None:
    again = f"delete the folder `{path}` and index it again, or name another one"
    if facts.get("dimensions") != wanted["dimensions"] or facts.get("model") != wanted["model"]:
        had, wants = (_vectors(each) for each in (facts, wanted))
        raise KnowledgeError(f"the vector store `{name}` was filled with {had} and is opened with {wants}; {again}")
    if facts.get("language") != wanted["language"]:
        raise KnowledgeError(f"the vector store `{name}` was filled with another `language`; {again}")


def _vectors(facts: dict[str, Any]) -> str:
    if facts.get("model") is None:
        return "no embedding model"
    return f"vectors of {facts.get('dimensions')} dimensions by `{facts['model']}`"


def _repair(path: Path) -> None:
    """Finishes what a process was doing when it was ended."""
    if not os.path.exists(path / _SHARD) and os.path.exists(path / _OLD):
        os.rename(path / _OLD, path / _SHARD)
    for leftover in (_NEW, _OLD):
        shutil.rmtree(path / leftover, ignore_errors=True)
    if os.path.isdir(path / _SHARD) and not os.listdir(path / _SHARD):
        os.rmdir(path / _SHARD)


def _read_facts(path: Path) -> dict[str, Any] | None:
    try:
        facts = orjson.loads((path / _FACTS).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return facts if isinstance(facts, dict) and "language" in facts else None


def _write_facts(path: Path, facts: dict[str, Any]) -> None:
    temporary = path / f"{_FACTS}.tmp"
    temporary.write_bytes(orjson.dumps(facts))
    os.replace(temporary, path / _FACTS)


def _guarded(action: Callable[[], T], failed: str, *, name: str = "") -> T:
    """Translates what the engine raises, its panics included, which are no :class:`Exception`."""
    try:
        return action()
    except (KnowledgeError, OSError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        text = str(error)
        if "WouldBlock" in text:
            raise KnowledgeError(
                f"the vector store `{name}` is open in another process, perhaps a running server; stop that one first"
            ) from None
        if "Vector dimension error" in text:
            expected, _, given = text.rpartition("expected dim: ")[2].partition(", got ")
            raise KnowledgeError(f"{failed}: it holds vectors of {expected} dimensions, not of {given}") from None
        raise KnowledgeError(failed) from error
