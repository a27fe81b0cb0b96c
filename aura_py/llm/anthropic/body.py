"""A chat request as the body of Anthropic's Messages API."""

from __future__ import annotations

from urllib.parse import urlsplit

from aura_py.llm import claude
from aura_py.llm.attachments import Attachment, attachment
from aura_py.llm.content_blocks import ContentBlocks
from aura_py.llm.contract import ChatRequest, NamedTool, ToolChoice
from aura_py.llm.request_body import Body, BodyOptions, answer_format, sampling_fields
from aura_py.llm.turns import arguments_object, calls_as_text, sendable_messages, split_turns
from aura_py.messages import FilePart, ImagePart, Message, Part, Reasoning, TextPart, ToolCall

PROVIDER = "anthropic"
ADDRESS = "https://api.anthropic.com"
_SAMPLING = {"temperature": "temperature", "top_p": "top_p", "stop": "stop_sequences"}
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_CACHE = {"type": "ephemeral"}


def build_body(request: ChatRequest, options: BodyOptions) -> Body:
    """The JSON body; ``additional_params`` are merged last.

    Raises:
        RequestError: The request asks for something the Messages API has no field for.
    """
    errors = options.errors
    sampling = options.sampling(request)
    official = urlsplit(errors.address).hostname == urlsplit(ADDRESS).hostname
    if sampling.seed is not None:
        raise errors.refuse("seed", "the Messages API has no seed")
    if official:
        claude.check_sampling(errors, request.sampling)
    systems, turns = split_turns(sendable_messages(request))
    if not request.tools:
        turns = calls_as_text(turns)
    cached = "cache_control" not in request.left_out
    body: Body = {
        "model": options.model,
        "max_tokens": sampling.max_tokens or claude.default_max_tokens(options.model),
        "stream": True,
        "messages": _Blocks(errors).turns(turns),
        **sampling_fields(sampling, _SAMPLING),
    }
    if systems:
        body["system"] = [{"type": "text", "text": text} for text in systems]
        if cached:
            body["system"][-1]["cache_control"] = _CACHE
    if sampling.reasoning_effort is not None:
        body.update(claude.effort_fields(errors, sampling.reasoning_effort, body["max_tokens"]))
        if "thinking" in body and sampling.reasoning_effort != "none":
            # Thinking accepts no temperature; the effort asked for now wins over the file's temperature.
            body.pop("temperature", None)
    wanted = answer_format(
        sampling, errors, "the Messages API only takes `json_schema` with a `schema`", json_object=False
    )
    if wanted is not None:
        form = {"type": "json_schema", "schema": wanted["schema"]}
        body["output_config"] = {**body.get("output_config", {}), "format": form}
    if request.tools:
        # Without it a long argument, such as an answer that is given through a tool, comes in one piece. Servers that
        # only speak the same protocol may reject a field they do not know.
        eager = {"eager_input_streaming": True} if official and "eager_input_streaming" not in request.left_out else {}
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters, **eager}
            for tool in request.tools
        ]
        if cached:
            body["tools"][-1]["cache_control"] = _CACHE
    body.update(options.additional_params)
    claude.suit_thinking(body, turns, PROVIDER)
    if request.tools and "tool_choice" not in body:
        _choose(body, request.tool_choice, request.parallel_tool_calls)
    return body


def _choose(body: Body, choice: ToolChoice, parallel: bool | None) -> None:
    kind = {"auto": "auto", "none": "none", "required": "any"}
    value: Body = {"type": "tool", "name": choice.name} if isinstance(choice, NamedTool) else {"type": kind[choice]}
    if value["type"] in ("tool", "any") and claude.thinks(body, str(body["model"])):
        # The API rejects a forced tool while it thinks.
        value = {"type": "auto"}
    if parallel is not None and value["type"] != "none":
        value["disable_parallel_tool_use"] = not parallel
    if value != {"type": "auto"}:
        body["tool_choice"] = value


class _Blocks(ContentBlocks):
    def part(self, part: Part) -> Body:
        if isinstance(part, TextPart):
            return {"type": "text", "text": part.text}
        inline = attachment(part, self.errors)
        if inline is not None and inline.media_type in _IMAGES:
            return {"type": "image", "source": _base64(inline)}
        if isinstance(part, ImagePart):
            if inline is None:
                return {"type": "image", "source": {"type": "url", "url": part.url}}
            raise self.errors.refuse_content(f"images of type `{inline.media_type}`", "send JPEG, PNG, GIF or WebP")
        return {
            "type": "document",
            "source": self._document(part, inline),
            **({"title": part.name} if part.name else {}),
        }

    def _document(self, part: FilePart, inline: Attachment | None) -> Body:
        if inline is None and part.url:
            return {"type": "url", "url": part.url}
        if inline is not None and inline.media_type == "application/pdf":
            return _base64(inline)
        if inline is not None and inline.media_type.startswith("text/"):
            return {"type": "text", "media_type": "text/plain", "data": inline.decoded().decode(errors="replace")}
        kind = inline.media_type if inline else part.media_type
        raise self.errors.refuse_content(f"files of type `{kind}`", "send a PDF, a text file or an image")

    def reasoning(self, reasoning: Reasoning) -> list[Body]:
        redacted = reasoning.opaque.get("redacted")
        if redacted:
            return [{"type": "redacted_thinking", "data": redacted}]
        signature = reasoning.opaque.get("signature")
        return [{"type": "thinking", "thinking": reasoning.text, "signature": signature}] if signature else []

    def call(self, id_: str, call: ToolCall) -> Body:
        return {"type": "tool_use", "id": id_, "name": call.name, "input": arguments_object(call)}

    def result(self, id_: str, content: list[Body], message: Message) -> Body:
        result: Body = {"type": "tool_result", "tool_use_id": id_}
        if content:
            result["content"] = content
        if message.is_error:
            result["is_error"] = True
        return result


def _base64(inline: Attachment) -> Body:
    return {"type": "base64", "media_type": inline.media_type, "data": inline.data}
