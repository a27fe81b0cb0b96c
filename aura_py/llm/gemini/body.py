"""A chat request as the body of Gemini's ``streamGenerateContent``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aura_py.llm.attachments import attachment, attachment_kind
from aura_py.llm.contract import ChatRequest, NamedTool, ReasoningEffort, ToolChoice, ToolSpec
from aura_py.llm.gemini.schema import readable
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body, BodyOptions, answer_format, sampling_fields
from aura_py.llm.turns import Turn, arguments_object, nonblank_parts, sendable_messages, split_turns
from aura_py.messages import FilePart, Message, Part, TextPart, ToolCall

PROVIDER = "gemini"
_SAMPLING = {
    "temperature": "temperature",
    "max_tokens": "maxOutputTokens",
    "top_p": "topP",
    "seed": "seed",
    "stop": "stopSequences",
}
_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_LATEST = re.compile(r"gemini-[a-z-]*latest$")
_LATEST_VERSION = (3, 0)
"""What Google's aliases such as `gemini-flash-latest` stand for, at least."""
_OWN_FILES = ("gs://", "https://generativelanguage.googleapis.com/", "https://www.youtube.com/", "https://youtu.be/")
_BUDGETS: dict[ReasoningEffort, int] = {
    "none": 0,
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 24_576,
}
_PRO_MINIMUM = 128
# Google's documented stand-in for the signature of a call that another model made.
NO_SIGNATURE = "skip_thought_signature_validator"


def build_body(request: ChatRequest, options: BodyOptions) -> Body:
    """The JSON body; ``additional_params`` are merged last, ``generationConfig`` in depth.

    Raises:
        RequestError: The request asks for something the API has no field for.
    """
    errors = options.errors
    systems, turns = split_turns(sendable_messages(request))
    calls = {call.id: call for turn in turns for message in turn.messages for call in message.tool_calls}
    body: Body = {
        "contents": [
            {"role": "model" if turn.role == "assistant" else "user", "parts": _parts(turn, calls, errors)}
            for turn in turns
        ]
    }
    if systems:
        body["systemInstruction"] = {"parts": [{"text": text} for text in systems]}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]
        if request.tool_choice != "auto":
            body["toolConfig"] = {"functionCallingConfig": _choice(request.tool_choice)}
    generation = _generation(request, options)
    if generation:
        body["generationConfig"] = generation
    for key, value in options.additional_params.items():
        deep = key == "generationConfig" and isinstance(value, Mapping)
        body[key] = _merged(body.get(key, {}), value) if deep else value
    return body


def _declaration(tool: ToolSpec) -> Body:
    return {"name": tool.name, "description": tool.description, "parametersJsonSchema": readable(tool.parameters)}


def version(model: str) -> tuple[int, int] | None:
    """Major and minor version of a Gemini model id; ``None`` for anything else."""
    if _LATEST.search(model):
        return _LATEST_VERSION
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else None


def _generation(request: ChatRequest, options: BodyOptions) -> Body:
    sampling = options.sampling(request)
    generation = sampling_fields(sampling, _SAMPLING)
    thinking = _thinking(request, options.errors)
    if thinking is not None:
        generation["thinkingConfig"] = thinking
    remedy = "its `type` must be `text`, `json_object` or `json_schema` with a `schema`"
    wanted = answer_format(sampling, options.errors, remedy, json_object=True)
    if wanted is not None:
        generation["responseMimeType"] = "application/json"
        if "schema" in wanted:
            generation["responseJsonSchema"] = readable(wanted["schema"])
    return generation


def _thinking(request: ChatRequest, errors: ProviderErrors) -> Body | None:
    effort = request.sampling.reasoning_effort
    release = version(errors.model)
    thinks = release is not None and release >= (2, 5)
    if not thinks:
        if effort is None or effort == "none":
            return None
        raise errors.refuse("reasoning_effort", "this model does not think")
    assert release is not None
    if effort is None:
        return None if "include_thoughts" in request.left_out else {"includeThoughts": True}
    if release[0] >= 3:
        level = "minimal" if effort == "none" else effort
        return {"includeThoughts": effort != "none", "thinkingLevel": level.upper()}
    budget = _BUDGETS[effort]
    if "pro" in errors.model:
        budget = max(budget, _PRO_MINIMUM)
    return {"includeThoughts": effort != "none", "thinkingBudget": budget}


def _choice(choice: ToolChoice) -> Body:
    if isinstance(choice, NamedTool):
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    return {"mode": {"none": "NONE", "required": "ANY", "auto": "AUTO"}[choice]}


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Body:
    out = dict(ours)
    for key, value in theirs.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = _merged(out[key], value) if both else value
    return out


def _parts(turn: Turn, calls: Mapping[str, ToolCall], errors: ProviderErrors) -> list[Body]:
    parts: list[Body] = []
    pictures: list[Body] = []
    for message in turn.messages:
        if message.role == "tool":
            parts.append({"functionResponse": _response(message, calls)})
            pictures.extend(_part(part, errors) for part in message.content if not isinstance(part, TextPart))
            continue
        # Responses stay together; their pictures follow them.
        parts.extend(pictures)
        pictures = []
        parts.extend(_part(part, errors) for part in nonblank_parts(message.content))
        for reasoning in message.reasoning:
            signature = reasoning.opaque.get("thoughtSignature") if reasoning.provider == PROVIDER else None
            if signature:
                parts.append({"text": "", "thoughtSignature": signature})
        parts.extend(_calls(message, errors))
    return parts + pictures


def _calls(message: Message, errors: ProviderErrors) -> list[Body]:
    signed = (version(errors.model) or (0, 0)) >= (3, 0)
    parts: list[Body] = []
    for index, call in enumerate(message.tool_calls):
        function: Body = {"name": call.name, "args": arguments_object(call)}
        if "id" in call.opaque:
            function["id"] = call.opaque["id"]
        part: Body = {"functionCall": function}
        signature = call.opaque.get("thoughtSignature")
        if signature:
            part["thoughtSignature"] = signature
        elif signed and index == 0:
            part["thoughtSignature"] = NO_SIGNATURE
        parts.append(part)
    return parts


def _response(message: Message, calls: Mapping[str, ToolCall]) -> Body:
    call = calls.get(message.tool_call_id or "")
    response: Body = {
        "name": call.name if call else message.name or "",
        "response": {"error" if message.is_error else "output": message.text},
    }
    if call and "id" in call.opaque:
        response["id"] = call.opaque["id"]
    return response


def _part(part: Part, errors: ProviderErrors) -> Body:
    if isinstance(part, TextPart):
        return {"text": part.text}
    inline = attachment(part, errors)
    if inline is not None:
        return {"inlineData": {"mimeType": inline.media_type, "data": inline.data}}
    url = part.url or ""
    if url.startswith(_OWN_FILES):
        named = {"mimeType": part.media_type} if isinstance(part, FilePart) and part.media_type else {}
        return {"fileData": {"fileUri": url, **named}}
    raise errors.refuse_content(f"{attachment_kind(part)} by address", "send its bytes as a `data:` URL")
