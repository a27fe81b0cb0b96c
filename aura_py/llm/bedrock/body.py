"""A chat request as parameters of Bedrock's ``ConverseStream``."""

from __future__ import annotations

import re

from aura_py.llm import claude
from aura_py.llm.attachments import attachment, attachment_kind
from aura_py.llm.bedrock.errors import PROVIDER
from aura_py.llm.content_blocks import ContentBlocks
from aura_py.llm.contract import ChatRequest, NamedTool, ReasoningEffort, ToolChoice, ToolSpec
from aura_py.llm.json_text import to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.request_body import Body, BodyOptions, answer_format, sampling_fields
from aura_py.llm.turns import Turn, arguments_object, calls_as_text, sendable_messages, split_turns
from aura_py.messages import FilePart, Message, Part, Reasoning, TextPart, ToolCall

_SAMPLING = {"temperature": "temperature", "max_tokens": "maxTokens", "top_p": "topP", "stop": "stopSequences"}
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
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\-()\[\] ]+")


def build_body(request: ChatRequest, options: BodyOptions) -> Body:
    """The body; ``additional_params`` are merged last into ``additionalModelRequestFields``.

    Raises:
        RequestError: The request asks for something Converse has no field for.
    """
    errors, model = options.errors, options.model
    sampling = options.sampling(request)
    if sampling.seed is not None:
        raise errors.refuse("seed", "the Converse API has no seed")
    claude.check_sampling(errors, request.sampling)
    systems, turns = split_turns(sendable_messages(request))
    tools = request.tools if request.tool_choice != "none" else ()
    if not tools:
        # Converse knows no choice `none`, and rejects tool blocks without tool definitions.
        turns = calls_as_text(turns)
    cached = claude.takes_cache_points(model) and "cache_control" not in request.left_out
    body: Body = {"messages": _Blocks(errors).turns(turns)}
    if systems:
        body["system"] = [{"text": text} for text in systems] + ([_CACHE] if cached else [])
    inference = sampling_fields(sampling, _SAMPLING)
    fields: Body = {}
    output: Body = {}
    if sampling.reasoning_effort is not None:
        _think(sampling.reasoning_effort, errors, inference, fields, output)
    wanted = answer_format(
        sampling, errors, "the Converse API only takes `json_schema` with a `schema`", json_object=False
    )
    if wanted is not None:
        schema = {
            "schema": to_json(wanted["schema"]).decode(),
            **({"name": wanted["name"]} if wanted.get("name") else {}),
        }
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    fields.update(options.additional_params)
    claude.suit_thinking(fields, turns, PROVIDER)
    filled = {"inferenceConfig": inference, "outputConfig": output, "additionalModelRequestFields": fields}
    body.update({name: value for name, value in filled.items() if value})
    if tools:
        specs: list[Body] = [_tool(tool) for tool in tools]
        # Only Claude takes a cache point among the tools.
        mark = [_CACHE] if cached and claude.generation(model) else []
        body["toolConfig"] = {"tools": specs + mark, **_choice(request.tool_choice, fields, model)}
    return body


def _tool(tool: ToolSpec) -> Body:
    described = {"name": tool.name, "description": tool.description or tool.name}
    return {"toolSpec": {**described, "inputSchema": {"json": tool.parameters}}}


def _think(effort: ReasoningEffort, errors: ProviderErrors, inference: Body, fields: Body, output: Body) -> None:
    model = errors.model
    if claude.generation(model):
        limit = inference.get("maxTokens") or claude.default_max_tokens(model)
        wanted = claude.effort_fields(errors, effort, limit)
        output.update(wanted.get("output_config", {}))
        if "thinking" in wanted:
            fields["thinking"] = wanted["thinking"]
            if effort != "none":
                # A budget must fit below a limit, and thinking accepts no temperature.
                inference["maxTokens"] = limit
                inference.pop("temperature", None)
        return
    level = {"minimal": "low", "xhigh": "high"}.get(effort, effort)
    if "amazon.nova-2" in model:
        on = {"type": "enabled", "maxReasoningEffort": level}
        fields["reasoningConfig"] = {"type": "disabled"} if effort == "none" else on
    elif "openai.gpt-oss" in model:
        fields["reasoning_effort"] = "low" if effort == "none" else level
    elif effort != "none":
        raise errors.refuse("reasoning_effort", "Bedrock has no knob for it on this model")


def _choice(choice: ToolChoice, fields: Body, model: str) -> Body:
    if claude.thinks(fields, model):
        # Claude rejects a forced tool while it thinks.
        return {}
    if isinstance(choice, NamedTool):
        return {"toolChoice": {"tool": {"name": choice.name}}}
    return {"toolChoice": {"any": {}}} if choice == "required" else {}


class _Blocks(ContentBlocks):
    def turn(self, turn: Turn) -> list[Body]:
        blocks = super().turn(turn)
        if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
            # Converse wants words beside a document.
            blocks.append({"text": "See the document."})
        return blocks

    def part(self, part: Part) -> Body:
        if isinstance(part, TextPart):
            return {"text": part.text}
        what = attachment_kind(part)
        inline = attachment(part, self.errors)
        if inline is None:
            raise self.errors.refuse_content(f"{what} by address", "send its bytes as a `data:` URL")
        source = {"bytes": inline.data}
        if inline.media_type in _IMAGES:
            return {"image": {"format": _IMAGES[inline.media_type], "source": source}}
        if isinstance(part, FilePart) and inline.media_type in _DOCUMENTS:
            return {"document": {"format": _DOCUMENTS[inline.media_type], "name": _name(part), "source": source}}
        remedy = "send PNG, JPEG, GIF, WebP, PDF, Word, Excel, CSV, HTML, Markdown or plain text"
        raise self.errors.refuse_content(f"{what} of type `{inline.media_type}`", remedy)

    def reasoning(self, reasoning: Reasoning) -> list[Body]:
        redacted = reasoning.opaque.get("redacted")
        if isinstance(redacted, str):
            return [{"reasoningContent": {"redactedContent": redacted}}]
        signature = reasoning.opaque.get("signature")
        if not signature:
            # Models that do not sign their reasoning do not want it back.
            return []
        return [{"reasoningContent": {"reasoningText": {"text": reasoning.text, "signature": signature}}}]

    def call(self, id_: str, call: ToolCall) -> Body:
        return {"toolUse": {"toolUseId": id_, "name": call.name, "input": arguments_object(call)}}

    def result(self, id_: str, content: list[Body], message: Message) -> Body:
        result: Body = {"toolUseId": id_, "content": content or [{"text": _NO_OUTPUT}]}
        if message.is_error:
            result["status"] = "error"
        return {"toolResult": result}


def _name(part: FilePart) -> str:
    name = _NOT_IN_NAMES.sub("-", (part.name or "document").rpartition(".")[0] or part.name or "document").strip()
    return re.sub(r"\s+", " ", name or "document")[:200]
