"""A chat request as the body of Anthropic's Messages API."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from aura_py.llm import claude
from aura_py.llm.contract import ChatRequest, NamedTool, ToolChoice
from aura_py.llm.images import Inline, inline_file, inline_image
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.turns import Turn, arguments_object, call_id, calls_as_text, sendable_messages, split, texts
from aura_py.messages import FilePart, ImagePart, Message, Part, Reasoning, TextPart

PROVIDER = "anthropic"
ADDRESS = "https://api.anthropic.com"
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_CACHE = {"type": "ephemeral"}

Body = dict[str, Any]


def build_body(
    request: ChatRequest,
    *,
    errors: ProviderErrors,
    max_tokens: int | None,
    temperature: float | None,
    additional_params: Body,
) -> Body:
    """The JSON body; ``additional_params`` are merged last.

    Raises:
        RequestError: The request asks for something the Messages API has no field for.
    """
    sampling = request.sampling
    systems, turns = split(sendable_messages(request))
    if not request.tools:
        turns = calls_as_text(turns)
    limit = sampling.max_tokens or max_tokens or claude.default_max_tokens(errors.model)
    body: Body = {
        "model": errors.model,
        "max_tokens": limit,
        "stream": True,
        "messages": [{"role": turn.role, "content": _content(turn, errors)} for turn in turns],
    }
    if systems:
        blocks: list[Body] = [{"type": "text", "text": text} for text in systems]
        if "cache_control" not in request.left_out:
            blocks[-1]["cache_control"] = _CACHE
        body["system"] = blocks
    heat = sampling.temperature if sampling.temperature is not None else temperature
    if heat is not None:
        body["temperature"] = heat
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop_sequences"] = list(sampling.stop)
    if sampling.seed is not None:
        raise errors.refuse("seed", "the Messages API has no seed")
    official = urlsplit(errors.address).hostname == urlsplit(ADDRESS).hostname
    if official:
        claude.check_sampling(errors, sampling)
    if sampling.reasoning_effort is not None:
        _think(body, request, errors, limit)
    if sampling.response_format is not None:
        _format(body, request, errors)
    if request.tools:
        # Without it a long argument, such as an answer that is given through a tool, comes in one piece. Servers that
        # only speak the same protocol may reject a field they do not know.
        eager = {"eager_input_streaming": True} if official and "eager_input_streaming" not in request.left_out else {}
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters, **eager}
            for tool in request.tools
        ]
        if "cache_control" not in request.left_out:
            body["tools"][-1]["cache_control"] = _CACHE
    body.update(additional_params)
    claude.suit_thinking(body, turns, PROVIDER)
    if request.tools:
        _choose(body, request.tool_choice, request.parallel_tool_calls)
    return body


def _think(body: Body, request: ChatRequest, errors: ProviderErrors, limit: int) -> None:
    effort = request.sampling.reasoning_effort
    assert effort is not None
    try:
        fields = claude.effort_fields(errors.model, effort, limit)
    except ValueError as error:
        raise errors.refuse("reasoning_effort", str(error)) from error
    body.update(fields)
    if "thinking" in fields and effort != "none":
        # Thinking accepts no temperature; the effort asked for now wins over the file's temperature.
        body.pop("temperature", None)


def _format(body: Body, request: ChatRequest, errors: ProviderErrors) -> None:
    wanted = request.sampling.response_format or {}
    kind = wanted.get("type")
    if kind == "text":
        return
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    if kind != "json_schema" or schema is None:
        raise errors.refuse("response_format", "the Messages API only takes `json_schema` with a `schema`")
    config = dict(body.get("output_config", {}))
    config["format"] = {"type": "json_schema", "schema": schema}
    body["output_config"] = config


def _choose(body: Body, choice: ToolChoice, parallel: bool | None) -> None:
    if "tool_choice" in body:
        return
    kind = {"auto": "auto", "none": "none", "required": "any"}
    value: Body = {"type": "tool", "name": choice.name} if isinstance(choice, NamedTool) else {"type": kind[choice]}
    if value["type"] in ("tool", "any") and (_thinks(body) or claude.always_thinks(str(body["model"]))):
        # The API rejects a forced tool while it thinks.
        value = {"type": "auto"}
    if parallel is not None and value["type"] != "none":
        value["disable_parallel_tool_use"] = not parallel
    if value != {"type": "auto"}:
        body["tool_choice"] = value


def _thinks(body: Body) -> bool:
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")


def _content(turn: Turn, errors: ProviderErrors) -> list[Body]:
    blocks: list[Body] = []
    for message in turn.messages:
        if message.role == "tool":
            blocks.append(_result(message, errors))
            continue
        for reasoning in message.reasoning:
            blocks.extend(_thought(reasoning))
        blocks.extend(_block(part, errors) for part in texts(message.content))
        blocks.extend(
            {"type": "tool_use", "id": call_id(call.id), "name": call.name, "input": arguments_object(call)}
            for call in message.tool_calls
        )
    return blocks


def _thought(reasoning: Reasoning) -> list[Body]:
    if reasoning.provider != PROVIDER:
        return []
    redacted = reasoning.opaque.get("redacted")
    if redacted:
        return [{"type": "redacted_thinking", "data": redacted}]
    signature = reasoning.opaque.get("signature")
    return [{"type": "thinking", "thinking": reasoning.text, "signature": signature}] if signature else []


def _result(message: Message, errors: ProviderErrors) -> Body:
    result: Body = {"type": "tool_result", "tool_use_id": call_id(message.tool_call_id or "")}
    content = [_block(part, errors) for part in texts(message.content)]
    if content:
        result["content"] = content
    if message.is_error:
        result["is_error"] = True
    return result


def _block(part: Part, errors: ProviderErrors) -> Body:
    match part:
        case TextPart(text=text):
            return {"type": "text", "text": text}
        case ImagePart(url=url):
            try:
                image = inline_image(part)
            except ValueError as error:
                raise errors.refuse_content(f"an image with {error}", "send it as base64") from error
            if image is None:
                return {"type": "image", "source": {"type": "url", "url": url}}
            if image.media_type not in _IMAGES:
                raise errors.refuse_content(f"images of type `{image.media_type}`", "send JPEG, PNG, GIF or WebP")
            return {"type": "image", "source": _base64(image)}
        case FilePart():
            return _document(part, errors)


def _document(part: FilePart, errors: ProviderErrors) -> Body:
    try:
        file = inline_file(part)
    except ValueError as error:
        raise errors.refuse_content(f"a file with {error}", "send it as base64") from error
    title = {"title": part.name} if part.name else {}
    if file is None and part.url:
        return {"type": "document", "source": {"type": "url", "url": part.url}, **title}
    if file is not None and file.media_type in _IMAGES:
        return {"type": "image", "source": _base64(file)}
    if file is not None and file.media_type == "application/pdf":
        return {"type": "document", "source": _base64(file), **title}
    if file is not None and file.media_type.startswith("text/"):
        text = file.decoded().decode(errors="replace")
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}, **title}
    kind = file.media_type if file else part.media_type
    raise errors.refuse_content(f"files of type `{kind}`", "send a PDF, a text file or an image")


def _base64(inline: Inline) -> Body:
    return {"type": "base64", "media_type": inline.media_type, "data": inline.data}
