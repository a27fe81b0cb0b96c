"""`[[vector_stores]]` (``config.md`` §12, ``knowledge.md`` §9)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aura_py.config import models
from aura_py.config.numbers import Flag, Whole
from aura_py.config.problems import At, shown
from aura_py.config.tables import Key, Shape, TableList, Tree, Variant, missing_tag
from aura_py.config.templates import Unresolved
from aura_py.config.values import NOTHING, Choice, Secret, Strings, Text, Url, emptiness

_NAME = re.compile(r"[A-Za-z0-9_-]{1,50}")


@dataclass(slots=True, frozen=True)
class StoreName(Text):
    """A name that is fit to be part of a tool's name."""

    def _read(self, value: object, at: At) -> object:
        text = Text._read(self, value, at)
        if not isinstance(text, str) or _NAME.fullmatch(text):
            return text
        at.error(
            "CFG-R01",
            f"`{shown(value)}` cannot be the name of a vector store: it becomes part of the tool name"
            " `vector_search_<name>`",
            "use 1 to 50 letters, digits, `_` or `-`",
        )
        return NOTHING


@dataclass(slots=True, frozen=True)
class Region(Text):
    """An AWS region of the store that the table belongs to."""

    def _read(self, value: object, at: At) -> object:
        if isinstance(value, str) and not value.strip():
            at.error("CFG-R04", f"`region` of vector store {_store(at)} is blank{emptiness(value)}", "name a region")
            return NOTHING
        return Text._read(self, value, at)


def _store(at: At) -> str:
    """The store a place belongs to, as messages name it."""
    entry = at.path[:2]
    return f"`{at.file.names[entry]}`" if entry in at.file.names else f"number {entry[-1]}"


@dataclass(slots=True, frozen=True)
class EmbeddingKey(Secret):
    def _read(self, value: object, at: At) -> object:
        message = f"API key is required for the embedding model of vector store {_store(at)}"
        return Secret._read(Secret("refuse", "CFG-R03", message), value, at)


_MODEL = Key(Text(blank="refuse", blank_code="CFG-L06"), "Name of the model.", True, '`model = "…"`')
_DIMENSIONS = Key(Whole(1), "Length of the vectors, for models that offer several.")
_PROFILE = Key(Text(blank="absent"), "Named AWS profile.")
_REGION = Key(
    Region(),
    "AWS region.",
    True,
    '`region = "eu-central-1"`',
    "CFG-R04",
    "the `region` of a Bedrock model or store is missing",
)
_EMBEDDING_PROVIDER = Key(
    Choice(("openai", "bedrock", "gemini", "ollama")), "Which API embeds.", True, '`provider = "openai"`'
)
_EMBEDDING = Variant(
    "provider",
    {
        "openai": Shape(
            models.OpenAIEmbedding,
            {
                "provider": _EMBEDDING_PROVIDER,
                "model": _MODEL,
                "api_key": Key(EmbeddingKey("refuse"), "Credential.", True, '`api_key = "{{ env.OPENAI_API_KEY }}"`'),
                "base_url": Key(Url("CFG-L06", blank="absent"), "Any OpenAI-compatible endpoint."),
                "dimensions": _DIMENSIONS,
            },
        ),
        "bedrock": Shape(
            models.BedrockEmbedding,
            {
                "provider": _EMBEDDING_PROVIDER,
                "model": _MODEL,
                "region": _REGION,
                "profile": _PROFILE,
                "dimensions": _DIMENSIONS,
            },
        ),
        "gemini": Shape(
            models.GeminiEmbedding,
            {
                "provider": _EMBEDDING_PROVIDER,
                "model": _MODEL,
                "api_key": Key(EmbeddingKey("refuse"), "Credential.", True, '`api_key = "{{ env.GEMINI_API_KEY }}"`'),
                "base_url": Key(Url("CFG-L06", blank="absent"), "Another address of the Gemini API."),
                "dimensions": _DIMENSIONS,
            },
        ),
        "ollama": Shape(
            models.OllamaEmbedding,
            {
                "provider": _EMBEDDING_PROVIDER,
                "model": _MODEL,
                "api_key": Key(Secret("absent"), "Sent as bearer token."),
                "base_url": Key(Url("CFG-L06", blank="absent"), "The server; default `http://localhost:11434`."),
                "dimensions": _DIMENSIONS,
            },
        ),
    },
    missing_tag("provider", "`openai`, `bedrock`, `gemini`, `ollama`"),
    foreign_code="CFG-L04",
    fold=True,
)
_TYPES = ("in_memory", "qdrant", "bedrock_kb")
_COMMON = {
    "name": Key(StoreName(), "The search tool is called `vector_search_<name>`.", True, '`name = "runbooks"`'),
    "context_prefix": Key(Text(blank="absent", prompt=True), "What the store contains, for the model."),
    "type": Key(Choice(_TYPES), "Where the vectors are.", True, '`type = "qdrant"`'),
    "required": Key(Flag(), "`true` fails a request when the store is not there."),
}
_EMBEDDING_MODEL = Key(_EMBEDDING, "What turns text into vectors.", True, "`[vector_stores.embedding_model]`")


def _in_memory(tree: Tree, at: At) -> None:
    at.warn(
        "WARN-VS01", f"the in-memory vector store {_store(at)} holds nothing and finds nothing", 'use `type = "qdrant"`'
    )


VECTOR_STORE = Variant(
    "type",
    {
        "in_memory": Shape(models.InMemoryStore, {**_COMMON, "embedding_model": _EMBEDDING_MODEL}, check=_in_memory),
        "qdrant": Shape(
            models.QdrantStore,
            {
                **_COMMON,
                "embedding_model": _EMBEDDING_MODEL,
                "url": Key(Url("CFG-L06", secret=True), "gRPC endpoint.", True, '`url = "http://localhost:6334"`'),
                "collection_name": Key(
                    Text(blank="refuse", blank_code="CFG-S01"), "The collection.", True, '`collection_name = "…"`'
                ),
                "api_key": Key(Secret(), "Credential."),
                "content_field": Key(Text(blank="absent"), "Payload field that holds the text."),
                "metadata_fields": Key(Strings(), "Payload fields shown beside the text."),
            },
        ),
        "bedrock_kb": Shape(
            models.BedrockKbStore,
            {
                **_COMMON,
                "knowledge_base_id": Key(
                    Text(blank="refuse", blank_code="CFG-S01"), "The knowledge base.", True, '`knowledge_base_id = "…"`'
                ),
                "region": _REGION,
                "profile": _PROFILE,
                "managed": Key(Flag(), "Whether the knowledge base is a managed one."),
            },
        ),
    },
    missing_tag("type", ", ".join(f"`{word}`" for word in _TYPES)),
)


@dataclass(slots=True, frozen=True)
class StoreList(TableList):
    """The stores of a file; names are unique, and a plain table is the legacy spelling."""

    def _read(self, value: object, at: At) -> object:
        if isinstance(value, dict):
            at.error("CFG-S09", "`[vector_stores]` is a plain table", "use `[[vector_stores]]`")
            return NOTHING
        stores = TableList._read(self, value, at)
        seen: set[str] = set()
        for index, item in enumerate(value if isinstance(value, list) else []):
            name = item.get("name") if isinstance(item, dict) else None
            if not isinstance(name, str) or isinstance(name, Unresolved):
                continue
            if name in seen:
                (at / index / "name").error(
                    "CFG-R02", f"two vector stores are called `{shown(name)}`", "rename one of them"
                )
            seen.add(name)
        return stores


VECTOR_STORES = StoreList(VECTOR_STORE)
