"""One vector store of one agent: opened when it is needed, filled from its sources, searched."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import anyio

from aura_py.config.models import SearchableStore, VectorStore
from aura_py.knowledge.contract import KnowledgeError, Match, Search, Store
from aura_py.knowledge.embedder import Embedder

if TYPE_CHECKING:
    from aura_py.knowledge.ingest import Progress, Report

logger = logging.getLogger(__name__)

_TRIES: Final = 3
_SEARCH_SECONDS: Final = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
_LOGGED_PROBLEMS: Final = 20

State = Literal["closed", "indexing", "ready", "failed"]


class KnowledgeBase:
    """A store with its embedding model, and how far its sources are indexed.

    ``state``, ``progress`` and ``problem`` are for introspection. ``in_background`` is set where somebody keeps the
    index (:meth:`keep_indexed`); without, the first search indexes and waits for it.
    """

    def __init__(self, agent: str, config: VectorStore, store: Store, embedder: Embedder | None) -> None:
        self.agent = agent
        self.config = config
        self.filters = store.filters
        self.state: State = "closed"
        self.progress: Progress | None = None
        self.problem: str | None = None
        self.in_background = False
        self._store = store
        self._embedder = embedder
        self._opening = anyio.Lock()
        self._opened = False
        self._indexing = anyio.Lock()
        self._complete = not self.sources
        self.retired = anyio.Event()

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def tool_name(self) -> str:
        return f"vector_search_{self.name}"

    @property
    def owner(self) -> str:
        """Whose documents are deleted when they vanish from the sources."""
        return f"{self.agent}/{self.name}"

    @property
    def sources(self) -> tuple[str, ...]:
        return self.config.sources if isinstance(self.config, SearchableStore) else ()

    @property
    def scores_vectors(self) -> bool:
        """Whether a smallest cosine similarity means something."""
        return isinstance(self.config, SearchableStore) and self.config.search_mode != "lexical"

    async def open(self) -> Store:
        """The store, opened.

        Raises:
            KnowledgeError: It cannot be.
        """
        async with self._opening:
            if not self._opened:
                try:
                    dimensions = await self._embedder.measure() if self._embedder is not None else None
                    await self._store.open(dimensions)
                except KnowledgeError as error:
                    self.state, self.problem = "failed", str(error)
                    raise
                self._opened = True
                self.state, self.problem = "ready" if self._complete else "indexing", None
        return self._store

    async def reachable(self) -> bool:
        """Whether the store answers now; one that could not be opened is tried again."""
        if self._indexing.statistics().locked:
            return True  # what goes wrong there is told by `state`
        try:
            await (await self.open()).info()
        except KnowledgeError:
            return False
        return True

    async def search(
        self, text: str, *, limit: int = 5, min_score: float | None = None, filters: Sequence[tuple[str, str]] = ()
    ) -> list[Match]:
        """The best matches.

        Raises:
            KnowledgeError: The store or its embedding model did not answer.
        """
        if not self._complete and not self.in_background:
            await self.index()
        search = Search(text, limit, min_score=min_score, filters=filters)
        for attempt in range(_TRIES):
            try:
                with anyio.fail_after(_SEARCH_SECONDS):
                    return await self._search(search)
            except TimeoutError:
                raise KnowledgeError(
                    f"the vector store `{self.name}` did not answer in {_SEARCH_SECONDS:.0f} s", transient=True
                ) from None
            except KnowledgeError as error:
                if not error.transient or attempt == _TRIES - 1:
                    raise
                # Jitter spreads load; nobody must be unable to guess it.
                await anyio.sleep(random.uniform(0.05, 0.2) * 2**attempt)
        raise AssertionError("the last try returns or raises")

    async def _search(self, search: Search) -> list[Match]:
        store = await self.open()
        config = self.config
        if self._embedder is not None and isinstance(config, SearchableStore) and config.search_mode != "lexical":
            vector = await self._embedder.query(search.text)
            search = replace(search, vector=vector, lexical=config.search_mode == "hybrid")
        return await store.search(search)

    def assume_indexed(self) -> None:
        """Search what is there, without indexing first."""
        self._complete = True

    @property
    def note(self) -> str:
        """What a reader of results must know: that more may be found later."""
        progress = self.progress
        if self._complete or not self.in_background:
            return ""
        if progress is None:
            return "(The store is being indexed; this may not be everything.)"
        return f"(The store is being indexed, {progress.done} of {progress.documents} documents so far.)"

    async def index(
        self,
        sources: Sequence[str] | None = None,
        *,
        owner: str | None = None,
        report: Report = lambda _progress: None,
        dry_run: bool = False,
    ) -> Progress:
        """Bring the store up to date with ``sources``, by default its own.

        Raises:
            KnowledgeError: The store or the embedding model failed; what was written stays.
        """
        from aura_py.knowledge.ingest import index  # parsers and their kin are for those who index

        async with self._indexing:
            store = await self.open()
            if not store.writable:
                raise KnowledgeError(f"the vector store `{self.name}` is filled elsewhere; Aura only searches it")

            def note(progress: Progress) -> None:
                self.progress = progress
                report(progress)

            self.state = "indexing"
            try:
                progress = await index(
                    store,
                    self._embedder,
                    self.sources if sources is None else sources,
                    owner=self.owner if owner is None else owner,
                    report=note,
                    dry_run=dry_run,
                )
            except KnowledgeError as error:
                self.state, self.problem = "failed", str(error)
                raise
            self.state, self.problem = "ready", None
            self._complete = self._complete or sources is None
            return progress

    async def keep_indexed(self, changed: Callable[[Sequence[str]], Sequence[object]], interval: float = 2.0) -> None:
        """Index at once, again after a failure, and with ``watch`` after every change. Ends when it is retired.

        Args:
            changed: Look at the sources: what it returns differs when a file does. Blocking.
        """
        self.in_background = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._index_on_change, changed, interval)
            await self.retired.wait()
            tasks.cancel_scope.cancel()

    async def _index_on_change(self, look: Callable[[Sequence[str]], Sequence[object]], interval: float) -> None:
        watching = isinstance(self.config, SearchableStore) and self.config.watch
        pause = _FIRST_PAUSE
        while True:
            seen = await anyio.to_thread.run_sync(look, self.sources) if watching else ()
            try:
                if self.sources:
                    self._log(await self.index())
                else:
                    await self.open()
            except KnowledgeError as error:
                logger.error("agent `%s`: %s; trying again in %.0f s", self.agent, error, pause)
                await anyio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
                continue
            pause = _FIRST_PAUSE
            if not watching:
                return
            before = seen
            while True:
                await anyio.sleep(interval)
                now = await anyio.to_thread.run_sync(look, self.sources)
                settled, before = now == before, now
                if settled and now != seen:  # nobody is in the middle of writing
                    break

    def _log(self, progress: Progress) -> None:
        who = f"agent `{self.agent}`: vector store `{self.name}`"
        for problem in progress.problems[:_LOGGED_PROBLEMS]:
            logger.warning("%s: %s", who, problem)
        if len(progress.problems) > _LOGGED_PROBLEMS:
            logger.warning("%s: %d more files are left out", who, len(progress.problems) - _LOGGED_PROBLEMS)
        if progress.written or progress.deleted:
            logger.info(
                "%s: %d documents indexed (%d chunks), %d unchanged, %d deleted",
                *(who, progress.written, progress.chunks, progress.unchanged, progress.deleted),
            )

    async def close(self) -> None:
        self.retired.set()
        self._opened = False
        await self._store.close()
