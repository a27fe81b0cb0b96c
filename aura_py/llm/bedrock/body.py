"""A chat request as parameters of Bedrock's ``ConverseStream``."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

import orjson

from aura_py.llm import claude
from aura_py.llm.contract import ChatRequest, NamedTool
from aura_py.llm.images import Inline, inline_file, inline_image
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.turns import Turn, arguments_object, call_id, calls_as_text, sendable_messages, split, texts
from aura_py.messages import FilePart, ImagePart, Message, Part, Reasoning, TextPart

PROVIDER = "bedrock"
_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}
_CACHE = {"cachePoint": {"type": "default"}}
_NO_OUTPUT = "(no output)"
_NAME = re.compile(r"[^A-Za-z0-9\-()\[\] ]+")

Body = dict[str, Any]


def build_body(
    request: ChatRequest,
    *,
    errors: ProviderErrors,
    max_tokens: int | None,
    temperature: float | None,
    additional_params: Mapping[str, Any],
) -> Body:
    """The parameters; ``additional_params`` are merged last into ``additionalModelRequestFields``.

    Raises:
        RequestError: The request asks for something Converse has no field for.
    """
    sampling = request.sampling
    if sampling.seed is not None:
        raise errors.refuse("seed", "the Converse API has no seed")
    claude.check_sampling(errors, sampling)
    systems, turns = split(sendable_messages(request))
    offered = request.tools if request.tool_choice != "none" else ()
    if not offered:
        # Converse knows no choice `none`, and rejects tool blocks without tool definitions.
        turns = calls_as_text(turns)
    cached = claude.takes_cache_points(errors.model) and "cache_control" not in request.left_out
    body: Body = {
        "modelId": errors.model,
        "messages": [{"role": turn.role, "content": _content(turn, errors)} for turn in turns],
    }
    if systems:
        body["system"] = [{"text": text} for text in systems] + ([_CACHE] if cached else [])
    inference = {
        "maxTokens": sampling.max_tokens or max_tokens,
        "temperature": sampling.temperature if sampling.temperature is not None else temperature,
        "topP": sampling.top_p,
        "stopSequences": list(sampling.stop) or None,
    }
    fields: Body = {}
    if sampling.reasoning_effort is not None:
        _think(body, fields, inference, request, errors)
    if sampling.response_format is not None:
        _format(body, request, errors)
    inference = {key: value for key, value in inference.items() if value is not None}
    if inference:
        body["inferenceConfig"] = inference
    fields.update(additional_params)
    claude.suit_thinking(fields, turns, PROVIDER)
    if fields:
        body["additionalModelRequestFields"] = fields
    if offered:
        specs: list[Body] = [
            {
                "toolSpec": {
                    "name": tool.name,
                    "description": tool.description or tool.name,
                    "inputSchema": {"json": tool.parameters},
                }
            }
            for tool in offered
        ]
        # Only Claude takes a cache point among the tools.
        mark = [_CACHE] if cached and claude.generation(errors.model) else []
        body["toolConfig"] = {"tools": specs + mark, **_choice(request, fields, errors.model)}
    return body


def _think(body: Body, fields: Body, inference: Body, request: ChatRequest, errors: ProviderErrors) -> None:
    effort = request.sampling.reasoning_effort
    assert effort is not None
    model = errors.model
    if claude.generation(model):
        try:
            wanted = claude.effort_fields(model, effort, inference["maxTokens"] or claude.default_max_tokens(model))
        except ValueError as error:
            raise errors.refuse("reasoning_effort", str(error)) from error
        config = wanted.get("output_config")
        if config:
            body["outputConfig"] = config
        if "thinking" in wanted:
            fields["thinking"] = wanted["thinking"]
            if effort != "none":
                # A budget must fit below a limit, and thinking accepts no temperature.
                inference["maxTokens"] = inference["maxTokens"] or claude.default_max_tokens(model)
                inference["temperature"] = None
        return
    level = {"minimal": "low", "xhigh": "high"}.get(effort, effort)
    if "amazon.nova-2" in model:
        fields["reasoningConfig"] = (
            {"type": "disabled"} if effort == "none" else {"type": "enabled", "maxReasoningEffort": level}
        )
    elif "openai.gpt-oss" in model:
        fields["reasoning_effort"] = "low" if effort == "none" else level
    elif effort != "none":
        raise errors.refuse("reasoning_effort", "Bedrock has no knob for it on this model")


def _format(body: Body, request: ChatRequest, errors: ProviderErrors) -> None:
    wanted = request.sampling.response_format or {}
    if wanted.get("type") == "text":
        return
    described = wanted.get("json_schema")
    if wanted.get("type") != "json_schema" or not isinstance(described, Mapping) or "schema" not in described:
        raise errors.refuse("response_format", "the Converse API only takes `json_schema` with a `schema`")
    schema: Body = {"schema": orjson.dumps(described["schema"]).decode()}
    if described.get("name"):
        schema["name"] = described["name"]
    text_format = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    body["outputConfig"] = {**body.get("outputConfig", {}), "textFormat": text_format}


def _choice(request: ChatRequest, fields: Body, model: str) -> Body:
    thinking = fields.get("thinking")
    thinks = isinstance(thinking, Mapping) and thinking.get("type") in ("enabled", "adaptive")
    if thinks or claude.always_thinks(model):
        # Claude rejects a forced tool while it thinks.
        return {}
    if isinstance(request.tool_choice, NamedTool):
        return {"toolChoice": {"tool": {"name": request.tool_choice.name}}}
    return {"toolChoice": {"any": {}}} if request.tool_choice == "required" else {}


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
            {"toolUse": {"toolUseId": call_id(call.id), "name": call.name, "input": arguments_object(call)}}
            for call in message.tool_calls
        )
    if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
        # Converse wants words beside a document.
        blocks.append({"text": "See the document."})
    return blocks


def _thought(reasoning: Reasoning) -> list[Body]:
    if reasoning.provider != PROVIDER:
        return []
    redacted = reasoning.opaque.get("redacted")
    if isinstance(redacted, str):
        return [{"reasoningContent": {"redactedContent": base64.b64decode(redacted)}}]
    signature = reasoning.opaque.get("signature")
    if not signature:
        # Models that do not sign their reasoning do not want it back.
        return []
    return [{"reasoningContent": {"reasoningText": {"text": reasoning.text, "signature": signature}}}]


def _result(message: Message, errors: ProviderErrors) -> Body:
    content = [_block(part, errors) for part in texts(message.content)] or [{"text": _NO_OUTPUT}]
    result: Body = {"toolUseId": call_id(message.tool_call_id or ""), "content": content}
    if message.is_error:
        result["status"] = "error"
    return {"toolResult": result}


def _block(part: Part, errors: ProviderErrors) -> Body:
    if isinstance(part, TextPart):
        return {"text": part.text}
    what = "an image" if isinstance(part, ImagePart) else "a file"
    try:
        inline = inline_image(part) if isinstance(part, ImagePart) else inline_file(part)
    except ValueError as error:
        raise errors.refuse_content(f"{what} with {error}", "send it as base64") from error
    if inline is None:
        raise errors.refuse_content(f"{what} by address", "send its bytes as a `data:` URL")
    if inline.media_type in _IMAGES:
        return {"image": {"format": _IMAGES[inline.media_type], "source": {"bytes": inline.decoded()}}}
    if isinstance(part, FilePart) and inline.media_type in _DOCUMENTS:
        return _document(part, inline)
    remedy = "send PNG, JPEG, GIF, WebP, PDF, Word, Excel, CSV, HTML, Markdown or plain text"
    raise errors.refuse_content(f"{what} of type `{inline.media_type}`", remedy)


def _document(part: FilePart, inline: Inline) -> Body:
    name = _NAME.sub("-", (part.name or "document").rpartition(".")[0] or part.name or "document").strip() or "document"
    return {
        "document": {
            "format": _DOCUMENTS[inline.media_type],
            "name": re.sub(r"\s+", " ", name)[:200],
            "source": {"bytes": inline.decoded()},
        }
    }
