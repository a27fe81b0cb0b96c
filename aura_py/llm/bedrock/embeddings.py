"""Titan and Cohere through Bedrock's ``InvokeModel``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aura_py.errors import ConfigurationError
from aura_py.llm.bedrock.connection import BedrockConnection
from aura_py.llm.bedrock.errors import bedrock_errors
from aura_py.llm.embeddings.contract import EmbeddingModel, Purpose
from aura_py.llm.embeddings.model import BatchLimits, HttpEmbeddingModel
from aura_py.llm.request_body import Body
from aura_py.llm.resilience import RetryPolicy

if TYPE_CHECKING:
    from aura_py.config.models import BedrockEmbedding

_GEOGRAPHY = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|ca|sa|me|af|global)\.")
_TITAN_2 = "amazon.titan-embed-text-v2"
_TITAN_1 = "amazon.titan-embed-text-v1"
_COHERE = "cohere.embed-"
_COHERE_4 = "cohere.embed-v4"
_TITAN_DIMENSIONS = 1024


def build(config: BedrockEmbedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """Imports `botocore`.

    Raises:
        ConfigurationError: The model is of no known family, cannot have other dimensions, or the profile is missing.
    """
    family = _family(config.model)
    if family is None:
        raise ConfigurationError(
            f"agent `{agent}`: Bedrock embedding model `{config.model}` is of no known family; use Titan Text"
            " Embeddings or Cohere Embed"
        )
    if config.dimensions is not None and family not in (_TITAN_2, _COHERE_4):
        raise ConfigurationError(
            f"agent `{agent}`: embedding model `{config.model}` has fixed dimensions; remove `dimensions` or use Titan"
            " Text Embeddings V2 or Cohere Embed 4"
        )
    return (
        _Cohere(config, agent, policy, family) if family.startswith(_COHERE) else _Titan(config, agent, policy, family)
    )


def _family(model: str) -> str | None:
    name = _GEOGRAPHY.sub("", model.rpartition("/")[2])
    return next((family for family in (_TITAN_2, _TITAN_1, _COHERE_4, _COHERE) if name.startswith(family)), None)


class _Bedrock(HttpEmbeddingModel):
    def __init__(self, config: BedrockEmbedding, agent: str, policy: RetryPolicy | None, family: str) -> None:
        connection = BedrockConnection(
            config.model, "invoke", region=config.region, profile=config.profile, base_url=None, agent=agent
        )
        errors = bedrock_errors(agent, config.model, config.region, None)
        super().__init__(errors, connection, config.dimensions, policy)
        self._family = family


class _Titan(_Bedrock):
    """One text per call; the calls run side by side."""

    limits = BatchLimits(texts=1, parallel=8)

    def body(self, batch: list[str], purpose: Purpose) -> Body:
        body: Body = {"inputText": batch[0]}
        if self._family == _TITAN_2:
            body |= {"dimensions": self.dimensions or _TITAN_DIMENSIONS, "normalize": True}
        return body

    def vectors(self, answer: Any) -> Any:
        return [answer["embedding"]]


class _Cohere(_Bedrock):
    limits = BatchLimits(texts=96)

    def body(self, batch: list[str], purpose: Purpose) -> Body:
        body: Body = {"texts": batch, "input_type": f"search_{purpose}", "truncate": "END"}
        if self._family == _COHERE_4:
            # The newer model truncates by side, and answers per type of number.
            body |= {"truncate": "RIGHT", "embedding_types": ["float"]}
            if self.dimensions is not None:
                body["output_dimension"] = self.dimensions
        return body

    def vectors(self, answer: Any) -> Any:
        found = answer["embeddings"]
        return found["float"] if isinstance(found, dict) else found
