"""`[[vector_stores]]`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SecretStr

from aura_py.config.environment_text import UnresolvedText
from aura_py.config.file_report import Location, display
from aura_py.config.numbers import Integer
from aura_py.config.tables import Key, Section, TableList, Tree, Variant
from aura_py.config.values import FilePath, Secret, Strings, StringType, Text, Url, blank_reason, refused

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


_DOCUMENT_PACKAGES = {".pdf": "pypdfium2", ".docx": "docx", ".html": "selectolax", ".htm": "selectolax"}


def require_extra(package: str, extra: str, what: str, at: Location) -> None:
    """Complain when an extra of this package is wanted and not installed."""
    if find_spec(package) is None:
        message = f"{what} needs the extra `{extra}`, which is not installed"
        at.error("CFG-X01", message, f"install it: `pip install 'aura_py[{extra}]'`")


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
Dimensions: TypeAlias = Annotated[int | None, Integer(1), Key("Length of the vectors, for models that offer several.")]


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
_OPTIONAL_MODEL = Key("What turns text into vectors; without it words are compared (BM25).")

# fmt: off
Language = Literal[
    "arabic", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian", "italian",
    "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "turkish", "none",
]
# fmt: on
Mode = Literal["hybrid", "vector", "lexical"]


@dataclass(slots=True, frozen=True)
class SourcePattern(StringType):
    """A file, a directory or a glob; relative ones start at the directory of the file."""

    label = "path"

    def _read_text(self, value: str, at: Location) -> object:
        if not value.strip() or "\0" in value:
            return refused(
                at, "CFG-R07", f"`{at.key}` is no path{blank_reason(value)}", 'write, for example, `"./docs"`'
            )
        return os.path.abspath(at.file.file.parent / value)


@dataclass(slots=True, frozen=True)
class PostgresUrl(Secret):
    """Where a PostgreSQL server is; never shown."""

    def _read_text(self, value: str, at: Location) -> object:
        if value.strip() and not value.strip().startswith(("postgresql://", "postgres://")):
            return refused(
                at,
                "CFG-L06",
                f"`{at.key}` must start with postgresql://",
                'write, for example, `url = "postgresql://user:password@localhost/db"`',
            )
        return Secret._read_text(self, value, at)


class VectorStoreBase(Section):
    name: Annotated[
        str, StoreName(), Key("The search tool is called `vector_search_<name>`.", example='`name = "runbooks"`')
    ]
    context_prefix: Annotated[
        str | None, Text(blank="absent", prompt=True), Key("What the store contains, for the model.")
    ] = None
    required: Annotated[bool, Key("`true` fails a request when the store is not there.")] = False


class SearchableStore(VectorStoreBase):
    """A store that Aura fills."""

    embedding_model: Annotated[Embedding | None, _OPTIONAL_MODEL] = None
    mode: Annotated[
        Mode | None,
        Key("`hybrid` joins words and vectors; default: `hybrid` with an embedding model, else `lexical`."),
    ] = None
    sources: Annotated[
        tuple[str, ...],
        Strings(SourcePattern()),
        Key("Files, directories and globs to index, relative to this file."),
    ] = ()
    watch: Annotated[bool, Key("Index again when a source changes.")] = False
    language: Annotated[Language, Key("Whose word endings and stop words BM25 knows.")] = "english"

    @property
    def search_mode(self) -> Mode:
        return self.mode or ("lexical" if self.embedding_model is None else "hybrid")

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        if tree.get("mode") in ("hybrid", "vector") and "embedding_model" not in tree:
            (at / "mode").error(
                "CFG-R06",
                f"`mode` of vector store {_store(at)} needs vectors, and there is no embedding model",
                'add `[vector_stores.embedding_model]`, or write `mode = "lexical"`',
            )
        for index, source in enumerate(tree.get("sources", ())):
            package = _DOCUMENT_PACKAGES.get(os.path.splitext(source)[1].lower())
            if package is not None:
                require_extra(package, "documents", f"reading `{os.path.splitext(source)[1]}`", at / "sources" / index)


class InMemoryStore(SearchableStore):
    """An embedded store in a temporary folder; it is filled anew by every start."""

    type: Annotated[Literal["in_memory"], _TYPE] = "in_memory"

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        super().check(tree, at)
        if not tree.get("sources"):
            at.warn(
                "WARN-VS01",
                f"the in-memory vector store {_store(at)} has no `sources`, so it holds nothing and finds nothing",
                'add `sources = ["./docs"]`',
            )


class QdrantStore(SearchableStore):
    """Qdrant: embedded in this process with ``path``, a server with ``url``."""

    type: Annotated[Literal["qdrant"], _TYPE] = "qdrant"
    path: Annotated[
        Path | None,
        FilePath(home="file"),
        Key("Folder of an embedded store, relative to this file."),
    ] = None
    url: Annotated[SecretStr | None, Url("CFG-L06", secret=True), Key("Address of a server.")] = None
    grpc: Annotated[bool | None, Key("Speak gRPC; default: `true` when the port is 6334.")] = None
    collection_name: Annotated[str | None, Text(blank="absent"), Key("The server's collection; default: `name`.")] = (
        None
    )
    api_key: Annotated[SecretStr | None, Key("Credential.")] = None
    content_field: Annotated[str | None, Key("Payload field that holds the text.")] = None
    metadata_fields: Annotated[tuple[str, ...], Key("Payload fields shown beside the text.")] = ()

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        super().check(tree, at)
        if at.file.failed_below(at.path):
            return
        if ("path" in tree) == ("url" in tree):
            wrong = "has both `path` and `url`" if "path" in tree else "is missing its `path` or `url`"
            (at / "url").error(
                "CFG-S01",
                f"vector store {_store(at)} {wrong}",
                'write `path = "./index"` for an embedded store, or `url = "http://localhost:6334"` for a server',
            )
        elif "url" in tree and "embedding_model" not in tree and tree.get("mode") != "lexical":
            (at / "embedding_model").error(
                "CFG-S01",
                f"missing required key `embedding_model` in {at.table}",
                'add `[vector_stores.embedding_model]`, or write `mode = "lexical"` for a collection that Aura filled',
            )
        elif "path" in tree:
            for key in ("grpc", "api_key", "collection_name", "content_field", "metadata_fields"):
                if key in tree:
                    (at / key).error("CFG-S05", f"`{key}` belongs to a server, not to an embedded store", "remove it")


class PgvectorStore(SearchableStore):
    """PostgreSQL with the extension `pgvector`."""

    type: Annotated[Literal["pgvector"], _TYPE] = "pgvector"
    url: Annotated[
        SecretStr,
        PostgresUrl("refuse", "CFG-S01", "The connection string is missing"),
        Key("Connection string.", example='`url = "postgresql://user:password@localhost/db"`'),
    ]
    table: Annotated[str | None, Text(blank="absent"), Key("Table that holds the chunks; default: `name`.")] = None

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        super().check(tree, at)
        require_extra("psycopg", "postgres", "`pgvector`", at / "type")


class BedrockKbStore(VectorStoreBase):
    """A knowledge base of Amazon Bedrock, which embeds and indexes by itself."""

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
    InMemoryStore | QdrantStore | PgvectorStore | BedrockKbStore,
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
