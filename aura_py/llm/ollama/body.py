"""A chat request as the body of Ollama's ``/api/chat``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aura_py.llm.contract import ChatRequest, ReasoningEffort, ToolSpec
from aura_py.llm.images import inline_file, inline_image
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.turns import arguments_object, sendable_messages
from aura_py.messages import FilePart, ImagePart, Message, TextPart

PROVIDER = "ollama"
_LIFTED = ("think", "keep_alive", "format")

Body = dict[str, Any]


def build_body(
    request: ChatRequest,
    *,
    errors: ProviderErrors,
    max_tokens: int | None,
    temperature: float | None,
    additional_params: Body,
) -> Body:
    """The JSON body; ``additional_params`` go into ``options`` last, except the keys that stand beside it.

    Raises:
        RequestError: The request asks for something the API has no field for.
    """
    sampling = request.sampling
    body: Body = {"model": errors.model, "messages": _messages(sendable_messages(request), errors), "stream": True}
    tools = _offered(request, errors)
    if tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in tools
        ]
    options: Body = {
        "temperature": sampling.temperature if sampling.temperature is not None else temperature,
        "num_predict": sampling.max_tokens or max_tokens,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
    }
    if sampling.reasoning_effort is not None:
        body["think"] = _think(errors.model, sampling.reasoning_effort)
    if sampling.response_format is not None:
        _format(body, request, errors)
    options = {key: value for key, value in options.items() if value is not None}
    for key, value in additional_params.items():
        (body if key in _LIFTED else options)[key] = value
    if options:
        body["options"] = options
    return body


def _offered(request: ChatRequest, errors: ProviderErrors) -> Sequence[ToolSpec]:
    if request.tool_choice == "none":
        return ()
    if request.tool_choice != "auto":
        raise errors.refuse("tool_choice", "Ollama's API cannot force a tool call")
    return request.tools


def _think(model: str, effort: ReasoningEffort) -> bool | str:
    if effort == "none":
        return False
    if "gpt-oss" not in model:
        return True
    # Only this family knows levels; the others reject them.
    return {"minimal": "low", "xhigh": "high"}.get(effort, effort)


def _format(body: Body, request: ChatRequest, errors: ProviderErrors) -> None:
    wanted = request.sampling.response_format or {}
    match wanted.get("type"):
        case "text":
            return
        case "json_object":
            body["format"] = "json"
            return
        case "json_schema":
            described = wanted.get("json_schema")
            schema = described.get("schema") if isinstance(described, dict) else None
            if schema is not None:
                body["format"] = schema
                return
    raise errors.refuse("response_format", "its `type` must be `text`, `json_object` or `json_schema` with a `schema`")


def _messages(messages: Sequence[Message], errors: ProviderErrors) -> list[Body]:
    out: list[Body] = []
    pictures: list[str] = []
    for message in messages:
        if pictures and message.role != "tool":
            out.append(_shown(pictures))
            pictures = []
        entry: Body = {"role": message.role, "content": message.text}
        images = _images(message, errors)
        if message.role == "tool":
            entry["tool_name"] = message.name or ""
            entry["tool_call_id"] = message.tool_call_id or ""
            # Templates leave out the images of tool messages, so they follow in a message of the user's side.
            pictures.extend(images)
        elif images:
            entry["images"] = images
        if message.role == "assistant":
            thinking = "".join(r.text for r in message.reasoning if r.provider == PROVIDER)
            if thinking:
                entry["thinking"] = thinking
            if message.tool_calls:
                entry["tool_calls"] = [
                    {"id": call.id, "function": {"name": call.name, "arguments": arguments_object(call)}}
                    for call in message.tool_calls
                ]
            if not (entry["content"] or message.tool_calls):
                continue
        out.append(entry)
    if pictures:
        out.append(_shown(pictures))
    return out


def _shown(pictures: list[str]) -> Body:
    return {"role": "user", "content": "Images from the tool results above.", "images": pictures}


def _images(message: Message, errors: ProviderErrors) -> list[str]:
    images: list[str] = []
    for part in message.content:
        if isinstance(part, TextPart):
            continue
        try:
            inline = inline_image(part) if isinstance(part, ImagePart) else inline_file(part)
        except ValueError as error:
            raise errors.refuse_content(f"an image with {error}", "send it as base64") from error
        if inline is None:
            raise errors.refuse_content("images by address", "send the image itself as a `data:` URL")
        if isinstance(part, FilePart) and not inline.media_type.startswith("image/"):
            raise errors.refuse_content(f"files of type `{inline.media_type}`", "send text or an image")
        images.append(inline.data)
    return images
