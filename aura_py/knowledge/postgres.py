"""A table of PostgreSQL: vectors by the extension `pgvector`, words by `tsvector`."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread

from aura_py.config.models import PgvectorStore
from aura_py.knowledge import payloads
from aura_py.knowledge.bm25 import words
from aura_py.knowledge.contract import Chunk, Indexed, KnowledgeError, Match, ScoreKind, Search, StoreInfo
from aura_py.llm.embeddings import Vector

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

_CONNECTIONS: Final = 8
_SECONDS: Final = 5
_MOST_INDEXED: Final = 2_000
"""Dimensions that an HNSW index of pgvector takes; longer vectors are compared one by one."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS {table} (
    id uuid PRIMARY KEY, document text NOT NULL, part int NOT NULL, digest text NOT NULL, owner text NOT NULL,
    source text NOT NULL, heading text NOT NULL, line int, page int, content text NOT NULL,
    labels text[] NOT NULL, words tsvector NOT NULL{embedding}
)"""
_STORED: Final = (
    *("id", "document", "part", "digest", "owner", "source", "heading", "line", "page", "content", "labels"),
)
_COLUMNS: Final = "id, content, source, heading, line, page, labels"
_QUERY: Final = "replace(plainto_tsquery({language}::regconfig, %(text)s)::text, '&', '|')::tsquery"
_FILTER: Final = "labels @> %(labels)s::text[]"
_WORDS: Final = (
    "SELECT id, ts_rank_cd(words, query) AS score FROM {table}, (SELECT {query} AS query) AS asked"
    " WHERE words @@ query AND {filter} ORDER BY score DESC, id LIMIT %(many)s"
)
_VECTORS: Final = (
    "SELECT id, 1 - (embedding <=> %(vector)s::vector) AS score FROM {table}"
    " WHERE {filter} AND embedding IS NOT NULL ORDER BY embedding <=> %(vector)s::vector LIMIT %(many)s"
)
_ENOUGH: Final = "SELECT * FROM ({vectors}) AS near WHERE %(least)s::float8 IS NULL OR score >= %(least)s::float8"
_FUSED: Final = (
    "SELECT id, coalesce(1.0 / ({k} + lexical.rank), 0) + coalesce(1.0 / ({k} + dense.rank), 0) AS score"
    " FROM (SELECT id, row_number() OVER (ORDER BY score DESC, id) AS rank FROM ({words}) AS w) AS lexical"
    " FULL JOIN (SELECT id, row_number() OVER (ORDER BY score DESC, id) AS rank FROM ({enough}) AS v) AS dense"
    " USING (id)"
    " ORDER BY score DESC, id LIMIT %(limit)s"
)
_FOUND: Final = (
    "SELECT {columns}, found.score FROM ({found}) AS found JOIN {table} USING (id)"
    " ORDER BY found.score DESC, id LIMIT %(limit)s"
)


class PostgresStore:
    """One table; made when it is missing."""

    filters = True
    writable = True

    def __init__(self, config: PgvectorStore) -> None:
        self._config = config
        self._name = f"the vector store `{config.name}`"
        self._table_name = config.table or config.name
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] | None = None
        self._dimensions: int | None = None

    async def open(self, dimensions: int | None) -> StoreInfo:
        await anyio.to_thread.run_sync(import_module, "psycopg_pool")  # it takes too long for the event loop
        async with self._connection() as connection:
            try:
                await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            except Exception as error:
                raise KnowledgeError(
                    f"{self._name}: the extension `vector` is missing; install pgvector, or have it created by an owner"
                    " of the database"
                ) from error
            embedding = "" if dimensions is None else f", embedding vector({dimensions:d})"
            await connection.execute(self._sql(_TABLE.replace("{embedding}", embedding)))
            for column, kind in (("words", "gin"), ("labels", "gin"), ("document", "btree")):
                await connection.execute(
                    self._sql(f"CREATE INDEX IF NOT EXISTS {{{column}_index}} ON {{table}} USING {kind} ({column})")
                )
            self._dimensions = await self._held(connection)
        if dimensions is not None and self._dimensions != dimensions:
            raise KnowledgeError(
                f"{self._name}: the table `{self._table_name}` holds vectors of {self._dimensions or 'no'} dimensions,"
                f" and the embedding model makes {dimensions}; choose the model it was filled with, or another `table`"
            )
        return await self.info()

    async def _held(self, connection: AsyncConnection[Any]) -> int | None:
        cursor = await connection.execute(
            "SELECT atttypmod FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'embedding'",
            [self._sql("{table}").as_string(connection)],
        )
        row = await cursor.fetchone()
        return None if row is None else int(row[0])

    async def search(self, search: Search) -> list[Match]:
        many = payloads.candidates(search.limit)
        values: dict[str, Any] = {
            "text": _folded(search.text),
            "labels": [payloads.label(key, value) for key, value in search.filters],
            "limit": search.limit,
            "least": search.min_score,
            "vector": None if search.vector is None else _literal(search.vector),
            "many": many if search.vector is not None and search.lexical else search.limit,
        }
        kind: ScoreKind = "text"
        found = _WORDS
        if search.vector is not None:
            self._check(search.vector)
            enough = _ENOUGH.replace("{vectors}", _VECTORS)
            kind, found = "cosine", enough
            if search.lexical:
                kind = "fused"
                found = _FUSED.replace("{words}", _WORDS).replace("{enough}", enough)
        statement = self._sql(_FOUND.replace("{columns}", _COLUMNS).replace("{found}", found))
        async with self._connection() as connection:
            rows = await (await connection.execute(statement, values)).fetchall()
        return [
            Match(
                id=str(row[0]),
                text=row[1],
                score=float(row[7]),
                kind=kind,
                source=row[2],
                heading=row[3],
                line=row[4],
                page=row[5],
                metadata=payloads.labels(row[6]),
            )
            for row in rows
        ]

    async def upsert(self, chunks: Sequence[Chunk], vectors: Sequence[Vector] | None, *, owner: str) -> None:
        for vector in vectors or ():
            self._check(vector)
        columns = [*_STORED, "words"]
        values = ["%s"] * len(_STORED) + ["to_tsvector({language}::regconfig, %s)"]
        if vectors is not None:
            columns.append("embedding")
            values.append("%s::vector")
        taken = ", ".join(f"{column} = excluded.{column}" for column in columns[1:])
        statement = self._sql(
            f"INSERT INTO {{table}} ({', '.join(columns)}) VALUES ({', '.join(values)})"
            f" ON CONFLICT (id) DO UPDATE SET {taken}"
        )
        rows = []
        for index, chunk in enumerate(chunks):
            held = payloads.payload(chunk, owner)
            row: list[Any] = [chunk.id, *(held[column] for column in _STORED[1:])]
            row.append(_folded(chunk.searched_text))
            if vectors is not None:
                row.append(_literal(vectors[index]))
            rows.append(row)
        async with self._connection() as connection, connection.transaction(), connection.cursor() as cursor:
            await cursor.executemany(statement, rows)

    async def delete(self, document: str, *, from_part: int = 0) -> None:
        async with self._connection() as connection:
            await connection.execute(
                self._sql("DELETE FROM {table} WHERE document = %s AND part >= %s"), [document, from_part]
            )

    async def documents(self) -> dict[str, Indexed]:
        async with self._connection() as connection:
            cursor = await connection.execute(self._sql("SELECT document, digest, owner FROM {table} WHERE part = 0"))
            return {row[0]: Indexed(row[1], row[2]) for row in await cursor.fetchall()}

    async def settle(self, written: int) -> None:
        """Builds the index of vectors once there are some: filling a table that has it takes much longer."""
        if not written or self._dimensions is None or self._dimensions > _MOST_INDEXED:
            return
        async with self._connection() as connection:
            await connection.execute(
                self._sql(
                    "CREATE INDEX IF NOT EXISTS {embedding_index} ON {table} USING hnsw (embedding vector_cosine_ops)"
                )
            )
            await connection.execute(self._sql("ANALYZE {table}"))

    async def info(self) -> StoreInfo:
        async with self._connection() as connection:
            row = await (await connection.execute(self._sql("SELECT count(*) FROM {table}"))).fetchone()
        return StoreInfo(int(row[0]) if row is not None else 0, self._dimensions)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    def _check(self, vector: Vector) -> None:
        if len(vector) != self._dimensions:
            raise KnowledgeError(
                f"{self._name}: it holds vectors of {self._dimensions} dimensions, not of {len(vector)}"
            )

    def _sql(self, text: str) -> Any:
        """A statement with the names of the table and its indexes; values are never part of it."""
        from psycopg import sql

        *schema, name = self._table_name.split(".")
        indexes = {
            f"{column}_index": sql.Identifier(f"{name}_{column}")
            for column in ("words", "labels", "document", "embedding")
        }
        language = "simple" if self._config.language == "none" else self._config.language
        text = text.replace("{query}", _QUERY).replace("{filter}", _FILTER).replace("{k}", str(payloads.FUSION_K))
        return sql.SQL(text).format(table=sql.Identifier(*schema, name), language=sql.Literal(language), **indexes)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection of the pool; what goes wrong on it is a sentence without addresses and passwords."""
        import psycopg
        from psycopg_pool import AsyncConnectionPool, PoolTimeout

        if self._pool is None:
            self._pool = AsyncConnectionPool(
                self._config.url.get_secret_value(),
                min_size=0,
                max_size=_CONNECTIONS,
                timeout=_SECONDS,
                reconnect_timeout=0,
                kwargs={"autocommit": True, "connect_timeout": 5},
                configure=_configure,
                open=False,
            )
            await self._pool.open()
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise KnowledgeError(
                f"{self._name}: PostgreSQL does not answer, or refuses the user", transient=True
            ) from error
        except psycopg.Error as error:
            code = error.sqlstate or type(error).__name__
            raise KnowledgeError(f"{self._name}: PostgreSQL refuses the statement (`{code}`)") from error


async def _configure(connection: AsyncConnection[Any]) -> None:
    """Without it a filter leaves over what is among the nearest only."""
    from psycopg import Error

    try:
        await connection.execute("SET hnsw.iterative_scan = strict_order")
    except Error:
        await connection.rollback()


def _folded(text: str) -> str:
    """Letters without accents and words with spaces between them, as the embedded engine compares them."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", words(text)))
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).replace("\0", " ")


def _literal(vector: Vector) -> str:
    return "[" + ",".join(map(repr, vector)) + "]"
