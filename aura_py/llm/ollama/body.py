"""A chat request as the body of Ollama's ``/api/chat``."""

from __future__ import annotations

from collections.abc import Sequence

from aura_py.llm.attachments import attachment
from aura_py.llm.contract import ChatRequest, ReasoningEffort, ToolSpec
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body, BodyOptions, answer_format, sampling_fields
from aura_py.llm.turns import arguments_object, sendable_messages
from aura_py.messages import FilePart, Message, TextPart

PROVIDER = "ollama"
_BESIDE_OPTIONS = ("think", "keep_alive", "format")
_SAMPLING = {
    "temperature": "temperature",
    "max_tokens": "num_predict",
    "top_p": "top_p",
    "seed": "seed",
    "stop": "stop",
}


def build_body(request: ChatRequest, options: BodyOptions) -> Body:
    """The JSON body; ``additional_params`` go into ``options`` last, except the keys that stand beside it.

    Raises:
        RequestError: The request asks for something the API has no field for.
    """
    errors = options.errors
    sampling = options.sampling(request)
    body: Body = {"model": options.model, "messages": _messages(sendable_messages(request), errors), "stream": True}
    tools = _tools(request, errors)
    if tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in tools
        ]
    if sampling.reasoning_effort is not None:
        body["think"] = _think(options.model, sampling.reasoning_effort)
    remedy = "its `type` must be `text`, `json_object` or `json_schema` with a `schema`"
    wanted = answer_format(sampling, errors, remedy, json_object=True)
    if wanted is not None:
        body["format"] = wanted.get("schema", "json")
    fields = sampling_fields(sampling, _SAMPLING)
    for key, value in options.additional_params.items():
        (body if key in _BESIDE_OPTIONS else fields)[key] = value
    if fields:
        body["options"] = fields
    return body


def _tools(request: ChatRequest, errors: ProviderErrors) -> Sequence[ToolSpec]:
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


def _messages(messages: Sequence[Message], errors: ProviderErrors) -> list[Body]:
    out: list[Body] = []
    pictures: list[str] = []
    for message in messages:
        if pictures and message.role != "tool":
            out.append(_image_message(pictures))
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
        out.append(_image_message(pictures))
    return out


def _image_message(pictures: list[str]) -> Body:
    return {"role": "user", "content": "Images from the tool results above.", "images": pictures}


def _images(message: Message, errors: ProviderErrors) -> list[str]:
    images: list[str] = []
    for part in message.content:
        if isinstance(part, TextPart):
            continue
        inline = attachment(part, errors)
        if inline is None:
            raise errors.refuse_content("images by address", "send the image itself as a `data:` URL")
        if isinstance(part, FilePart) and not inline.media_type.startswith("image/"):
            raise errors.refuse_content(f"files of type `{inline.media_type}`", "send text or an image")
        images.append(inline.data)
    return images
