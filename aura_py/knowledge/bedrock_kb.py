"""A knowledge base of Amazon Bedrock: it embeds and ranks by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import anyio.to_thread

from aura_py.config.models import BedrockKbStore
from aura_py.knowledge.contract import Chunk, Indexed, KnowledgeError, Match, Search, StoreInfo
from aura_py.llm.embeddings import Vector
from aura_py.messages import Json

_SECONDS: Final = 20
_LOCATIONS: Final = {
    "s3Location": "uri",
    "webLocation": "url",
    "confluenceLocation": "url",
    "salesforceLocation": "url",
    "sharePointLocation": "url",
    "kendraDocumentLocation": "uri",
    "customDocumentLocation": "id",
    "sqlLocation": "query",
}
_PAGE_KEY: Final = "x-amz-bedrock-kb-document-page-number"


class BedrockStore:
    """Searches one knowledge base; its documents are managed in AWS."""

    filters = True
    writable = False

    def __init__(self, config: BedrockKbStore) -> None:
        self._config = config
        self._name = f"the vector store `{config.name}`"
        self._client: Any = None
        self._threads = anyio.CapacityLimiter(16)

    async def open(self, dimensions: int | None) -> StoreInfo:
        if self._client is None:
            self._client = await anyio.to_thread.run_sync(self._connect)
        return StoreInfo(None)

    def _connect(self) -> Any:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = self._config
        try:
            # a session of its own: a named profile wins over credentials in the environment
            session = boto3.Session(profile_name=config.profile, region_name=config.region)
            settings = Config(
                connect_timeout=5,
                read_timeout=_SECONDS,
                retries={"max_attempts": 1, "mode": "standard"},  # a search tries again itself
                max_pool_connections=16,
            )
            return session.client("bedrock-agent-runtime", config=settings)
        except BotoCoreError as error:
            raise KnowledgeError(f"{self._name}: {_sentence(error)}") from error

    async def search(self, search: Search) -> list[Match]:
        if self._client is None:
            await self.open(None)
        reply = await anyio.to_thread.run_sync(self._retrieve, search, limiter=self._threads, abandon_on_cancel=True)
        results = reply.get("retrievalResults")
        found = [_match(index, each) for index, each in enumerate(results if isinstance(results, list) else [])]
        return [match for match in found if match is not None][: search.limit]

    def _retrieve(self, search: Search) -> Mapping[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        config = self._config
        settings: dict[str, Any] = {"numberOfResults": search.limit}
        if search.filters:
            conditions = [_condition(key, value) for key, value in search.filters]
            settings["filter"] = conditions[0] if len(conditions) == 1 else {"andAll": conditions}
        kind = "managedSearchConfiguration" if config.managed else "vectorSearchConfiguration"
        try:
            reply: Mapping[str, Any] = self._client.retrieve(
                knowledgeBaseId=config.knowledge_base_id,
                retrievalQuery={"text": search.text},
                retrievalConfiguration={kind: settings},
            )
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            code = error.response.get("Error", {}).get("Code", "unknown error")
            raise KnowledgeError(
                f"{self._name}: Bedrock answers `{code}`", transient=status >= 500 or status == 429
            ) from error
        except BotoCoreError as error:
            raise KnowledgeError(f"{self._name}: {_sentence(error)}", transient=True) from error
        return reply

    async def upsert(self, chunks: Sequence[Chunk], vectors: Sequence[Vector] | None, *, owner: str) -> None:
        raise KnowledgeError(f"{self._name} is filled in AWS; Aura only searches it")

    async def delete(self, document: str, *, from_part: int = 0) -> None:
        raise KnowledgeError(f"{self._name} is filled in AWS; Aura only searches it")

    async def documents(self) -> dict[str, Indexed]:
        return {}

    async def settle(self, written: int) -> None:
        """Nothing was written."""

    async def info(self) -> StoreInfo:
        return StoreInfo(None)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await anyio.to_thread.run_sync(client.close)


def _match(index: int, result: Any) -> Match | None:
    content = result.get("content") if isinstance(result, Mapping) else None
    text = content.get("text") if isinstance(content, Mapping) else None
    if not isinstance(text, str) or not text:
        return None
    location = result.get("location") or {}
    place = next((each for each in _LOCATIONS if isinstance(location.get(each), Mapping)), None)
    metadata: dict[str, Json] = {}
    page = None
    for key, value in (result.get("metadata") or {}).items():
        if key == _PAGE_KEY:
            page = int(value)
        elif not key.startswith("x-amz-") and isinstance(value, str | int | float | bool):
            metadata[key] = value
    if isinstance(location.get("type"), str):
        metadata["type"] = location["type"]
    score = result.get("score")
    return Match(
        id=str(index + 1),
        text=text,
        score=float(score) if isinstance(score, int | float) else None,
        kind="relevance",
        source=str(location[place].get(_LOCATIONS[place], "")) if place is not None else "",
        page=page,
        metadata=metadata,
    )


def _condition(key: str, value: str) -> dict[str, Any]:
    """``value`` as it may have been stored: text, number or truth value."""
    options: list[Any] = [value]
    if value.lower() in ("true", "false"):
        options.append(value.lower() == "true")
    if re.fullmatch(r"-?\d{1,15}", value):
        options.append(int(value))
    elif re.fullmatch(r"-?\d{1,15}\.\d{1,15}", value):
        options.append(float(value))
    each = [{"equals": {"key": key, "value": option}} for option in options]
    return each[0] if len(each) == 1 else {"orAll": each}


def _sentence(error: Exception) -> str:
    """What an AWS client complains of, without addresses."""
    known = {
        "NoCredentialsError": "there are no AWS credentials",
        "ProfileNotFound": "the AWS profile does not exist",
        "EndpointConnectionError": "Bedrock cannot be reached",
        "ConnectTimeoutError": "Bedrock cannot be reached",
        "ReadTimeoutError": "Bedrock does not answer",
    }
    return known.get(type(error).__name__, f"the request to Bedrock failed ({type(error).__name__})")
