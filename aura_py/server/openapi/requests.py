"""Bodies of requests: every field that Aura reads. Others are ignored, and ``null`` is the same as absent."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from aura_py.llm.contract import ReasoningEffort

Text: TypeAlias = Annotated[str, Field(min_length=1)]


class TextContent(TypedDict):
    """Text; also `input_text` and `output_text`."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class ImageAddress(TypedDict):
    url: Annotated[str, Field(pattern="^(https?://|data:)")]
    detail: NotRequired[str | None]


class ImageContent(TypedDict):
    """An image by `http`, `https` or `data` URL."""

    type: Literal["image_url"]
    image_url: ImageAddress


class InputImageContent(TypedDict):
    """An image in the form of the Responses API."""

    type: Literal["input_image"]
    image_url: Annotated[str, Field(pattern="^(https?://|data:)")]
    detail: NotRequired[str | None]


Content: TypeAlias = str | list[TextContent | ImageContent | InputImageContent]


class CalledFunction(TypedDict):
    name: str
    arguments: Annotated[str, Field(description="JSON of an object.")]


class ToolCall(TypedDict):
    id: str
    type: NotRequired[Literal["function"]]
    function: CalledFunction


class SystemMessage(TypedDict):
    """Left out: the agent's own prompt is authoritative. A conversation of nothing else is asked as a user message."""

    role: Literal["system", "developer"]
    content: Content


class UserMessage(TypedDict):
    role: Literal["user"]
    content: Content


class AssistantMessage(TypedDict):
    role: Literal["assistant"]
    content: NotRequired[Content | None]
    tool_calls: NotRequired[list[ToolCall] | None]


class ToolMessage(TypedDict):
    """The result of a tool that the caller has run."""

    role: Literal["tool"]
    tool_call_id: str
    content: Content


class FunctionDefinition(TypedDict):
    name: Text
    description: NotRequired[str | None]
    parameters: NotRequired[Annotated[dict[str, object] | None, Field(description="A JSON Schema.")]]
    strict: NotRequired[bool | None]


class ChatTool(TypedDict):
    """A tool that the caller runs itself; the agent must have `enable_client_tools`."""

    type: Literal["function"]
    function: FunctionDefinition


class ResponsesTool(TypedDict):
    """A tool that the caller runs itself; the agent must have `enable_client_tools`."""

    type: Literal["function"]
    name: Text
    description: NotRequired[str | None]
    parameters: NotRequired[Annotated[dict[str, object] | None, Field(description="A JSON Schema.")]]
    strict: NotRequired[bool | None]


class FunctionName(TypedDict):
    name: str


class ChatFunctionChoice(TypedDict):
    type: Literal["function"]
    function: FunctionName


class ResponsesFunctionChoice(TypedDict):
    type: Literal["function"]
    name: str


ToolMode: TypeAlias = Literal["none", "auto", "required"]


class StreamOptions(TypedDict):
    include_usage: NotRequired[Annotated[bool, Field(description="A chunk with the usage before the end.")]]


class PlainFormat(TypedDict):
    type: Literal["text", "json_object"]


class NamedSchema(TypedDict):
    name: NotRequired[str]
    schema: dict[str, object]
    strict: NotRequired[bool | None]


class SchemaFormat(TypedDict):
    type: Literal["json_schema"]
    json_schema: NamedSchema


class FlatSchemaFormat(TypedDict):
    type: Literal["json_schema"]
    name: NotRequired[str]
    schema: dict[str, object]
    strict: NotRequired[bool | None]


class EventWish(TypedDict):
    events: NotRequired[Annotated[bool, Field(description="Vendor chunks with an `aura` key in the stream.")]]


Temperature: TypeAlias = Annotated[float, Field(ge=0, le=2)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Metadata: TypeAlias = Annotated[
    dict[str, str], Field(description="`chat_session_id` names the session; all of it reaches the run.")
]
Seed: TypeAlias = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]


class ChatCompletionRequest(TypedDict):
    """A chat completion. Sampling parameters count where the agent's `request_overrides` names them."""

    messages: Annotated[list[SystemMessage | UserMessage | AssistantMessage | ToolMessage], Field(min_length=1)]
    model: NotRequired[Annotated[str | None, Field(description="An agent's id; absent: the default agent.")]]
    stream: NotRequired[bool | None]
    stream_options: NotRequired[StreamOptions | None]
    tools: NotRequired[list[ChatTool] | None]
    tool_choice: NotRequired[ToolMode | ChatFunctionChoice | None]
    parallel_tool_calls: NotRequired[bool | None]
    metadata: NotRequired[Metadata | None]
    user: NotRequired[str | None]
    temperature: NotRequired[Temperature | None]
    top_p: NotRequired[Share | None]
    max_tokens: NotRequired[int | None]
    max_completion_tokens: NotRequired[int | None]
    stop: NotRequired[str | list[str] | None]
    seed: NotRequired[Seed | None]
    reasoning_effort: NotRequired[ReasoningEffort | None]
    response_format: NotRequired[PlainFormat | SchemaFormat | None]
    aura: NotRequired[EventWish | None]


class InputMessage(TypedDict):
    type: NotRequired[Literal["message"]]
    role: Literal["user", "assistant", "system", "developer"]
    content: Content


class InputCall(TypedDict):
    type: Literal["function_call"]
    call_id: Text
    name: Text
    arguments: str


class InputCallOutput(TypedDict):
    type: Literal["function_call_output"]
    call_id: Text
    output: Content


class InputMcpCall(TypedDict):
    """A call that Aura ran in an earlier response."""

    type: Literal["mcp_call"]
    id: Text
    name: Text
    arguments: str
    output: NotRequired[str | None]
    error: NotRequired[str | dict[str, object] | None]


class InputReasoning(TypedDict):
    """Left out."""

    type: Literal["reasoning"]


class ReasoningOptions(TypedDict):
    effort: NotRequired[ReasoningEffort | None]


class TextOptions(TypedDict):
    format: NotRequired[PlainFormat | FlatSchemaFormat | None]


class ResponseRequest(TypedDict):
    """A response. Nothing is stored: the conversation comes in `input`."""

    input: str | list[InputMessage | InputCall | InputCallOutput | InputMcpCall | InputReasoning]
    model: NotRequired[Annotated[str | None, Field(description="An agent's id; absent: the default agent.")]]
    stream: NotRequired[bool | None]
    tools: NotRequired[list[ResponsesTool] | None]
    tool_choice: NotRequired[ToolMode | ResponsesFunctionChoice | None]
    parallel_tool_calls: NotRequired[bool | None]
    metadata: NotRequired[Metadata | None]
    user: NotRequired[str | None]
    safety_identifier: NotRequired[str | None]
    temperature: NotRequired[Temperature | None]
    top_p: NotRequired[Share | None]
    max_output_tokens: NotRequired[int | None]
    reasoning: NotRequired[ReasoningOptions | None]
    text: NotRequired[TextOptions | None]
    instructions: NotRequired[
        Annotated[str | None, Field(description="Not read, except to recognise side requests of chat clients.")]
    ]
