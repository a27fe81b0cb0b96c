"""A collection of a Qdrant server: one that Aura filled, or one that others did."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import anyio.to_thread

from aura_py.config.models import QdrantStore
from aura_py.knowledge import payloads
from aura_py.knowledge.bm25 import word_model
from aura_py.knowledge.contract import Chunk, Indexed, KnowledgeError, Match, ScoreKind, Search, StoreInfo
from aura_py.llm.embeddings import Vector

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, models

T = TypeVar("T")

_GRPC_PORT: Final = 6334
_SECONDS: Final = 15
_BATCH: Final = 128
_PAGE: Final = 2_000


class RemoteStore:
    """A collection on a server. In one that others filled, the whole payload is searched as it lies there."""

    filters = True
    writable = True

    def __init__(self, config: QdrantStore) -> None:
        self._config = config
        self._name = f"the vector store `{config.name}`"
        self._collection = config.collection_name or config.name
        self._words = word_model(config.language)
        self._client: AsyncQdrantClient | None = None
        self._own = True
        self._vector: str | None = payloads.DENSE
        """Name of the dense vector, ``None`` for the one without a name."""
        self._dimensions: int | None = None

    async def open(self, dimensions: int | None) -> StoreInfo:
        if self._client is None:
            # its import takes a second, and a client for https reads all certificate authorities
            self._client = await anyio.to_thread.run_sync(self._new_client)
        client = self._client
        if await self._ask(client.collection_exists(self._collection)):
            await self._adopt(client, dimensions)
        elif self._config.sources:
            await self._create(client, dimensions)
        else:
            raise KnowledgeError(
                f"{self._name}: the server has no collection `{self._collection}`; correct `collection_name`, or add"
                " `sources` to fill it"
            )
        return await self.info()

    def _connect(self) -> AsyncQdrantClient:
        if self._client is None:
            raise KnowledgeError(f"{self._name} is not open", transient=True)
        return self._client

    def _new_client(self) -> AsyncQdrantClient:
        from qdrant_client import AsyncQdrantClient

        config = self._config
        url = config.url.get_secret_value() if config.url is not None else ""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 6333)
        grpc = port == _GRPC_PORT if config.grpc is None else config.grpc
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a key without TLS, which is the author's to choose
            return AsyncQdrantClient(
                host=parts.hostname,
                prefix=parts.path.strip("/") or None,
                port=port,
                grpc_port=port,
                prefer_grpc=grpc,
                https=parts.scheme == "https",
                api_key=config.api_key.get_secret_value() if config.api_key is not None else None,
                timeout=_SECONDS,
                check_compatibility=False,  # it would speak REST to a port that may speak gRPC only
            )

    async def _adopt(self, client: AsyncQdrantClient, dimensions: int | None) -> None:
        params = (await self._ask(client.get_collection(self._collection))).config.params
        vectors: Any = params.vectors or {}
        named = vectors if isinstance(vectors, dict) else {"": vectors}
        self._own = payloads.WORDS in (params.sparse_vectors or {})
        if self._own and not named:
            self._vector, self._dimensions = None, None
        else:
            chosen = payloads.DENSE if payloads.DENSE in named else next(iter(named), "")
            self._vector = chosen or None
            self._dimensions = named[chosen].size if chosen in named else None
        self.writable = self._own
        if not self._own and self._config.mode in ("lexical", "hybrid"):
            raise KnowledgeError(
                f"{self._name}: others filled the collection `{self._collection}`, without words to compare; write"
                ' `mode = "vector"`'
            )
        if not self._own and self._config.sources:
            raise KnowledgeError(
                f"{self._name}: others filled the collection `{self._collection}`; remove `sources`, or name a"
                " collection of Aura's own"
            )
        if dimensions is not None and dimensions != self._dimensions:
            raise KnowledgeError(
                f"{self._name}: the collection `{self._collection}` holds vectors of {self._dimensions or 'no'}"
                f" dimensions, and the embedding model makes {dimensions}; choose the model it was filled with"
            )

    async def _create(self, client: AsyncQdrantClient, dimensions: int | None) -> None:
        from qdrant_client import models

        vectors = {}
        if dimensions is not None:
            vectors[payloads.DENSE] = models.VectorParams(
                size=dimensions, distance=models.Distance.COSINE, on_disk=True
            )
        words = {payloads.WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)}
        await self._ask(client.create_collection(self._collection, vectors_config=vectors, sparse_vectors_config=words))
        schemas = dict.fromkeys(payloads.KEYWORDS, models.PayloadSchemaType.KEYWORD)
        for field, schema in {**schemas, payloads.PART: models.PayloadSchemaType.INTEGER}.items():
            await self._ask(client.create_payload_index(self._collection, field, field_schema=schema))
        self._vector = payloads.DENSE if dimensions is not None else None
        self._dimensions = dimensions

    async def search(self, search: Search) -> list[Match]:
        from qdrant_client import models

        only = self._filter(search.filters)
        request: dict[str, Any]
        kind: ScoreKind
        sparse = self._words.query(search.text)
        words = models.SparseVector(indices=sparse.indices, values=sparse.values)
        if search.vector is None:
            kind, request = "bm25", {"query": words, "using": payloads.WORDS}
        elif search.lexical and self._own:
            many = payloads.candidates(search.limit)
            branches = [
                models.Prefetch(query=words, using=payloads.WORDS, limit=many, filter=only),
                models.Prefetch(
                    query=search.vector, using=self._vector, limit=many, filter=only, score_threshold=search.min_score
                ),
            ]
            fusion = models.RrfQuery(rrf=models.Rrf(k=payloads.FUSION_K))
            kind, request = "fused", {"query": fusion, "prefetch": branches}
        else:
            kind = "cosine"
            request = {"query": search.vector, "using": self._vector, "score_threshold": search.min_score}
        found = await self._ask(
            self._connect().query_points(
                self._collection, limit=search.limit, query_filter=only, with_payload=True, **request
            )
        )
        config = self._config
        if self._own and config.content_field is None:
            return [payloads.match(point.id, point.score, kind, point.payload or {}) for point in found.points]
        return [
            payloads.foreign_match(
                point.id, point.score, kind, point.payload or {}, config.content_field, config.metadata_fields
            )
            for point in found.points
        ]

    def _filter(self, filters: Sequence[tuple[str, str]]) -> models.Filter | None:
        from qdrant_client import models

        if not filters:
            return None
        if self._own:
            values = [payloads.label(key, value) for key, value in filters]
            return models.Filter(must=[_matches(payloads.LABELS, value) for value in values])
        return models.Filter(must=[_any_type(key, value) for key, value in filters])

    async def upsert(self, chunks: Sequence[Chunk], vectors: Sequence[Vector] | None, *, owner: str) -> None:
        from qdrant_client import models

        for start in range(0, len(chunks), _BATCH):
            points = []
            for index in range(start, min(start + _BATCH, len(chunks))):
                sparse = self._words.document(chunks[index].searched_text)
                vector: Any = {payloads.WORDS: models.SparseVector(indices=sparse.indices, values=sparse.values)}
                if vectors is not None:
                    vector[payloads.DENSE] = vectors[index]
                payload = payloads.payload(chunks[index], owner)
                points.append(models.PointStruct(id=chunks[index].id, vector=vector, payload=payload))
            await self._ask(self._connect().upsert(self._collection, points, wait=True))

    async def delete(self, document: str, *, from_part: int = 0) -> None:
        from qdrant_client import models

        later = models.FieldCondition(key=payloads.PART, range=models.Range(gte=from_part))
        these = models.FilterSelector(filter=models.Filter(must=[_matches(payloads.DOCUMENT, document), later]))
        await self._ask(self._connect().delete(self._collection, these, wait=True))

    async def documents(self) -> dict[str, Indexed]:
        from qdrant_client import models

        found: dict[str, Indexed] = {}
        fields = [payloads.DOCUMENT, payloads.DIGEST, payloads.OWNER]
        first = models.Filter(must=[_matches(payloads.PART, 0)])
        offset: Any = None
        while True:
            page, offset = await self._ask(
                self._connect().scroll(
                    self._collection, scroll_filter=first, limit=_PAGE, offset=offset, with_payload=fields
                )
            )
            known = [point.payload or {} for point in page]
            found.update({each[fields[0]]: Indexed(each[fields[1]], each[fields[2]]) for each in known})
            if offset is None:
                return found

    async def settle(self, written: int) -> None:
        """The server builds its indexes by itself."""

    async def info(self) -> StoreInfo:
        count = await self._ask(self._connect().count(self._collection, exact=True))
        return StoreInfo(count.count, self._dimensions)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _ask(self, answer: Awaitable[T]) -> T:
        """The server's answer; whatever goes wrong is a sentence without addresses and keys."""
        try:
            return await answer
        except Exception as error:
            raise _translated(self._name, error) from error


def _translated(name: str, error: Exception) -> KnowledgeError:
    status, text = _status(error)
    if status in (401, 403):
        return KnowledgeError(f"{name}: the server refuses the credentials; check `api_key`")
    if status == 404:
        return KnowledgeError(f"{name}: the server does not have the collection any more")
    if "Vector dimension error" in text:
        expected, _, given = text.partition("expected dim: ")[2].partition(", got ")
        lengths = f"{expected} dimensions, not of {''.join(c for c in given[:9] if c.isdigit())}"
        return KnowledgeError(f"{name}: it holds vectors of {lengths}")
    if status is not None and status < 500 and status != 429:
        return KnowledgeError(f"{name}: the server refuses the request (status {status})")
    return KnowledgeError(f"{name} does not answer ({type(error).__name__})", transient=True)


def _status(error: Exception) -> tuple[int | None, str]:
    """HTTP status, also for what gRPC says."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        content = getattr(error, "content", b"")
        return status, content.decode(errors="replace") if isinstance(content, bytes) else ""
    code = getattr(error, "code", None)
    name = getattr(code() if callable(code) else None, "name", "")
    statuses = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "INVALID_ARGUMENT": 400}
    details = getattr(error, "details", None)
    return statuses.get(name), str(details()) if callable(details) else ""


def _matches(key: str, value: str | int) -> models.FieldCondition:
    from qdrant_client import models

    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _any_type(key: str, value: str) -> models.Filter:
    """``value`` as others may have stored it: text, number or truth value."""
    from qdrant_client import models

    options: list[models.Condition] = [_matches(key, value)]
    if value.lower() in ("true", "false"):
        options.append(_matches(key, value.lower() == "true"))
    try:
        number = float(value)
    except ValueError:
        pass
    else:
        options.append(models.FieldCondition(key=key, range=models.Range(gte=number, lte=number)))
    return models.Filter(should=options)
