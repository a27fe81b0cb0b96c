"""A Qdrant server for tests: Qdrant's own engine behind its REST and gRPC interfaces, as far as Aura uses them.

Requests and answers pass through the models of qdrant-client, so nothing is accepted here that its server would not
know. ``API_KEY`` is asked for when a server is started with one.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import qdrant_edge as edge
import uvicorn
from pydantic import TypeAdapter
from qdrant_client import grpc as proto
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.http.models import QueryResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

API_KEY = "qdrant-key-0123456789"


class BadRequest(Exception):
    pass


@dataclass
class Collection:
    """One shard, and the parameters it was made with."""

    params: models.CollectionParams
    shard: edge.EdgeShard
    lock: threading.Lock = field(default_factory=threading.Lock)

    def query(self, request: models.QueryRequest) -> list[models.ScoredPoint]:
        prefetch = request.prefetch or []
        wanted = edge.QueryRequest(
            limit=request.limit or 10,
            query=_query(request.query, request.using),
            prefetches=[
                edge.Prefetch(
                    limit=each.limit or 10,
                    query=_query(each.query, each.using),
                    filter=_filter(each.filter),
                    score_threshold=each.score_threshold,
                )
                for each in (prefetch if isinstance(prefetch, list) else [prefetch])
            ],
            filter=_filter(request.filter),
            score_threshold=request.score_threshold,
            with_payload=bool(request.with_payload),
        )
        with self.lock:
            found = _checked(lambda: self.shard.query(wanted))
        return [models.ScoredPoint(id=_id(p.id), version=p.version, score=p.score, payload=p.payload) for p in found]

    def upsert(self, points: list[models.PointStruct]) -> None:
        made = [edge.Point(p.id, _vectors(p.vector), dict(p.payload or {})) for p in points]
        with self.lock:
            _checked(lambda: self.shard.update(edge.UpdateOperation.upsert_points(made)))

    def delete(self, selector: models.Filter) -> None:
        only = _filter(selector)
        assert only is not None
        with self.lock:
            self.shard.update(edge.UpdateOperation.delete_points_by_filter(only))

    def scroll(self, request: models.ScrollRequest) -> models.ScrollResult:
        fields = request.with_payload if isinstance(request.with_payload, list) else True
        with self.lock:
            found, following = self.shard.scroll(
                edge.ScrollRequest(request.offset, request.limit, _filter(request.filter), fields)
            )
        points = [models.Record(id=_id(point.id), payload=point.payload) for point in found]
        return models.ScrollResult(points=points, next_page_offset=following if following is None else _id(following))

    def count(self) -> int:
        with self.lock:
            return self.shard.info().points_count


def _id(value: Any) -> int | str:
    return value if isinstance(value, int) else str(value)


def _checked(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except Exception as error:
        raise BadRequest(f"Wrong input: {error}") from error


def _query(query: Any, using: str | None) -> Any:
    if isinstance(query, models.NearestQuery):
        query = query.nearest
    if isinstance(query, models.RrfQuery):
        return edge.Fusion.Rrf(k=query.rrf.k or 2)
    if isinstance(query, models.SparseVector):
        query = edge.SparseVector(query.indices, query.values)
    return edge.Query.Nearest(query, using=using or "")


def _vectors(vector: Any) -> Any:
    if not isinstance(vector, dict):
        return vector
    return {
        name: edge.SparseVector(each.indices, each.values) if isinstance(each, models.SparseVector) else each
        for name, each in vector.items()
    }


def _filter(wanted: models.Filter | None) -> edge.Filter | None:
    if wanted is None:
        return None
    return edge.Filter(must=_conditions(wanted.must), should=_conditions(wanted.should))


def _conditions(found: Any) -> Any:
    return None if not found else [_condition(each) for each in (found if isinstance(found, list) else [found])]


def _condition(each: Any) -> Any:
    if isinstance(each, models.Filter):
        return _filter(each)
    assert isinstance(each, models.FieldCondition)
    if each.range is not None:
        assert isinstance(each.range, models.Range)
        return edge.FieldCondition(key=each.key, range=edge.RangeFloat(gte=each.range.gte, lte=each.range.lte))
    assert isinstance(each.match, models.MatchValue)
    return edge.FieldCondition(key=each.key, match=edge.MatchValue(each.match.value))


@dataclass
class QdrantServer:
    """``rest`` and ``grpc`` are addresses. ``down`` makes every request fail; ``keys`` are the API keys that came."""

    api_key: str | None = None
    rest: str = ""
    grpc: str = ""
    down: bool = False
    keys: set[str | None] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    collections: dict[str, Collection] = field(default_factory=dict)

    def create(self, name: str, request: models.CreateCollection) -> None:
        given = request.vectors or {}
        vectors = given if isinstance(given, dict) else {"": given}
        path = Path(tempfile.mkdtemp(prefix="qdrant-test-"))
        config = edge.EdgeConfig(
            vectors={
                key: edge.EdgeVectorParams(size=each.size, distance=edge.Distance.Cosine)
                for key, each in vectors.items()
            },
            sparse_vectors={
                key: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf) for key in request.sparse_vectors or {}
            },
        )
        params = models.CollectionParams(vectors=request.vectors, sparse_vectors=request.sparse_vectors)
        self.collections[name] = Collection(params, edge.EdgeShard.create(str(path), config))

    def index(self, name: str, key: str, schema: models.PayloadSchemaType) -> None:
        kind = getattr(edge.PayloadSchemaType, schema.value.capitalize())
        self.collections[name].shard.update(edge.UpdateOperation.create_field_index(key, kind))

    def about(self, name: str) -> models.CollectionInfo:
        collection = self.collections[name]
        return models.CollectionInfo(
            status=models.CollectionStatus.GREEN,
            optimizer_status=models.OptimizersStatusOneOf.OK,
            points_count=collection.count(),
            segments_count=1,
            config=models.CollectionConfig(
                params=collection.params,
                hnsw_config=models.HnswConfig(m=16, ef_construct=100, full_scan_threshold=10_000),
                optimizer_config=models.OptimizersConfig(
                    deleted_threshold=0.2,
                    vacuum_min_vector_number=1_000,
                    default_segment_number=0,
                    flush_interval_sec=5,
                ),
            ),
            payload_schema={},
        )

    # --- REST ------------------------------------------------------------------------------------------------------

    async def answer(self, request: Request) -> Response:
        self.keys.add(request.headers.get("api-key"))
        self.paths.append(f"{request.method} {request.url.path}")
        if self.down:
            return JSONResponse({"status": {"error": "Service unavailable"}}, 503)
        if self.api_key is not None and request.headers.get("api-key") != self.api_key:
            return JSONResponse({"status": {"error": "Must provide an API key"}}, 401)
        name = request.path_params["name"]
        action = f"{request.method} {request.path_params.get('rest', '')}".strip()
        if name not in self.collections and action not in ("PUT", "GET exists"):
            return JSONResponse({"status": {"error": f"Not found: Collection `{name}` doesn't exist!"}}, 404)
        body = await request.body()
        try:
            result = await asyncio.to_thread(self._rest, action, name, body)
        except BadRequest as error:
            return JSONResponse({"status": {"error": str(error)}}, 400)
        return JSONResponse({"result": result, "status": "ok", "time": 0.001})

    def _rest(self, action: str, name: str, body: bytes) -> Any:
        done = {"operation_id": 1, "status": "completed"}
        if action == "GET exists":
            return {"exists": name in self.collections}
        if action == "PUT":
            self.create(name, models.CreateCollection.model_validate_json(body))
            return True
        if action == "GET":
            return self.about(name).model_dump(mode="json", exclude_none=True)
        collection = self.collections[name]
        if action == "PUT index":
            made = models.CreateFieldIndex.model_validate_json(body)
            assert isinstance(made.field_schema, models.PayloadSchemaType)
            self.index(name, made.field_name, made.field_schema)
            return done
        if action == "PUT points":
            collection.upsert(models.PointsList.model_validate_json(body).points)
            return done
        if action == "POST points/delete":
            collection.delete(models.FilterSelector.model_validate_json(body).filter)
            return done
        if action == "POST points/query":
            found = collection.query(models.QueryRequest.model_validate_json(body))
            return QueryResponse(points=found).model_dump(mode="json", exclude_none=True)
        if action == "POST points/scroll":
            return collection.scroll(models.ScrollRequest.model_validate_json(body)).model_dump(mode="json")
        assert action == "POST points/count", action
        return {"count": collection.count()}

    def app(self) -> Starlette:
        methods = ["GET", "PUT", "POST"]
        return Starlette(
            routes=[
                Route("/collections/{name}", self.answer, methods=methods),
                Route("/collections/{name}/{rest:path}", self.answer, methods=methods),
            ]
        )


class _Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    def __init__(self, server: QdrantServer) -> None:
        self._server = server

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        metadata: Mapping[str, str] = dict(details.invocation_metadata)
        self._server.keys.add(metadata.get("api-key"))
        self._server.paths.append(details.method)

        async def refuse(_request: Any, context: grpc.aio.ServicerContext) -> None:
            code = grpc.StatusCode.UNAVAILABLE if self._server.down else grpc.StatusCode.UNAUTHENTICATED
            await context.abort(code, "no")

        if self._server.down or (self._server.api_key is not None and metadata.get("api-key") != self._server.api_key):
            return grpc.unary_unary_rpc_method_handler(refuse)
        return await continuation(details)


class _Points(proto.PointsServicer):
    def __init__(self, server: QdrantServer) -> None:
        self._server = server

    async def Query(self, request: Any, context: Any) -> Any:  # noqa: N802
        wanted = models.QueryRequest(
            prefetch=[GrpcToRest.convert_prefetch_query(each) for each in request.prefetch] or None,
            query=GrpcToRest.convert_query(request.query),
            using=request.using or None,
            filter=GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None,
            limit=request.limit,
            score_threshold=request.score_threshold if request.HasField("score_threshold") else None,
            with_payload=True,
        )
        try:
            found = await asyncio.to_thread(self._server.collections[request.collection_name].query, wanted)
        except BadRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return proto.QueryResponse(result=[RestToGrpc.convert_scored_point(each) for each in found], time=0.001)

    async def Upsert(self, request: Any, context: Any) -> Any:  # noqa: N802
        points = [GrpcToRest.convert_point_struct(each) for each in request.points]
        try:
            await asyncio.to_thread(self._server.collections[request.collection_name].upsert, points)
        except BadRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return _done()

    async def Delete(self, request: Any, _context: Any) -> Any:  # noqa: N802
        selector = GrpcToRest.convert_filter(request.points.filter)
        await asyncio.to_thread(self._server.collections[request.collection_name].delete, selector)
        return _done()

    async def Scroll(self, request: Any, _context: Any) -> Any:  # noqa: N802
        wanted = models.ScrollRequest(
            offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            limit=request.limit,
            filter=GrpcToRest.convert_filter(request.filter),
            with_payload=list(request.with_payload.include.fields) or True,
        )
        found = await asyncio.to_thread(self._server.collections[request.collection_name].scroll, wanted)
        following = found.next_page_offset
        return proto.ScrollResponse(
            result=[RestToGrpc.convert_record(each) for each in found.points],
            next_page_offset=None if following is None else RestToGrpc.convert_extended_point_id(following),
        )

    async def Count(self, request: Any, _context: Any) -> Any:  # noqa: N802
        count = self._server.collections[request.collection_name].count()
        return proto.CountResponse(result=proto.CountResult(count=count))

    async def CreateFieldIndex(self, request: Any, _context: Any) -> Any:  # noqa: N802
        names = {proto.FieldType.FieldTypeKeyword: "KEYWORD", proto.FieldType.FieldTypeInteger: "INTEGER"}
        schema = models.PayloadSchemaType[names[request.field_type]]
        self._server.index(request.collection_name, request.field_name, schema)
        return _done()


def _done() -> Any:
    return proto.PointsOperationResponse(
        result=proto.UpdateResult(operation_id=1, status=proto.UpdateStatus.Completed), time=0.001
    )


class _Collections(proto.CollectionsServicer):
    def __init__(self, server: QdrantServer) -> None:
        self._server = server

    async def CollectionExists(self, request: Any, _context: Any) -> Any:  # noqa: N802
        exists = request.collection_name in self._server.collections
        return proto.CollectionExistsResponse(result=proto.CollectionExists(exists=exists))

    async def Get(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.collection_name not in self._server.collections:
            await context.abort(grpc.StatusCode.NOT_FOUND, "Not found")
        params = self._server.collections[request.collection_name].params
        return proto.GetCollectionInfoResponse(
            result=proto.CollectionInfo(
                status=proto.CollectionStatus.Green,
                optimizer_status=proto.OptimizerStatus(ok=True),
                config=proto.CollectionConfig(
                    params=RestToGrpc.convert_collection_params(params),
                    hnsw_config=proto.HnswConfigDiff(m=16, ef_construct=100, full_scan_threshold=10_000),
                    optimizer_config=proto.OptimizersConfigDiff(
                        deleted_threshold=0.2, vacuum_min_vector_number=1_000, default_segment_number=0
                    ),
                    wal_config=proto.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
                ),
            )
        )

    async def Create(self, request: Any, _context: Any) -> Any:  # noqa: N802
        vectors = TypeAdapter(Any).validate_python(GrpcToRest.convert_vectors_config(request.vectors_config))
        sparse = GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config)
        self._server.create(request.collection_name, models.CreateCollection(vectors=vectors, sparse_vectors=sparse))
        return proto.CollectionOperationResponse(result=True, time=0.001)


@asynccontextmanager
async def _serving(server: QdrantServer, rest_port: int) -> AsyncIterator[None]:
    rpc = grpc.aio.server(interceptors=[_Guard(server)])
    proto.add_PointsServicer_to_server(_Points(server), rpc)  # type: ignore[no-untyped-call]
    proto.add_CollectionsServicer_to_server(_Collections(server), rpc)  # type: ignore[no-untyped-call]
    port = rpc.add_insecure_port("127.0.0.1:0")
    await rpc.start()
    config = uvicorn.Config(server.app(), host="127.0.0.1", port=rest_port, log_config=None, lifespan="off", ws="none")
    web = uvicorn.Server(config)
    config.load()
    web.lifespan = config.lifespan_class(config)
    await web.startup()
    server.grpc = f"http://127.0.0.1:{port}"
    server.rest = f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    yield
    await web.shutdown()
    await rpc.stop(0)


@contextmanager
def qdrant_server(api_key: str | None = None, rest_port: int = 0) -> Iterator[QdrantServer]:
    """A server in a thread of its own."""
    server = QdrantServer(api_key)
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with _serving(server, rest_port):
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="qdrant-server")
    thread.start()
    try:
        assert started.wait(20)
        yield server
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(20)
