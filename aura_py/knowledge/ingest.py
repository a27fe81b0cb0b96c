"""Bringing a store up to date with its sources: what is new or changed is written, what vanished is deleted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import anyio
import anyio.to_process
import anyio.to_thread

from aura_py.knowledge.contract import Chunk, Indexed, KnowledgeError, Store
from aura_py.knowledge.documents import READERS, FileToRead, ReadFile, read_files
from aura_py.knowledge.embedder import Embedder
from aura_py.knowledge.files import find_files

_FILES: Final = 64
_BYTES: Final = 1_000_000
"""What is read before it is written. What a reader sends is unpacked on the event loop, a few milliseconds of it."""
_CHUNKS: Final = 512
_READ_SECONDS: Final = 300.0


@dataclass(slots=True)
class Progress:
    """How far an indexing run is. ``documents`` counts those found, ``done`` those dealt with."""

    documents: int = 0
    done: int = 0
    chunks: int = 0
    written: int = 0
    unchanged: int = 0
    deleted: int = 0
    problems: list[str] = field(default_factory=list)
    passed_over: int = 0


Report = Callable[[Progress], None]


async def index(
    store: Store,
    embedder: Embedder | None,
    sources: Sequence[str],
    *,
    owner: str,
    report: Report = lambda _progress: None,
    dry_run: bool = False,
) -> Progress:
    """Index ``sources``. Interrupted, it goes on where it stopped when it is called again.

    Args:
        owner: Only its own documents are deleted when they are not found any more.
        dry_run: Read everything and write nothing.

    Raises:
        KnowledgeError: The store or the embedding model failed. A document that cannot be read is a problem of the
            progress and keeps nothing else from being indexed.
    """
    progress = Progress()
    found = await anyio.to_thread.run_sync(find_files, sources, frozenset(READERS))
    progress.problems += found.problems
    progress.passed_over, progress.documents = found.passed_over, len(found.files)
    report(progress)
    known = await store.documents()
    writer = _Writer(store, embedder, owner, known, progress, report, dry_run)
    reading = anyio.CapacityLimiter(1)
    files = [FileToRead(path, shown, _digest(known.get(path))) for path, shown in sorted(found.files.items())]
    send, receive = anyio.create_memory_object_stream[list[ReadFile]](1)

    async def read_ahead() -> None:
        async with send:
            for batch in _batches(files):
                await send.send(await _read(batch, reading))

    failure: KnowledgeError | None = None
    async with anyio.create_task_group() as tasks, receive:
        tasks.start_soon(read_ahead)
        try:
            async for batch in receive:
                for file in batch:
                    await writer.take(file)
            await writer.finish()
        except KnowledgeError as error:
            failure = error
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    missing = await _vanished(known, found.files, owner)
    for document in missing:
        if not dry_run:
            await store.delete(document)
        progress.deleted += 1
    if not dry_run:
        await store.settle(progress.chunks + progress.deleted)
    report(progress)
    return progress


def _digest(known: Indexed | None) -> str:
    return "" if known is None else known.digest


def _batches(files: Sequence[FileToRead]) -> Iterator[list[FileToRead]]:
    batch: list[FileToRead] = []
    size = 0
    for file in files:
        try:
            own = os.path.getsize(file.path)
        except OSError:
            own = 0
        if batch and (len(batch) == _FILES or size + own > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += own
    if batch:
        yield batch


async def _read(batch: list[FileToRead], limiter: anyio.CapacityLimiter) -> list[ReadFile]:
    """In a process of its own: parsing holds the interpreter's lock, and some files take a parser for ever."""
    try:
        with anyio.fail_after(_READ_SECONDS):
            return await anyio.to_process.run_sync(read_files, batch, cancellable=True, limiter=limiter)
    except TimeoutError:
        if len(batch) == 1:
            taken = f"`{batch[0].source}` is left out: reading it takes longer than {_READ_SECONDS:.0f} s"
            return [ReadFile(batch[0].path, problem=taken)]
    except (anyio.BrokenWorkerProcess, OSError):  # an OSError: it cannot be started, or is gone already
        if len(batch) == 1:
            return [ReadFile(batch[0].path, problem=f"`{batch[0].source}` is left out: its reader broke down")]
    return [file for each in batch for file in await _read([each], limiter)]


async def _vanished(known: dict[str, Indexed], found: dict[str, str], owner: str) -> list[str]:
    def look() -> list[str]:
        return [path for path, each in known.items() if path not in found and each.owner == owner]

    return sorted(await anyio.to_thread.run_sync(look))


@dataclass(slots=True)
class _Writer:
    """Collects chunks of several documents, so that stores and models are asked a few times and not thousands."""

    store: Store
    embedder: Embedder | None
    owner: str
    known: dict[str, Indexed]
    progress: Progress
    report: Report
    dry_run: bool
    _waiting: list[tuple[ReadFile, tuple[Chunk, ...]]] = field(default_factory=list)
    _count: int = 0

    async def take(self, file: ReadFile) -> None:
        if file.problem:
            self.progress.problems.append(file.problem)
            self._done()
        elif file.chunks is None:
            self.progress.unchanged += 1
            self._done()
        elif not file.chunks:
            self.progress.problems.append(f"`{os.path.basename(file.path)}` holds no text")
            if file.path in self.known and not self.dry_run:
                await self.store.delete(file.path)
            self._done()
        else:
            self._waiting.append((file, file.chunks))
            self._count += len(file.chunks)
            if self._count >= _CHUNKS:
                await self.finish()

    async def finish(self) -> None:
        waiting, self._waiting, self._count = self._waiting, [], 0
        small = [chunks for _, chunks in waiting if len(chunks) <= _CHUNKS]
        await self._write([chunk for chunks in small for chunk in chunks])
        for _, chunks in waiting:
            if len(chunks) > _CHUNKS:
                # without its digest the document counts as unfinished until the last of its chunks is there
                for start in range(0, len(chunks), _CHUNKS):
                    await self._write([replace(each, digest="") for each in chunks[start : start + _CHUNKS]])
                await self._write(chunks[:1])
        for file, chunks in waiting:
            if file.path in self.known and not self.dry_run:
                await self.store.delete(file.path, from_part=len(chunks))
            self.progress.written += 1
            self.progress.chunks += len(chunks)
            self._done()

    async def _write(self, chunks: Sequence[Chunk]) -> None:
        if self.dry_run or not chunks:
            return
        vectors = None
        if self.embedder is not None:
            vectors = await self.embedder.documents([chunk.searched_text for chunk in chunks])
            if len(vectors) != len(chunks):
                raise KnowledgeError(f"the embedding model `{self.embedder.name}` left texts out")
        await self.store.upsert(chunks, vectors, owner=self.owner)

    def _done(self) -> None:
        self.progress.done += 1
        self.report(self.progress)
