"""The scripted model."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.config.models import ScriptCall, ScriptedLLM, ScriptFailure, ScriptRule, ScriptUsage
from aura_py.errors import ProviderAuthError, ProviderOverloaded, ProviderProtocolError
from aura_py.llm import build_model
from aura_py.llm.contract import (
    CallInfo,
    ChatRequest,
    Delta,
    Finish,
    Text,
    Thinking,
    ThinkingBlock,
    ToolCallFragment,
    ToolCallReady,
    ToolSpec,
    UsageReport,
)
from aura_py.llm.scripted.client import ScriptedModel
from aura_py.llm.scripted.templates import ScriptTemplates, TemplateError
from aura_py.messages import Message, TextPart, ToolCall, Usage, assistant, system, tool_result, user
from tests.llm.fakes import Sleeper

ADD = ToolSpec("math_add", "Adds.", {"type": "object"})
CALL = ToolCall("call_1", "math_add", '{"a":1}')


def model(*rules: ScriptRule, clock: Sleeper | None = None, **config: Any) -> ScriptedModel:
    return ScriptedModel(ScriptedLLM(model="demo", rules=rules, **config), agent="tester", clock=clock or Sleeper())


async def ask(scripted: ScriptedModel, *messages: Message, **request: Any) -> list[Delta]:
    conversation = messages or (user("hello"),)
    return [delta async for batch in scripted.stream(ChatRequest(conversation, **request)) for delta in batch]


async def said(scripted: ScriptedModel, *messages: Message, **request: Any) -> str:
    return "".join(delta.text for delta in await ask(scripted, *messages, **request) if isinstance(delta, Text))


def after(text: str, *, is_error: bool = False, name: str = "math_add") -> tuple[Message, ...]:
    call = ToolCall("call_1", name, "{}")
    return user("go"), assistant("", (call,)), tool_result(call, (TextPart(text),), is_error=is_error)


async def test_the_first_matching_rule_answers() -> None:
    scripted = model(ScriptRule(user="never", say="a"), ScriptRule(user="hel+o", say="b"), ScriptRule(say="c"))
    assert await said(scripted) == "b"
    assert await said(scripted, user("other")) == "c"


async def test_without_a_rule_the_answer_says_so_and_names_the_question() -> None:
    text = await said(model(ScriptRule(user="x$", say="a")), user("what now?"))
    assert "no rule" in text
    assert "what now?" in text


async def test_only_the_last_user_message_is_matched() -> None:
    scripted = model(ScriptRule(user="first", say="a"), ScriptRule(say="b"))
    assert await said(scripted, user("first"), assistant("x"), user("second")) == "b"


async def test_the_system_prompt_can_be_matched() -> None:
    scripted = model(ScriptRule(system="You are (?i:a PIRATE)", say="arr"), ScriptRule(say="b"))
    assert await said(scripted, system("You are a pirate."), user("x")) == "arr"


@pytest.mark.parametrize(
    ("rule", "info"),
    [
        (ScriptRule(role="worker", say="x"), CallInfo(caller="worker")),
        (ScriptRule(worker="log-*", say="x"), CallInfo(caller="worker", worker="log-analyst")),
        (ScriptRule(call=2, say="x"), CallInfo(call=2)),
        (ScriptRule(phase="plan", say="x"), CallInfo(caller="coordinator", phase="plan")),
    ],
)
async def test_a_rule_can_ask_who_calls(rule: ScriptRule, info: CallInfo) -> None:
    scripted = model(rule, ScriptRule(say="other"))
    assert await said(scripted, info=info) == "x"
    assert await said(scripted) == "other"


async def test_every_tool_of_a_rule_must_be_offered() -> None:
    scripted = model(ScriptRule(tools=("math_*", "time"), say="both"), ScriptRule(tools=("math_*",), say="one"))
    assert await said(scripted, tools=(ADD,)) == "one"
    assert await said(scripted, tools=(ADD, ToolSpec("time", "", {}))) == "both"


async def test_a_rule_can_answer_a_tool_result() -> None:
    scripted = model(
        ScriptRule(after_tool="math_*", after_error=True, say="failed: {{ result }}"),
        ScriptRule(after_tool="math_*", say="{{ data.sum }} of {{ results|length }}"),
        ScriptRule(say="none"),
    )
    assert await said(scripted, *after('{"sum": 3}')) == "3 of 1"
    assert await said(scripted, *after("boom", is_error=True)) == "failed: boom"
    assert await said(scripted, *after("x", name="other")) == "none"
    assert await said(scripted, *after('{"sum": 3}'), user("more")) == "none"


async def test_named_groups_and_the_conversation_are_template_variables() -> None:
    scripted = model(
        ScriptRule(
            user=r"my name is (?P<who>\w+)", say="{{ who }} {{ groups.who }} {{ tools|join }} {{ call }} {{ model }}"
        )
    )
    assert await said(scripted, user("my name is Ada"), tools=(ADD,)) == "Ada Ada math_add 1 demo"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ data|json }}", '{"a":[1,2]}'),
        ("{{ data|tojson }}", '{"a":[1,2]}'),
        ("{{ data.a|head(1) }}", "[1]"),
        ("{{ 'x\ny\nz'|head(2) }}", "x\ny"),
        ("{{ ('x\ny'|lines)[1] }}", "y"),
        ("{{ 'about 1,234.5 km'|number + 1 }}", "1235.5"),
        ("{{ 'minus -7'|number }}", "-7"),
        ("{{ user|upper }}", "GO"),
    ],
)
async def test_templates_have_these_filters(template: str, text: str) -> None:
    assert await said(model(ScriptRule(say=template)), *after('{"a":[1,2]}')) == text


@pytest.mark.parametrize(
    "template", ["{{ nothing }}", "{{ 'x'|number }}", "{{ ''.__class__.__mro__ }}", "{{ data.x }}", "{{ 1/0 }}"]
)
async def test_a_template_that_fails_is_a_model_error_that_names_the_rule(template: str) -> None:
    with pytest.raises(ProviderProtocolError, match=r"rule 2 .*`demo`"):
        await ask(model(ScriptRule(user="never"), ScriptRule(say=template)))


async def test_tool_calls_are_proposed_with_rendered_arguments() -> None:
    rule = ScriptRule(
        user=r"(?P<x>\d+)",
        tool_calls=(
            ScriptCall(name="math_add", arguments={"a": "{{ x }}", "list": [{"b": "{{ user }}"}], "n": 3}),
            ScriptCall(name="now"),
        ),
    )
    deltas = await ask(model(rule), user("take 42"))
    calls = [delta.call for delta in deltas if isinstance(delta, ToolCallReady)]
    assert [(call.name, orjson.loads(call.arguments)) for call in calls] == [
        ("math_add", {"a": "42", "list": [{"b": "take 42"}], "n": 3}),
        ("now", {}),
    ]
    assert deltas[-1] == Finish("tool_calls")
    fragments = [delta for delta in deltas if isinstance(delta, ToolCallFragment) and delta.position == 0]
    assert "".join(fragment.arguments for fragment in fragments) == calls[0].arguments
    assert len({call.id for call in calls}) == 2


async def test_the_same_conversation_gives_the_same_deltas() -> None:
    rule = ScriptRule(reasoning="hm", say="a b", tool_calls=(ScriptCall(name="now"),), jitter_ms=50)
    clocks = Sleeper(), Sleeper()
    first, second = [await ask(model(rule, clock=clock, seed=3)) for clock in clocks]
    assert first == second
    assert clocks[0].slept == clocks[1].slept != []


async def test_calls_of_later_turns_have_other_ids() -> None:
    scripted = model(ScriptRule(tool_calls=(ScriptCall(name="math_add"),)))
    first = await ask(scripted, user("go"))
    second = await ask(scripted, *after("1"), info=CallInfo(call=2))
    ids = {delta.call.id for delta in first + second if isinstance(delta, ToolCallReady)}
    assert len(ids) == 2


async def test_reasoning_comes_first_and_as_a_block_for_the_conversation() -> None:
    deltas = await ask(model(ScriptRule(reasoning="let me think", say="done")))
    thoughts = [delta.text for delta in deltas if isinstance(delta, Thinking)]
    assert "".join(thoughts) == "let me think"
    assert isinstance(deltas[len(thoughts)], ThinkingBlock)
    assert isinstance(deltas[len(thoughts) + 1], Text)


@given(st.text(alphabet="ab é漢\n\t ", max_size=60))
def test_words_join_to_exactly_the_text(text: str) -> None:
    deltas = asyncio.run(ask(model(ScriptRule(say=text))))
    pieces = [delta.text for delta in deltas if isinstance(delta, Text)]
    assert "".join(pieces) == text
    assert all(pieces)


async def test_chunks_can_have_a_fixed_size() -> None:
    deltas = await ask(model(ScriptRule(say="abcdefgh"), chunk_chars=3))
    assert [delta.text for delta in deltas if isinstance(delta, Text)] == ["abc", "def", "gh"]


async def test_words_are_deltas_of_their_own_but_travel_together() -> None:
    batches = [batch async for batch in model(ScriptRule(say="one two three")).stream(ChatRequest((user("x"),)))]
    assert [delta.text for delta in batches[0] if isinstance(delta, Text)] == ["one", " two", " three"]


async def test_the_pace_and_the_first_delay_are_kept() -> None:
    clock = Sleeper()
    await ask(model(ScriptRule(say="a b c", delay_ms=500), clock=clock, tokens_per_second=10, first_token_ms=250))
    assert clock.slept == [0.75, 0.1, 0.1, 0.1]


async def test_a_hanging_rule_answers_only_to_cancellation() -> None:
    scripted = ScriptedModel(ScriptedLLM(model="demo", rules=(ScriptRule(hang=True),)), agent="tester")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ask(scripted)


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
async def test_the_finish_is_the_rule_s(reason: Any) -> None:
    assert (await ask(model(ScriptRule(say="x", finish=reason))))[-1] == Finish(reason)


async def test_usage_is_counted_or_given() -> None:
    counted = [delta for delta in await ask(model(ScriptRule(say="hello world"))) if isinstance(delta, UsageReport)]
    assert counted == [UsageReport(Usage(1, 2))]
    given_usage = ScriptUsage(input=5, output=4, cached=3, reasoning=2)
    deltas = await ask(model(ScriptRule(say="hello", usage=given_usage)))
    assert UsageReport(Usage(5, 4, 3, 0, 2)) in deltas


async def test_an_error_is_a_provider_s_error() -> None:
    rule = ScriptRule(error=ScriptFailure(status=401, code="bad_key", message="no"))
    with pytest.raises(ProviderAuthError, match="tester") as caught:
        await ask(model(rule))
    assert caught.value.detail == "bad_key: no"


async def test_an_error_after_some_characters_comes_after_them() -> None:
    stream = model(ScriptRule(say="hello world", error=ScriptFailure(status=503, after_chars=8))).stream(
        ChatRequest((user("x"),))
    )
    assert await anext(stream) == [Text("hello"), Text(" wo")]
    with pytest.raises(ProviderOverloaded):
        await anext(stream)


async def test_a_rule_stops_matching_after_its_uses() -> None:
    scripted = model(ScriptRule(times=2, error=ScriptFailure(status=503)), ScriptRule(say="works"))
    for _ in range(2):
        with pytest.raises(ProviderOverloaded):
            await ask(scripted)
    assert await said(scripted) == "works"


async def test_calls_as_text_are_recovered_by_the_parser() -> None:
    rule = ScriptRule(say="Wait.", as_text=True, format="hermes", tool_calls=(ScriptCall(name="math_add"),))
    config = ScriptedLLM(model="demo", rules=(rule,), fallback_tool_parsing=True)
    built = build_model(config, agent="tester")
    request = ChatRequest((user("x"),), tools=(ADD,))
    deltas = [delta async for batch in built.stream(request) for delta in batch]
    assert [delta.call.name for delta in deltas if isinstance(delta, ToolCallReady) and delta.recovered] == ["math_add"]
    assert "".join(delta.text for delta in deltas if isinstance(delta, Text)) == "Wait."
    assert deltas[-1] == Finish("tool_calls")


async def test_many_calls_at_once_count_uses_exactly() -> None:
    scripted = model(ScriptRule(times=10, say="early"), ScriptRule(say="late"))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(said(scripted)) for _ in range(30)]
    assert sorted(task.result() for task in tasks) == ["early"] * 10 + ["late"] * 20


@pytest.mark.parametrize(
    "template",
    [
        "{{ 9**(9**9) }}",
        "{{ range(10**9)|list }}",
        "{{ 'x' * 10**10 }}",
        "{{ 10**10 * [1] }}",
        "{{ 'x'|center(10**10) }}",
        "{{ 'x'|center(user|number) }}",
        "{{ user * (user|number) }}",
        "{% for i in range(99999) %}{{ user * 50000 }}{% endfor %}",
        "{{ 'x'.ljust(10**10) }}",
        "{{ 1.5|round(10**9) }}",
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% set n = namespace(x=2) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    ],
)
def test_a_text_from_outside_cannot_make_a_template_fill_the_memory(template: str) -> None:
    with pytest.raises(TemplateError):
        ScriptTemplates().render(template, {"user": "9999999999"})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{{ loop.last }}{{ loop.length }}{% endfor %}", "a1True1"),
        ("{% for x in range(5) if x % 2 %}{{ x }}{% else %}none{% endfor %}", "13"),
        ("{{ ['a', 'b']|map('upper')|join(', ') }}{{ ['a', 'b']|join }}", "A, Bab"),
        ("{{ ', '.join(['a', 'b']) }} {{ 'a' ~ 1 ~ [2] }} {{ 3 * 4 + 2**10 }}", "a, b a1[2] 1036"),
        ("{{ '%.2f'|format(3.14159) }} {{ '{:>4}'.format('x') }} {{ '%d%%' % 5 }}", "3.14    x 5%"),
        ("{{ nothing|default('d') }} {{ nothing is defined }} {{ 'aba'|replace('a', 'cc') }}", "d False ccbcc"),
        ("{{ 'x'.ljust(3) }}|{{ 'x'.zfill(2) }}|{{ 'x'|center(3) }}|{{ 2.345|round(1) }}", "x  |0x| x |2.3"),
        ("{% filter upper %}abc{% endfilter %} {{ [1, 2]|tojson }} {{ [3, 1]|sort|first }}", "ABC [1,2] 1"),
    ],
)
async def test_limits_change_nothing_that_a_template_says(template: str, text: str) -> None:
    assert await said(model(ScriptRule(say=template))) == text


async def test_a_pattern_that_backtracks_for_ever_is_a_model_error_that_names_the_rule() -> None:
    with pytest.raises(ProviderProtocolError, match=r"pattern of rule 2 .* takes too long"):
        await ask(model(ScriptRule(user="never"), ScriptRule(user="(a+)+$", say="x")), user("a" * 3000 + "b"))


async def test_a_pattern_with_large_counts_is_searched_for_as_it_is() -> None:
    assert await said(model(ScriptRule(user="^((h{0,1000}){1,1000}){1,1000}ello", say="found"))) == "found"
