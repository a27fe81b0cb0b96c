"""The formats in which models write tool calls as text, one recogniser for each opener.

A recogniser looks at the text from an opener on and answers what it is; it is a pure function of the text, so it does
not matter how the text was cut into deltas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from aura_py.llm.contract import ToolSpec
from aura_py.llm.text_calls.pythonic import Incomplete, NotPythonic, pythonic_call, pythonic_calls
from aura_py.llm.text_calls.values import fit, read

LONGEST_CALL = 65_536
"""Characters held back for one call; what has not closed by then is prose."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|"|[{}\[\]]', re.DOTALL)
_SPACE = re.compile(r"\s*")
_FENCE = re.compile(r"```([A-Za-z0-9_+-]{0,20})[ \t]*(\r?\n)?")
_FUNCTION = re.compile(r"<function=([^>\s]{1,200})>")
_FUNCTION_END = re.compile(r"</function>|</tool_call>")
_PARAMETER = re.compile(r"<parameter=([^>]{1,200})>")
_PARAMETER_END = "</parameter>"
_OPEN_PARAMETER = re.compile(r"<parameter=([^>]{1,200})>([^<]*)")
_ARGUMENT_KEYS = ("parameters", "arguments", "args")

# Special tokens of the models' own templates, which servers without the right parser leave in the text.
_TOKEN_MARK = re.compile(
    r"<\|[A-Za-z_/]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|\[/?(?:TOOL_CALLS|ARGS)\]|\[CALL_ID\][A-Za-z0-9_-]{0,64}"
)
_BETWEEN_CALLS = re.compile(r"[;,]|\s+")
_BEGUN_MARK = re.compile(r"<(?:[|｜][^|｜<>\s]{0,40}[|｜]?)?|\[[A-Z_/]{0,12}")
_MARKED_NAME = re.compile(r"[A-Za-z0-9_.:/\-]{1,200}")
_AROUND_NAME = re.compile(r"\Afunctions?\.|(?::\d{1,9}|\.call)\Z")
_BLOCK = re.compile(r"```(?:json)?\s*")
MARKS = (
    "[TOOL_CALLS]",
    "<|python_tag|>",
    "<|tool_call|>",
    "<|tool_call_start|>",
    "<|tool_calls_section_begin|>",
    "<|tool_call_begin|>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
)
"""What opens calls at Mistral, Llama, Granite and Phi, LFM, Kimi, DeepSeek."""
TOOL_CALL = "<tool_call>"
TOOL_CALL_END = "</tool_call>"
FUNCTION = "<function="
FUNCTION_END = "</function>"
FENCE = "```"
LONGEST_TAG = max(map(len, (*MARKS, TOOL_CALL, TOOL_CALL_END, FUNCTION, FUNCTION_END)))


@dataclass(slots=True, frozen=True)
class WrittenCall:
    """One call as the model wrote it, fitted to the tool's schema."""

    name: str
    arguments: object


@dataclass(slots=True, frozen=True)
class Recognition:
    """The text up to ``end`` is these calls; without calls it is prose, and is not looked into again.

    ``sample``: what follows is inside a code fence that holds no call. ``looked``: the characters that were looked at,
    where they reach behind ``end``.
    """

    end: int
    calls: tuple[WrittenCall, ...] = ()
    sample: bool = False
    looked: int = 0


NEED_MORE = None
"""What comes next decides."""


class Formats:
    """The recognisers for one set of tools. Only names of these tools make a call."""

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self._tools: dict[str, Mapping[str, object]] = {tool.name: tool.parameters for tool in tools}

    def recognise(self, text: str, start: int, *, final: bool) -> Recognition | None:
        """What stands at the opener at ``start``; ``None`` asks for more text. Never ``None`` when ``final``."""
        found = self._at(text, start, final)
        length = (len(text) if found is None else found.end) - start
        if length <= LONGEST_CALL and not (final and found is None):
            return found
        if text.startswith(FENCE, start):
            return Recognition(start + len(FENCE), sample=True, looked=length)
        return Recognition(start + 1, looked=length)

    def _at(self, text: str, start: int, final: bool) -> Recognition | None:
        if text.startswith(FENCE, start):
            return self._fenced(text, start, final)
        if text.startswith(MARKS, start):
            return self._marked(text, start, final)
        if text[start] == "<":
            return self._tagged(text, start, final)
        return self._bare(text, start)

    # --- JSON and Pythonic -----------------------------------------------------------------------------------------

    def _bare(self, text: str, start: int) -> Recognition | None:
        at = _skip(text, start + 1)
        if at >= len(text):
            return NEED_MORE
        if text[start] == "[" and text[at] != "{":
            return self._pythonic(text, start)
        if text[start] == "{" and text[at] != '"':
            return Recognition(start + 1)
        end = _balanced(text, start)
        if end is None:
            return NEED_MORE
        return Recognition(end, tuple(self._json(text[start:end])))

    def _pythonic(self, text: str, start: int) -> Recognition | None:
        try:
            end, calls = pythonic_calls(text, start)
        except Incomplete:
            return NEED_MORE
        except NotPythonic as error:
            return Recognition(start + 1, looked=error.at - start)
        known = [
            WrittenCall(name, fit(arguments, self._tools[name])) for name, arguments in calls if name in self._tools
        ]
        return Recognition(end, tuple(known))

    def _json(self, text: str) -> Iterator[WrittenCall]:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
            value = value["tool_calls"]
        for item in value if isinstance(value, list) else (value,):
            call = self._call(item)
            if call is not None:
                yield call

    def _call(self, item: object) -> WrittenCall | None:
        if not isinstance(item, dict):
            return None
        inner = item.get("function")
        if isinstance(inner, dict) and "name" not in item:
            item = inner
        name = item.get("name")
        given = [item[key] for key in _ARGUMENT_KEYS if key in item]
        if not isinstance(name, str) or name not in self._tools or len(given) > 1:
            return None
        arguments = given[0] if given else None
        if isinstance(arguments, str):
            try:
                arguments = orjson.loads(arguments)
            except orjson.JSONDecodeError:
                return None
        if arguments is None:
            arguments = {}
        return WrittenCall(name, fit(arguments, self._tools[name]) if isinstance(arguments, dict) else arguments)

    # --- Hermes and Qwen -------------------------------------------------------------------------------------------

    def _tagged(self, text: str, start: int, final: bool) -> Recognition | None:
        if text.startswith(FUNCTION, start):
            return self._function(text, start, final)
        if any(tag.startswith(text[start : start + LONGEST_TAG]) for tag in (TOOL_CALL, FUNCTION, *MARKS)):
            return NEED_MORE
        if not text.startswith(TOOL_CALL, start):
            return Recognition(start + 1)
        at = _skip(text, start + len(TOOL_CALL))
        if at >= len(text) or FUNCTION.startswith(text[at : at + LONGEST_TAG]):
            return NEED_MORE
        if text.startswith(FUNCTION, at):
            return self._function(text, at, final)
        if text[at] not in "{[":
            return self._keyed(text, start, at)
        body_end = _balanced(text, at)
        if body_end is None:
            return NEED_MORE
        end = _closed(text, body_end, TOOL_CALL_END, final)
        return NEED_MORE if end is None else Recognition(end, tuple(self._json(text[at:body_end])))

    def _keyed(self, text: str, start: int, at: int) -> Recognition | None:
        """GLM's form: the name, then a tag for each key and each value."""
        word = _MARKED_NAME.match(text, at)
        after = _skip(text, word.end()) if word is not None else at
        rest = text[after : after + len(TOOL_CALL_END)]
        if word is None or not any(
            tag.startswith(rest) or rest.startswith(tag) for tag in ("<arg_key>", TOOL_CALL_END)
        ):
            return Recognition(start + len(TOOL_CALL))
        closer = text.find(TOOL_CALL_END, after)
        if closer == -1:
            return NEED_MORE
        name, end = word.group(), closer + len(TOOL_CALL_END)
        if name not in self._tools:
            return Recognition(end)
        arguments: dict[str, object] = {}
        for pair in text[after:closer].split("<arg_key>")[1:]:
            key, _, value = pair.partition("</arg_key>")
            value = value.partition("<arg_value>")[2].partition("</arg_value>")[0]
            arguments[key.strip()] = read(value.strip(), key.strip(), self._tools[name])
        return Recognition(end, (WrittenCall(name, arguments),))

    def _function(self, text: str, start: int, final: bool) -> Recognition | None:
        head = _FUNCTION.match(text, start)
        if head is None:
            return NEED_MORE if len(text) - start < 220 and text.find(">", start) == -1 else Recognition(start + 1)
        name = head.group(1)
        at = _skip(text, head.end())
        if at < len(text) and text[at] == "{":
            return self._function_of_json(text, at, name, final)
        closer = _FUNCTION_END.search(text, head.end())
        if closer is None:
            return NEED_MORE
        if name not in self._tools:
            return Recognition(closer.end())
        schema = self._tools[name]
        body = text[head.end() : closer.start()]
        pairs = _closed_parameters(body) or _OPEN_PARAMETER.findall(body)
        arguments = {key.strip(): read(value.strip(), key.strip(), schema) for key, value in pairs}
        return Recognition(closer.end(), (WrittenCall(name, arguments),))

    def _function_of_json(self, text: str, at: int, name: str, final: bool) -> Recognition | None:
        """Llama's form: the arguments are an object."""
        body_end = _balanced(text, at)
        end = None if body_end is None else _closed(text, body_end, FUNCTION_END, final)
        if body_end is None or end is None:
            return NEED_MORE
        call = self._named(name, text[at:body_end])
        return Recognition(end, (call,) if call is not None else ())

    def _named(self, name: str, text: str) -> WrittenCall | None:
        try:
            arguments = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        return WrittenCall(name, fit(arguments, self._tools[name])) if name in self._tools else None

    # --- special tokens --------------------------------------------------------------------------------------------

    def _marked(self, text: str, start: int, final: bool) -> Recognition | None:
        """Calls between special tokens: each is an object that names its tool, or a name and its arguments."""
        calls: list[WrittenCall] = []
        looked = 0
        at, end = _after_marks(text, start)
        while at < len(text):
            found = NEED_MORE if not final and _BEGUN_MARK.fullmatch(text, at) else self._marked_call(text, at)
            if found is NEED_MORE and not final:
                return NEED_MORE
            if found is NEED_MORE or not found.calls:
                looked = len(text) - start if found is NEED_MORE else at + found.looked - start
                break
            calls += found.calls
            at, end = _after_marks(text, found.end)
        if not final and (at >= len(text) or _BEGUN_MARK.fullmatch(text, at)):
            return NEED_MORE
        return Recognition(end, tuple(calls), looked=looked)

    def _marked_call(self, text: str, at: int) -> Recognition | None:
        if text[at] in "{[":
            return self._bare(text, at)
        word = _MARKED_NAME.match(text, at)
        if word is not None and word.group() == "function":
            # DeepSeek's older form names the kind of the call first.
            at, _ = _after_marks(text, word.end())
            word = _MARKED_NAME.match(text, at)
        if at >= len(text) or _BEGUN_MARK.fullmatch(text, at):
            return NEED_MORE
        if word is None:
            return Recognition(at)
        name_end, _ = _after_marks(text, word.end())
        if name_end >= len(text) or _BEGUN_MARK.fullmatch(text, name_end):
            return NEED_MORE
        name = _AROUND_NAME.sub("", word.group())
        if name not in self._tools:
            return Recognition(at)
        if text[name_end] == "(":
            return self._marked_pythonic(text, at, name)
        block = _BLOCK.match(text, name_end)
        body = block.end() if block else name_end
        if body >= len(text) or "```json".startswith(text[name_end : name_end + LONGEST_TAG]):
            return NEED_MORE
        body_end = _balanced(text, body) if text[body] == "{" else body
        if body_end is None:
            return NEED_MORE
        call = self._named(name, text[body:body_end])
        if block is not None:
            body_end = _skip(text, body_end)
            if not text.startswith(FENCE, body_end):
                return NEED_MORE if FENCE.startswith(text[body_end : body_end + LONGEST_TAG]) else Recognition(at)
            body_end += len(FENCE)
        return Recognition(body_end, (call,) if call is not None else ())

    def _marked_pythonic(self, text: str, at: int, name: str) -> Recognition | None:
        try:
            end, (_, arguments) = pythonic_call(text, at)
        except Incomplete:
            return NEED_MORE
        except NotPythonic as error:
            return Recognition(at, looked=error.at - at)
        return Recognition(end, (WrittenCall(name, fit(arguments, self._tools[name])),))

    # --- code fences -----------------------------------------------------------------------------------------------

    def _fenced(self, text: str, start: int, final: bool) -> Recognition | None:
        """A fence whose whole body is calls is a call; any other fence is a sample of something, up to its end."""
        head = _FENCE.match(text, start)
        if head is None or (head.end() == len(text) and not final):
            return NEED_MORE
        calls: list[WrittenCall] = []
        at = _skip(text, head.end())
        while at < len(text) and not text.startswith(FENCE, at):
            if FENCE.startswith(text[at : at + LONGEST_TAG]) and not final:
                return NEED_MORE
            found = self._at(text, at, final) if text[at] in "{[<" else Recognition(at)
            if found is None:
                return NEED_MORE
            if not found.calls:
                return Recognition(head.end(), sample=True, looked=max(found.end, at + found.looked) - start)
            calls += found.calls
            at = _skip(text, found.end)
            if text.startswith(TOOL_CALL_END, at):
                at = _skip(text, at + len(TOOL_CALL_END))
            elif TOOL_CALL_END.startswith(text[at : at + LONGEST_TAG]) and not final:
                return NEED_MORE
        if at >= len(text) and not (final and calls):
            return NEED_MORE
        if not calls:
            return Recognition(head.end(), sample=True)
        return Recognition(min(len(text), at + len(FENCE)), tuple(calls))


def _after_marks(text: str, at: int) -> tuple[int, int]:
    """Where the next call may stand, after special tokens and separators, and where the last token ends."""
    end = at
    while True:
        if found := _TOKEN_MARK.match(text, at):
            end = found.end()
        elif not (found := _BETWEEN_CALLS.match(text, at)):
            return at, end
        at = found.end()


def _closed(text: str, end: int, closer: str, final: bool) -> int | None:
    """Where what ends at ``end`` ends with its closing tag, if it has one; ``None`` while one may still come."""
    at = _skip(text, end)
    if text.startswith(closer, at):
        return at + len(closer)
    return None if not final and closer.startswith(text[at : at + LONGEST_TAG]) else end


def _closed_parameters(body: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    head = _PARAMETER.search(body)
    while head is not None:
        end = body.find(_PARAMETER_END, head.end())
        if end == -1:
            break
        pairs.append((head.group(1), body[head.end() : end]))
        head = _PARAMETER.search(body, end + len(_PARAMETER_END))
    return pairs


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


def _balanced(text: str, start: int) -> int | None:
    """Where the bracket at ``start`` closes, strings respected."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        char = token.group()[0]
        if char == '"':
            if token.end() - token.start() == 1:
                return None
        elif char in "{[":
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                return token.end()
    return None
