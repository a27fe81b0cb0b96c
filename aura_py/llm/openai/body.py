"""A :class:`ChatRequest` in the JSON of OpenAI's Chat Completions, for every provider that speaks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aura_py.llm.contract import ChatRequest, NamedTool, ToolSpec
from aura_py.llm.request_body import Body, BodyOptions, sampling_fields
from aura_py.llm.turns import arguments_text, sendable_messages
from aura_py.messages import FilePart, ImagePart, JsonObject, Message, Part, TextPart, ToolCall

_SAMPLING = {
    "temperature": "temperature",
    "top_p": "top_p",
    "stop": "stop",
    "seed": "seed",
    "reasoning_effort": "reasoning_effort",
    "response_format": "response_format",
}


@dataclass(slots=True, frozen=True)
class ChatSettings:
    """How an address wants its requests.

    ``origin``: the address that is asked; what it added to its tool calls goes back to it, and to nobody else.
    ``unsigned``: what stands beside the first call of a message where that address added nothing to any.
    ``returns_reasoning``: reasoning goes back beside its tool calls, under the key it came in.
    """

    max_tokens_key: str = "max_tokens"
    reasoning_effort: str | None = None
    system_role: str = "system"
    returns_reasoning: bool = False
    origin: str = ""
    unsigned: Mapping[str, object] = field(default_factory=dict)


def build_body(request: ChatRequest, options: BodyOptions, settings: ChatSettings) -> Body:
    """The body of a streamed call. The prefix (model, messages) is the same for equal conversations."""
    reasoning_of = options.errors.provider if settings.returns_reasoning else ""
    if "reasoning_content" in request.left_out:
        reasoning_of = ""
    body: Body = {
        "model": options.model,
        "messages": _messages(sendable_messages(request), settings, reasoning_of),
        "stream": True,
    }
    if "stream_options" not in request.left_out:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if isinstance(request.tool_choice, NamedTool):
            body["tool_choice"] = {"type": "function", "function": {"name": request.tool_choice.name}}
        elif request.tool_choice != "auto":
            body["tool_choice"] = request.tool_choice
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls
    if settings.reasoning_effort is not None:
        body["reasoning_effort"] = settings.reasoning_effort
    names = {**_SAMPLING, "max_tokens": settings.max_tokens_key}
    body.update(sampling_fields(options.sampling(request), names))
    body.update(options.additional_params)
    return body


def has_linked_files(conversation: Sequence[Message]) -> bool:
    """Whether a file stands by its address, which not every server takes."""
    parts = (part for message in conversation for part in message.content)
    return any(
        isinstance(part, FilePart) and not part.data and not (part.url or "").startswith("data:") for part in parts
    )


def _messages(conversation: Sequence[Message], settings: ChatSettings, reasoning_of: str) -> list[Body]:
    result: list[Body] = []
    waiting: list[Body] = []
    for message in conversation:
        if message.role != "tool" and waiting:
            result += waiting
            waiting = []
        if message.role == "system":
            result.append({"role": settings.system_role, "content": message.text})
        elif message.role == "user":
            result.append({"role": "user", "content": _content(message.content)})
        elif message.role == "assistant":
            result.append(_assistant(message, reasoning_of, settings))
        else:
            result.append({"role": "tool", "tool_call_id": message.tool_call_id or "", "content": message.text})
            pictures = tuple(part for part in message.content if not isinstance(part, TextPart))
            if pictures:
                # Tool messages take text only; the results of one turn must stay together, so pictures follow them.
                label = TextPart(f"Attachments returned by tool {message.name or message.tool_call_id}:")
                waiting.append({"role": "user", "content": _content((label, *pictures))})
    return result + waiting


def _assistant(message: Message, reasoning_of: str, settings: ChatSettings) -> Body:
    body: Body = {"role": "assistant", "content": message.text or None}
    if message.tool_calls:
        calls = [_call(call, settings.origin) for call in message.tool_calls]
        if settings.unsigned and not any(settings.unsigned.keys() & call.keys() for call in calls):
            calls[0].update(settings.unsigned)
        body["tool_calls"] = calls
        for reasoning in message.reasoning:
            key = reasoning.opaque.get("key")
            if reasoning.provider == reasoning_of and isinstance(key, str):
                body[key] = reasoning.text
    elif not message.text:
        body["content"] = ""
    return body


def _call(call: ToolCall, origin: str) -> Body:
    function = {"name": call.name, "arguments": arguments_text(call)}
    body: Body = {"id": call.id, "type": "function", "function": function}
    extras = call.opaque.get("extras")
    if isinstance(extras, Mapping) and call.opaque.get("origin") == origin:
        body.update(extras)
    return body


def _tool(tool: ToolSpec) -> Body:
    function: Body = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _content(parts: Sequence[Part]) -> str | list[Body]:
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, TextPart))
    return [_part(part) for part in parts]


def _part(part: Part) -> Body:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        image: dict[str, object] = {"url": part.url}
        if part.detail is not None:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    return {"type": "file", "file": _file(part)}


def _file(part: FilePart) -> JsonObject:
    data = part.data or part.url or ""
    if part.data and not data.startswith("data:"):
        data = f"data:{part.media_type or 'application/octet-stream'};base64,{data}"
    return {"filename": part.name or "file", "file_data": data}
