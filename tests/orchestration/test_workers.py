from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from aura_py.agent.contract import ClientTool, Turn
from aura_py.errors import ProviderOverloaded
from aura_py.events import (
    IterationCompleted,
    ModelCallCompleted,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    PlanCreated,
    ReasoningDelta,
    RunFailed,
    RunFinished,
    TaskCompleted,
    TaskStarted,
    TextDelta,
    WorkerReasoning,
)
from aura_py.llm.contract import ChatRequest, NamedTool
from aura_py.messages import Usage, assistant, user
from tests.orchestration.clock import jumping_clock
from tests.orchestration.harness import (
    Rule,
    Transcript,
    answer,
    ask,
    call,
    config,
    coordinator,
    open_harness,
    parallel,
    plan,
    step,
    submit,
    worker,
)

FINISH = coordinator("continue", answer("all done"))
JOBS = [step(f"job {number}", f"w{number}") for number in range(5)]
TEAM_OF_FIVE = plan(parallel(JOBS[0], JOBS[1]), JOBS[2], parallel(JOBS[3], JOBS[4]))


async def play(*rules: Rule, **settings: object) -> Transcript:
    total, session = settings.pop("total", None), settings.pop("session", None)
    async with jumping_clock() as clock, open_harness(clock) as harness:
        return await harness.run(config([*rules, FINISH], **settings), total=total, session=session)  # type: ignore[arg-type]


def prompt_of(request: ChatRequest) -> str:
    return request.messages[-1].text


# --- isolation -----------------------------------------------------------------------------------------------------


async def test_a_worker_sees_its_task_and_its_dependencies_results_and_nothing_else() -> None:
    rules = [
        coordinator("plan", plan(step("first job"), step("second job", "beta"), goal="the secret goal")),
        worker(submit("result one"), worker="alpha"),
        worker(submit("result two"), worker="beta"),
        FINISH,
    ]
    turn = Turn((user("an earlier question"), assistant("an earlier answer"), user("the real question")))
    async with jumping_clock() as clock, open_harness(clock) as harness:
        transcript = await harness.run(config(rules, agent={"system_prompt": "the agent's own prompt"}), turn=turn)
    first, second = transcript.asked("worker")
    for request in (first, second):
        everything = "\n".join(message.text for message in request.messages)
        for foreign in ("earlier", "real question", "secret goal", "the agent's own prompt"):
            assert foreign not in everything
    assert "You are alpha." in first.messages[0].text
    assert "first job" in prompt_of(first)
    assert "result one" not in prompt_of(first)
    assert "second job" in prompt_of(second)
    assert "COMPLETED task 0 (first job):" in prompt_of(second)
    assert "result one" in prompt_of(second)


async def test_two_tasks_of_one_worker_share_no_guard_and_no_submission() -> None:
    look = call("list_directory", path=".")
    transcript = await play(
        coordinator("plan", plan(parallel(step("left"), step("right")))),
        worker(look, call=1),
        worker(look, call=2),
        worker(submit("found {{ user[:60] }}")),
    )
    results = [event.result for event in sorted(transcript.all(TaskCompleted), key=lambda event: event.task_id)]
    assert ["left" in result for result in results] == [True, False]
    assert ["right" in result for result in results] == [False, True]
    seen = [
        message.text for request in transcript.asked("worker") for message in request.messages if message.role == "tool"
    ]
    assert len(seen) == 6
    assert not [text for text in seen if "DUPLICATE_CALL" in text]


async def test_indirect_ancestors_come_as_one_line_each() -> None:
    transcript = await play(
        coordinator("plan", plan(step("one"), step("two"), step("three"))),
        worker(submit("long first result", "short first"), user="task:\n\none\n"),
        worker(submit("second result"), user="task:\n\ntwo\n"),
        worker(submit()),
    )
    last = prompt_of(transcript.asked("worker")[-1])
    assert "- task 0 (one): short first" in last
    assert "long first result" not in last
    assert "second result" in last


async def test_the_coordinator_hears_the_conversation_and_has_no_tools_of_workers() -> None:
    turn = Turn(
        (user("before"), assistant("then"), user("now")),
        client_tools=(ClientTool("from_client", "", {"type": "object"}),),
    )
    async with jumping_clock() as clock, open_harness(clock) as harness:
        transcript = await harness.run(config([coordinator("plan", answer())]), turn=turn)
    request = transcript.requests[0]
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "user"]
    assert [tool.name for tool in request.tools] == [
        "respond_directly",
        "create_plan",
        "request_clarification",
        "read_artifact",
    ]
    assert "now" in prompt_of(request)


# --- delivering ----------------------------------------------------------------------------------------------------


async def test_a_submission_ends_the_worker_at_once_and_its_cost_is_counted() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(submit("found", "sum", "HIGH"), call("read_artifact", filename="x"), usage={"input": 100, "output": 7}),
    )
    assert len(transcript.asked("worker")) == 1
    assert isinstance(transcript.end, RunFinished)
    assert transcript.end.usage == sum((e.usage for e in transcript.all(ModelCallCompleted)), Usage())
    assert any(e.usage.input == 100 for e in transcript.all(ModelCallCompleted))


async def test_calls_before_a_submission_run_and_calls_behind_it_do_not() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(call("list_directory", path="tests"), submit(), call("list_directory", path="docs")),
        workers={"alpha": {}},
    )
    completed = {e.call_id: e for e in transcript.all(OrchestratorToolCompleted)}
    names = [(e.name, completed[e.call_id].ok) for e in transcript.all(OrchestratorToolStarted)]
    assert names == [("list_directory", True), ("submit_result", True), ("list_directory", False)]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"summary": "s", "confidence": "high"}, "`result` must be text"),
        ({"summary": "s", "result": "  ", "confidence": "high"}, "`result` is blank"),
        ({"summary": "s", "result": 7, "confidence": "high"}, "`result` must be text"),
    ],
)
async def test_an_unusable_submission_is_refused_and_may_be_mended(broken: dict[str, object], words: str) -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(submit("mended"), after_error=True),
        worker({"name": "submit_result", "arguments": broken}),
    )
    first = transcript.all(OrchestratorToolCompleted)[0]
    assert not first.ok
    assert words in first.result
    assert transcript.one(TaskCompleted).result == "mended"


async def test_a_text_without_submission_gets_one_more_chance_in_the_same_conversation() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(submit("now submitted"), user="System correction"),
        worker(say="Here is what I found."),
    )
    first, second = transcript.asked("worker")
    assert first.tool_choice == "auto"
    assert second.tool_choice == NamedTool("submit_result")
    assert [m.role for m in second.messages[1:]] == ["user", "assistant", "user"]
    assert second.messages[2].text == "Here is what I found."
    assert transcript.one(TaskCompleted).result == "now submitted"


async def test_two_texts_are_a_soft_failure_that_keeps_the_words() -> None:
    transcript = await play(coordinator("plan", plan(step("job"))), worker(say="two articles have no price"))
    done = transcript.one(TaskCompleted)
    assert (done.success, done.result) == (False, "two articles have no price")
    report = prompt_of(transcript.asked("coordinator")[-1])
    assert "failed [soft_failure]" in report
    assert "two articles have no price" in report


async def test_a_worker_may_be_trusted_without_a_submission() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(say="the plain answer"),
        workers={"alpha": {"accept_unsubmitted": True}},
    )
    assert transcript.one(TaskCompleted).success
    assert "[low confidence]" in prompt_of(transcript.asked("coordinator")[-1])


async def test_on_its_last_turn_a_worker_is_offered_nothing_but_the_submission() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(submit("in the end"), tools=["submit_result"], call=4),
        worker(call("read_file", path="{{ call }}.txt")),
        agent={"turn_depth": 2},
    )
    last = transcript.asked("worker")[-1]
    assert [tool.name for tool in last.tools] == ["submit_result"]
    assert last.tool_choice == NamedTool("submit_result")
    assert transcript.one(TaskCompleted).result == "in the end"


# --- fault injection -----------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[Rule, str]] = {
    "fails": (worker(error={"status": 400, "message": "bad"}), "agent_error"),
    "hangs": (worker(hang=True), "agent_timeout"),
    "cut by its provider": (worker(say="some text", error={"status": 503, "after_chars": 4}), "provider_overloaded"),
    "exceeds its depth": (worker(call("read_file", path="{{ call }}")), "depth_exhausted"),
    "submits nothing": (worker(say="only words"), "soft_failure"),
    "denied by its provider": (worker(error={"status": 401, "message": "no"}), "provider_auth_error"),
    "too long": (
        worker(error={"status": 400, "code": "context_length_exceeded", "message": "x"}),
        "context_overflow",
    ),
    "repeats itself": (worker(call("list_directory", path="aura_py")), "loop_detected"),
}
DEPENDANTS = {0: {2, 3, 4}, 1: {2, 3, 4}, 2: {3, 4}, 3: set[int](), 4: set[int]()}


@pytest.mark.parametrize("victim", range(5))
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failing_task_skips_its_dependants_and_nothing_else(victim: int, fault: str) -> None:
    rule, category = FAULTS[fault]
    transcript = await play(
        coordinator("plan", TEAM_OF_FIVE),
        {**rule, "worker": f"w{victim}"},
        worker(submit()),
        workers={f"w{number}": {} for number in range(5)},
        timeouts={"per_call_timeout_secs": 30 if fault == "hangs" else 0},
        agent={"turn_depth": 18 if fault == "repeats itself" else 1},
        duplicate_call_block_threshold=3,
    )
    started = {e.task_id for e in transcript.all(TaskStarted)}
    completed = {e.task_id: e.success for e in transcript.all(TaskCompleted)}
    assert started == set(range(5)) - DEPENDANTS[victim]
    assert completed == {task: task != victim for task in started}
    assert isinstance(transcript.end, RunFinished)
    report = prompt_of(transcript.asked("coordinator")[-1])
    assert f"failed [{category}]" in report
    assert set(transcript.one(IterationCompleted).blocked) == DEPENDANTS[victim]
    for task in DEPENDANTS[victim]:
        assert f"- task {task}: job {task}: dependency failed (task {victim})" in report
    opened = [e.call_id for e in transcript.all(OrchestratorToolStarted)]
    assert sorted(opened) == sorted(e.call_id for e in transcript.all(OrchestratorToolCompleted))


async def test_an_escalated_worker_s_submission_is_kept_with_low_confidence() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(submit("partial findings"), call=4),
        worker(call("list_directory", path="aura_py")),
        duplicate_call_block_threshold=3,
        agent={"turn_depth": 9},
    )
    assert transcript.one(TaskCompleted).result == "partial findings"
    report = prompt_of(transcript.asked("coordinator")[-1])
    assert "[low confidence]" in report
    assert "Note: ended by the duplicate-call guard" in report


async def test_a_transient_failure_is_tried_again_when_nothing_was_changed() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(error={"status": 503, "message": "busy"}, times=2),
        worker(submit("third time lucky")),
    )
    assert transcript.one(TaskCompleted).result == "third time lucky"


async def test_a_dead_provider_of_one_worker_does_not_silence_a_healthy_coordinator() -> None:
    own = {"provider": "scripted", "model": "other", "rules": [worker(error={"status": 401, "message": "no"})]}
    transcript = await play(coordinator("plan", plan(step("job"))), workers={"alpha": {"llm": own}, "beta": {}})
    assert transcript.text == "all done"


async def test_mixed_failures_go_to_the_coordinator() -> None:
    transcript = await play(
        coordinator("plan", plan(parallel(step("job 0"), step("job 1")))),
        worker(error={"status": 401, "message": "no"}, user="job 0"),
        worker(say="only words"),
    )
    assert transcript.text == "all done"


async def test_the_error_of_a_dead_provider_lists_the_tasks() -> None:
    transcript = await play(coordinator("plan", plan(step("job"))), worker(error={"status": 429, "message": "no"}))
    assert isinstance(transcript.end, RunFailed)
    assert isinstance(transcript.end.error, ProviderOverloaded)
    assert "- task 0 (job): failed: Worker failed task 0 after 3 attempts" in transcript.end.error.message


async def test_failures_of_all_iterations_and_their_patterns_are_told() -> None:
    transcript = await play(
        coordinator("plan", plan(parallel(step("good"), step("bad", "beta")))),
        coordinator("continue", plan(step("bad", "beta")), times=1),
        worker(say="words", worker="beta"),
        worker(submit()),
    )
    first, second = [prompt_of(r) for r in transcript.asked("coordinator")[1:]]
    assert "## Reuse" in first
    assert "Observed patterns" not in first
    assert "“bad” failed 2 times with soft_failure" in second
    assert "iteration 1, beta, soft_failure: bad" in second
    assert [e.iteration for e in transcript.all(PlanCreated)] == [1, 2]


async def test_raw_results_hold_what_every_iteration_completed() -> None:
    async with jumping_clock() as clock, open_harness(clock) as harness:
        transcript = await harness.run(
            config(
                [
                    coordinator("plan", plan(step("one"))),
                    coordinator("continue", plan(step("two", "beta")), times=1),
                    coordinator("continue", say=""),
                    worker(submit("first find"), worker="alpha"),
                    worker(submit("second find")),
                ]
            )
        )
    assert "first find" in transcript.text
    assert "second find" in transcript.text
    assert "## Iteration 2, task 0: two" in transcript.text


async def test_the_last_report_offers_no_further_plan() -> None:
    transcript = await play(coordinator("plan", plan(step("job"))), worker(submit()), max_planning_cycles=1)
    last = transcript.asked("coordinator")[-1]
    assert "create_plan" not in [tool.name for tool in last.tools]
    assert "This must be the final answer" in prompt_of(last)


# --- how tools are shown -------------------------------------------------------------------------------------------


async def test_from_the_second_attempt_on_a_tool_call_is_demanded() -> None:
    transcript = await play(coordinator("plan", answer(), user="System correction"), coordinator("plan", say="hm"))
    assert [r.tool_choice for r in transcript.asked("coordinator")] == ["auto", "required"]


@pytest.mark.parametrize("form", ["hermes", "json"])
async def test_calls_written_as_text_plan_submit_and_answer(form: str) -> None:
    rules: list[Rule] = [
        coordinator("plan", plan(step("job")), as_text=True, format=form),
        worker(submit("by text"), as_text=True, format=form),
        coordinator("continue", answer("said as text"), as_text=True, format=form),
    ]
    async with jumping_clock() as clock, open_harness(clock) as harness:
        transcript = await harness.run(config(rules, llm={"fallback_tool_parsing": True}))
    assert transcript.one(TaskCompleted).result == "by text"
    assert transcript.text == "said as text"
    assert len(transcript.requests) == 3


PLAN = {"goal": "g", "steps": [step("job")], "routing_rationale": "w", "planning_summary": "s"}
TEXTS = {
    "arguments": orjson.dumps(PLAN).decode(),
    "a decision": orjson.dumps({"response_type": "steps_plan", **PLAN}).decode(),
    "a call": orjson.dumps({"name": "create_plan", "arguments": PLAN}).decode(),
    "fenced": f"Here is the plan:\n```json\n{orjson.dumps(PLAN).decode()}\n```\nShall I?",
    "without a reason": orjson.dumps({"goal": "g", "steps": [step("job")]}).decode(),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_plan_written_as_json_text_is_carried_out(text: str) -> None:
    transcript = await play(coordinator("plan", say=text), worker(submit()))
    assert transcript.one(TaskCompleted).success
    assert transcript.text == "all done"
    assert len(transcript.asked("coordinator")) == 2


FORMS = ["{}", "Here you are:\n```json\n{}\n```", '{{"name": "submit_result", "arguments": {}}}']


@pytest.mark.parametrize("form", FORMS)
async def test_a_submission_written_as_json_text_is_one(form: str) -> None:
    found = orjson.dumps({"summary": "s", "result": "the find", "confidence": "high"}).decode()
    transcript = await play(coordinator("plan", plan(step("job"))), worker(say=form.format(found)))
    assert (transcript.one(TaskCompleted).success, transcript.one(TaskCompleted).result) == (True, "the find")
    assert len(transcript.asked("worker")) == 1


async def test_an_answer_written_as_a_decision_is_given_without_its_json() -> None:
    direct = orjson.dumps({"response_type": "direct", "response": "Hello.", "routing_rationale": "w"}).decode()
    transcript = await play(coordinator("plan", say=direct))
    assert transcript.text == "Hello."


async def test_a_plan_as_text_that_cannot_be_carried_out_is_corrected_and_never_the_answer() -> None:
    broken = orjson.dumps({**PLAN, "steps": [step("job", "nobody")]}).decode()
    transcript = await play(coordinator("plan", say=broken), worker(submit()), max_plan_parse_retries=2)
    assert "`steps[0].worker` is `nobody`" in prompt_of(transcript.asked("coordinator")[1])
    assert "nobody" not in transcript.text
    assert transcript.one(TaskStarted).description.startswith("Execute: ")


async def test_a_plan_as_text_after_the_last_iteration_is_not_the_answer() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(submit("the find")),
        coordinator("continue", say=TEXTS["arguments"]),
        max_planning_cycles=1,
    )
    assert "planning_summary" not in transcript.text
    assert "the find" in transcript.text


@pytest.mark.parametrize("text", ['{"steps": ["mix", "bake"]}', '{"response": 5}', "{curly} words", '{"question": ""}'])
async def test_json_that_is_no_decision_is_an_answer_like_any_text(text: str) -> None:
    transcript = await play(coordinator("plan", say=text), max_plan_parse_retries=1)
    assert transcript.text == text


async def test_a_provider_that_cannot_be_forced_is_asked_in_words() -> None:
    rules = [
        coordinator("plan", plan(step("job")), user="System correction"),
        coordinator("plan", say="hm"),
        worker(submit("late"), user="submit_result"),
        worker(say="I would rather write."),
        FINISH,
    ]
    async with jumping_clock() as clock, open_harness(clock) as harness:
        harness.forcing = False
        transcript = await harness.run(config(rules, agent={"turn_depth": 1}))
    assert {request.tool_choice for request in transcript.requests} == {"auto"}
    assert transcript.one(TaskCompleted).success


async def test_a_model_that_refuses_to_be_forced_is_asked_in_words_once_and_from_then_on() -> None:
    rules = [
        coordinator("plan", plan(step("job"), step("another")), user="routing tool"),
        coordinator("plan", say="hm"),
        worker(submit("late"), user="Call the tool `submit_result` now"),
        worker(say="I would rather write."),
        FINISH,
    ]
    async with jumping_clock() as clock, open_harness(clock) as harness:
        harness.refuses = True
        transcript = await harness.run(config(rules, agent={"turn_depth": 1}))
    assert [event.success for event in transcript.all(TaskCompleted)] == [True, True]
    assert [r.tool_choice for r in transcript.asked("coordinator") if r.tool_choice != "auto"] == ["required"]


FINDINGS = "The disk of db1 is 97 % full: /var/log holds 212 GB."


def written(directory: Path, name: str) -> str:
    """What stands in the only file of that name."""
    [path] = directory.rglob(name)
    return path.read_text()


@pytest.mark.parametrize("status", [400, 503])
async def test_what_a_worker_found_survives_its_next_attempt(tmp_path: Path, status: int) -> None:
    broken = {"status": status, "message": "no", "after_chars": 4}
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(say="I fear not.", error=broken, user="System correction"),
        worker(say=FINDINGS),
        memory_dir=tmp_path,
        session="s",
    )
    assert FINDINGS in prompt_of(transcript.asked("coordinator")[-1])
    first = written(tmp_path, "task-0.attempt-1.response.txt")
    second = written(tmp_path, "task-0.attempt-2.response.txt")
    assert (first, second) == (FINDINGS, "I fe")
    manifest = written(tmp_path, "manifest.json")
    assert FINDINGS in manifest


async def test_a_stalled_attempts_text_reaches_the_report_and_its_file(tmp_path: Path) -> None:
    stalled = {"status": 503, "message": "gone", "after_chars": len(FINDINGS)}
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        worker(call("list_directory", path="."), say="Looking.", call=1),
        worker(say=f"{FINDINGS} And", error=stalled, call=2),
        worker(say="Sorry", error={**stalled, "after_chars": 5}),
        memory_dir=tmp_path,
        session="s",
    )
    assert "Written before it failed:\n    ~~~result" in prompt_of(transcript.asked("coordinator")[-1])
    assert FINDINGS in prompt_of(transcript.asked("coordinator")[-1])
    first = written(tmp_path, "task-0.attempt-1.response.txt")
    assert first == FINDINGS


async def test_what_a_failed_worker_wrote_is_among_the_raw_results() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))),
        coordinator("continue", error={"status": 400, "message": "no"}),
        worker(say="I fear not.", error={"status": 400, "message": "no"}, user="System correction"),
        worker(say=FINDINGS),
    )
    assert f"Written before it failed:\n\n{FINDINGS}" in transcript.text


async def test_a_short_last_word_does_not_replace_the_findings_of_an_earlier_attempt() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job"))), worker(say="Done.", user="System correction"), worker(say=FINDINGS)
    )
    assert transcript.one(TaskCompleted).result == FINDINGS


@pytest.mark.parametrize("filters", [["nothing_*"], ["a", "b"]])
async def test_a_worker_whose_filter_matches_nothing_is_refused_where_there_are_no_servers(filters: list[str]) -> None:
    transcript = await play(coordinator("plan", plan(step("job"))), workers={"alpha": {"mcp_filter": filters}})
    done = transcript.one(TaskCompleted)
    assert "worker `alpha` has no tools: its `mcp_filter` matches no tool" in done.result
    assert transcript.asked("worker") == []


async def test_the_generic_worker_stands_in_where_there_are_no_workers() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job", None))), worker(submit()), workers={}, worker_system_prompt="You do all."
    )
    assert transcript.one(TaskStarted).worker_id == transcript.one(TaskStarted).orchestrator_id
    assert "You do all." in transcript.asked("worker")[0].messages[0].text


async def test_thoughts_of_the_coordinators_calls_and_of_a_tasks_attempts_are_kept_apart() -> None:
    transcript = await play(
        coordinator("plan", plan(step("job")), user="System correction", reasoning="Then a plan."),
        coordinator("plan", say="hm", reasoning="What is wanted?"),
        coordinator("continue", answer("all done"), reasoning="That is enough."),
        worker(submit(), user="System correction", reasoning="Submit it."),
        worker(say="found it", reasoning="I look."),
    )
    thoughts = transcript.all(ReasoningDelta)
    assert {event.agent_id for event in thoughts} == {"coordinator"}
    assert "".join(event.text for event in thoughts) == "What is wanted?\n\nThen a plan.\n\nThat is enough."
    assert "".join(event.text for event in transcript.all(WorkerReasoning)) == "I look.\n\nSubmit it."


async def test_what_was_not_streamed_comes_in_pieces_of_fifty_characters_that_fit_together() -> None:
    text = "Ünï😀" * 40 + "e\u0301"
    transcript = await play(coordinator("plan", ask(text)))
    pieces = [event.text for event in transcript.events if isinstance(event, TextDelta)]
    assert [len(piece) for piece in pieces] == [50, 50, 50, 12]
    assert "".join(pieces) == text


async def test_at_most_so_many_tasks_run_at_once() -> None:
    transcript = await play(
        coordinator("plan", plan(parallel(*(step(f"job {n}") for n in range(6))))),
        worker(submit(), delay_ms=1000),
        max_parallel_tasks=2,
    )
    running, most = 0, 0
    for event in transcript.events:
        running += isinstance(event, TaskStarted)
        running -= isinstance(event, TaskCompleted)
        most = max(most, running)
    assert most == 2
