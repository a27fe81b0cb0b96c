"""Which rule of a script answers: a script's rules compiled once, and what they are matched against."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from aura_py.config.models import ScriptRule
from aura_py.globs import Glob
from aura_py.llm.contract import ChatRequest
from aura_py.llm.scripted.patterns import PatternTimeout, ScriptPattern
from aura_py.llm.scripted.templates import ScriptTemplates
from aura_py.messages import Message


@dataclass(slots=True, frozen=True)
class ScriptRequest:
    """A model call as rules and templates see it."""

    request: ChatRequest
    user: str
    system: str
    results: tuple[str, ...]
    tools: tuple[str, ...]
    last: Message | None
    """The tool result that the conversation ends with."""

    @classmethod
    def of(cls, request: ChatRequest) -> ScriptRequest:
        users = (message.text for message in reversed(request.messages) if message.role == "user")
        end = request.messages[-1] if request.messages else None
        return cls(
            request=request,
            user=next(users, ""),
            system="\n\n".join(message.text for message in request.messages if message.role == "system"),
            results=tuple(message.text for message in request.messages if message.role == "tool"),
            tools=tuple(tool.name for tool in request.tools),
            last=end if end is not None and end.role == "tool" else None,
        )

    def scope(self, groups: Mapping[str, str], model: str) -> dict[str, object]:
        """Template variables. ``result`` and ``data`` exist only after a tool result, ``data`` only if it is JSON."""
        scope: dict[str, object] = {
            **groups,
            "user": self.user,
            "groups": groups,
            "results": list(self.results),
            "tools": list(self.tools),
            "call": self.request.info.call,
            "model": model,
        }
        if self.last is not None:
            scope["result"] = self.last.text
            try:
                scope["data"] = orjson.loads(self.last.text)
            except orjson.JSONDecodeError:
                pass
        return scope


class CompiledRule:
    """One rule with its patterns compiled and the count of its uses."""

    def __init__(self, number: int, rule: ScriptRule, templates: ScriptTemplates) -> None:
        self.number = number
        self.rule = rule
        self._user = ScriptPattern(rule.user) if rule.user is not None else None
        self._system = ScriptPattern(rule.system) if rule.system is not None else None
        self._worker = Glob(rule.worker) if rule.worker is not None else None
        self._tools = tuple(Glob(pattern) for pattern in rule.tools or ())
        self._after = Glob(rule.after_tool) if rule.after_tool is not None else None
        self._used = 0
        for text in (rule.say, rule.reasoning):
            templates.compile_values(text)
        for call in rule.tool_calls:
            templates.compile_values(call.arguments)

    def match(self, situation: ScriptRequest) -> dict[str, str] | None:
        """The named groups of ``user`` when the rule applies, else ``None``. Does not count a use."""
        rule, info = self.rule, situation.request.info
        if rule.times is not None and self._used >= rule.times:
            return None
        if rule.role is not None and rule.role != info.caller:
            return None
        if rule.phase is not None and rule.phase != info.phase:
            return None
        if rule.call is not None and rule.call != info.call:
            return None
        if self._worker is not None and not (info.worker and self._worker.matches(info.worker)):
            return None
        if self._after is not None and not (situation.last and self._after.matches(situation.last.name or "")):
            return None
        if rule.after_error is not None and (situation.last is None or situation.last.is_error != rule.after_error):
            return None
        if not all(any(glob.matches(name) for name in situation.tools) for glob in self._tools):
            return None
        if self._system is not None and self._system.search(situation.system) is None:
            return None
        if self._user is None:
            return {}
        found = self._user.search(situation.user)
        return None if found is None else {name: value or "" for name, value in found.groupdict().items()}

    def use(self) -> None:
        self._used += 1


class RuleTimeout(Exception):
    """The pattern of a rule takes too long for this conversation; the message names the rule."""


class Script:
    """The rules of one model. ``times`` counts for the life of the process, under a lock."""

    def __init__(self, rules: Sequence[ScriptRule]) -> None:
        self.templates = ScriptTemplates()
        self._rules = [CompiledRule(number, rule, self.templates) for number, rule in enumerate(rules, 1)]
        self._lock = threading.Lock()

    def choose(self, situation: ScriptRequest) -> tuple[CompiledRule, dict[str, str]] | None:
        """The first rule that applies, its use counted, and its groups.

        Raises:
            RuleTimeout: A pattern takes too long.
        """
        with self._lock:
            for rule in self._rules:
                try:
                    groups = rule.match(situation)
                except PatternTimeout as error:
                    raise RuleTimeout(f"rule {rule.number}") from error
                if groups is not None:
                    rule.use()
                    return rule, groups
        return None
