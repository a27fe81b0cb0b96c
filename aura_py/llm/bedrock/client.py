"""Amazon Bedrock's ``ConverseStream``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aura_py.llm import claude
from aura_py.llm.bedrock.body import build_body
from aura_py.llm.bedrock.connection import BedrockConnection
from aura_py.llm.bedrock.errors import bedrock_errors
from aura_py.llm.bedrock.stream import BedrockStream
from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest
from aura_py.llm.http_model import HttpChatModel
from aura_py.llm.request_body import Body
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.transport import HttpResponse

if TYPE_CHECKING:
    from aura_py.config.models.llm import BedrockLLM

CAPABILITIES = Capabilities(
    seed=False,
    prompt_cache=True,
    notes=(
        "images only as `data:` URLs",
        "`tool_choice = none` leaves the tools out and tells earlier calls as text",
        "`reasoning_effort` on Claude (3.7 on), Nova 2 and gpt-oss; refused elsewhere",
        "parallel tool calls cannot be switched off",
        "cache points on Claude (3.5 Haiku and 3.7 on) and Nova",
        "`response_format` takes `json_schema` only",
        "`temperature` and `top_p` end with Claude 4.6; later models refuse them",
    ),
)


def build(config: BedrockLLM, *, agent: str) -> ChatModel:
    """A model of Amazon Bedrock. Imports `botocore`.

    Raises:
        ConfigurationError: The profile does not exist, or the model has no `temperature`.
    """
    claude.check_table(config, agent)
    secrets = (config.api_key.get_secret_value(),) if config.api_key else ()
    errors = bedrock_errors(agent, config.model, config.region, config.base_url, secrets)
    connection = BedrockConnection(
        config.model,
        "converse-stream",
        region=config.region,
        profile=config.profile,
        base_url=config.base_url,
        agent=agent,
    )
    return _Bedrock(config, errors, connection)


class _Bedrock(HttpChatModel):
    capabilities = CAPABILITIES

    def body(self, request: ChatRequest) -> Body:
        return build_body(request, self.options)

    def reader(self, response: HttpResponse) -> StreamReader:
        return BedrockStream(response.errors)
