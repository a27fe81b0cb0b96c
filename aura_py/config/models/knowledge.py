"""`[[vector_stores]]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SecretStr

from aura_py.config.environment_text import UnresolvedText
from aura_py.config.file_report import Location, display
from aura_py.config.numbers import Whole
from aura_py.config.tables import Key, Section, TableList, Tree, Variant
from aura_py.config.values import Secret, Text, Url, blank_reason, refused

_NAME = re.compile(r"[A-Za-z0-9_-]{1,50}")


@dataclass(slots=True, frozen=True)
class StoreName(Text):
    """A name that is fit to be part of a tool's name."""

    def _read(self, value: object, at: Location) -> object:
        text = Text._read(self, value, at)
        if not isinstance(text, str) or _NAME.fullmatch(text):
            return text
        return refused(
            at,
            "CFG-R01",
            f"`{display(value)}` cannot be the name of a vector store: it becomes part of the tool name"
            " `vector_search_<name>`",
            "use 1 to 50 letters, digits, `_` or `-`",
        )


@dataclass(slots=True, frozen=True)
class Region(Text):
    """An AWS region of the store that the table belongs to."""

    def _read(self, value: object, at: Location) -> object:
        if isinstance(value, str) and not value.strip():
            return refused(
                at, "CFG-R04", f"`region` of vector store {_store(at)} is blank{blank_reason(value)}", "name a region"
            )
        return Text._read(self, value, at)


def _store(at: Location) -> str:
    """The store a place belongs to, as messages name it."""
    entry = at.path[:2]
    return f"`{at.file.names[entry]}`" if entry in at.file.names else f"number {entry[-1]}"


@dataclass(slots=True, frozen=True)
class EmbeddingKey(Secret):
    def _read(self, value: object, at: Location) -> object:
        message = f"API key is required for the embedding model of vector store {_store(at)}"
        return Secret._read(Secret("refuse", "CFG-R03", message), value, at)


_PROVIDER = Key("Which API embeds.", required=True, example='`provider = "openai"`')
_TYPE = Key("Where the vectors are.", required=True, example='`type = "qdrant"`')
_API_KEY = Key("Credential.", example='`api_key = "{{ env.API_KEY }}"`')
_OTHER_ADDRESS = Url("CFG-L06", blank="absent")

Model: TypeAlias = Annotated[
    str, Text(blank="refuse", blank_code="CFG-L06"), Key("Name of the model.", example='`model = "…"`')
]
StoreRegion: TypeAlias = Annotated[
    str,
    Region(),
    Key(
        "AWS region.",
        example='`region = "eu-central-1"`',
        missing_code="CFG-R04",
        missing_message="the `region` of a Bedrock model or store is missing",
    ),
]
Profile: TypeAlias = Annotated[str | None, Key("Named AWS profile.")]
Dimensions: TypeAlias = Annotated[int | None, Whole(1), Key("Length of the vectors, for models that offer several.")]


class OpenAIEmbedding(Section):
    provider: Annotated[Literal["openai"], _PROVIDER] = "openai"
    model: Model
    api_key: Annotated[SecretStr, EmbeddingKey("refuse"), _API_KEY]
    base_url: Annotated[str | None, _OTHER_ADDRESS, Key("Any OpenAI-compatible endpoint.")] = None
    dimensions: Dimensions = None


class BedrockEmbedding(Section):
    provider: Annotated[Literal["bedrock"], _PROVIDER] = "bedrock"
    model: Model
    region: StoreRegion
    profile: Profile = None
    dimensions: Dimensions = None


class GeminiEmbedding(Section):
    provider: Annotated[Literal["gemini"], _PROVIDER] = "gemini"
    model: Model
    api_key: Annotated[SecretStr, EmbeddingKey("refuse"), _API_KEY]
    base_url: Annotated[str | None, _OTHER_ADDRESS, Key("Another address of the Gemini API.")] = None
    dimensions: Dimensions = None


class OllamaEmbedding(Section):
    provider: Annotated[Literal["ollama"], _PROVIDER] = "ollama"
    model: Model
    api_key: Annotated[SecretStr | None, Key("Sent as bearer token.")] = None
    base_url: Annotated[str, _OTHER_ADDRESS, Key("The server.")] = "http://localhost:11434"
    dimensions: Dimensions = None


Embedding: TypeAlias = Annotated[
    OpenAIEmbedding | BedrockEmbedding | GeminiEmbedding | OllamaEmbedding,
    Field(discriminator="provider"),
    Variant(
        "provider",
        foreign_code="CFG-L04",
        fold=True,
    ),
]
_EMBEDDING_MODEL = Key("What turns text into vectors.", example="`[vector_stores.embedding_model]`")


class VectorStoreBase(Section):
    name: Annotated[
        str, StoreName(), Key("The search tool is called `vector_search_<name>`.", example='`name = "runbooks"`')
    ]
    context_prefix: Annotated[
        str | None, Text(blank="absent", prompt=True), Key("What the store contains, for the model.")
    ] = None
    required: Annotated[bool, Key("`true` fails a request when the store is not there.")] = False


class InMemoryStore(VectorStoreBase):
    type: Annotated[Literal["in_memory"], _TYPE] = "in_memory"
    embedding_model: Annotated[Embedding, _EMBEDDING_MODEL]

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        at.warn(
            "WARN-VS01",
            f"the in-memory vector store {_store(at)} holds nothing and finds nothing",
            'use `type = "qdrant"`',
        )


class QdrantStore(VectorStoreBase):
    type: Annotated[Literal["qdrant"], _TYPE] = "qdrant"
    embedding_model: Annotated[Embedding, _EMBEDDING_MODEL]
    url: Annotated[
        SecretStr, Url("CFG-L06", secret=True), Key("gRPC endpoint.", example='`url = "http://localhost:6334"`')
    ]
    collection_name: Annotated[
        str,
        Text(blank="refuse", blank_code="CFG-S01"),
        Key("The collection.", example='`collection_name = "…"`'),
    ]
    api_key: Annotated[SecretStr | None, Key("Credential.")] = None
    content_field: Annotated[str | None, Key("Payload field that holds the text.")] = None
    metadata_fields: Annotated[tuple[str, ...], Key("Payload fields shown beside the text.")] = ()


class BedrockKbStore(VectorStoreBase):
    type: Annotated[Literal["bedrock_kb"], _TYPE] = "bedrock_kb"
    knowledge_base_id: Annotated[
        str,
        Text(blank="refuse", blank_code="CFG-S01"),
        Key("The knowledge base.", example='`knowledge_base_id = "…"`'),
    ]
    region: StoreRegion
    profile: Profile = None
    managed: Annotated[bool, Key("Whether the knowledge base is a managed one.")] = False


VectorStore: TypeAlias = Annotated[
    InMemoryStore | QdrantStore | BedrockKbStore,
    Field(discriminator="type"),
    Variant("type"),
]


@dataclass(slots=True, frozen=True)
class StoreList(TableList):
    """The stores of a file; names are unique, and a plain table is the legacy spelling."""

    def _read(self, value: object, at: Location) -> object:
        if isinstance(value, dict):
            return refused(at, "CFG-S09", "`[vector_stores]` is a plain table", "use `[[vector_stores]]`")
        stores = TableList._read(self, value, at)
        seen: set[str] = set()
        for index, item in enumerate(value if isinstance(value, list) else []):
            name = item.get("name") if isinstance(item, dict) else None
            if not isinstance(name, str) or isinstance(name, UnresolvedText):
                continue
            if name in seen:
                (at / index / "name").error(
                    "CFG-R02", f"two vector stores are called `{display(name)}`", "rename one of them"
                )
            seen.add(name)
        return stores
