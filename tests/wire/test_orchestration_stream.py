"""Whole streams of orchestrations at once over HTTP: order, gating, sums, users, errors."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest

from tests.mcp.conftest import running
from tests.orchestration.harness import Rule, answer, call, chain, coordinator, parallel, plan, step, submit
from tests.orchestration.harness import ask as question
from tests.orchestration.harness import worker as work
from tests.wire.process import AuraServer, command, environment
from tests.wire.teams import Heard, ask, team

USAGE = itertools.count(1)


def figures() -> dict[str, dict[str, int]]:
    """Usage that no other rule has."""
    number = next(USAGE)
    return {"usage": {"input": 100 * number, "output": number}}


def total(rules: list[Rule], times: Mapping[int, int]) -> tuple[int, int]:
    """What the rules cost, each as often as it answers."""
    costs = [rule["usage"] for rule in rules]
    return (
        sum(costs[index]["input"] * count for index, count in times.items()),
        sum(costs[index]["output"] * count for index, count in times.items()),
    )


BRANCHES = [step("one"), chain(step("two"), step("three", "beta")), step("four", "beta")]
FIRST = plan(parallel(*BRANCHES), step("five"), goal="first round")
SECOND = plan(step("six"), goal="second round")
BUSY: list[Rule] = [
    coordinator("plan", FIRST, reasoning="Where to begin?", **figures()),
    coordinator("continue", SECOND, user="first round", reasoning="More is needed.", **figures()),
    coordinator("continue", answer("All of it is done. " * 9), **figures()),
    work(submit("found {{ result }}"), after_tool="list_metrics", jitter_ms=40, **figures()),
    work(call("mock_tool", message="m"), call("list_metrics"), reasoning="I look.", jitter_ms=40, **figures()),
]
OVERLOADED = {"status": 429, "message": "RAW PROVIDER TEXT"}
BROKEN: list[Rule] = [
    coordinator("plan", plan(parallel(step("a"), step("b", "beta"))), **figures()),
    work(call("mock_tool", message="m"), call=1, **figures()),
    work(error=OVERLOADED),
]
LATE: list[Rule] = [
    coordinator("plan", plan(parallel(step("a"), step("b", "beta"))), **figures()),
    work(submit("in time"), worker="alpha", **figures()),
    work(hang=True),
    coordinator("continue", hang=True),
]
HEADERS: list[Rule] = [
    coordinator("plan", plan(parallel(step("a"), step("b", "beta"))), **figures()),
    work(submit("{{ data['x-user'] }}"), after_tool="echo_headers", **figures()),
    work(call("echo_headers"), delay_ms=30, **figures()),
    coordinator("continue", answer("{{ user }}"), **figures()),
]
BAD_PLANS: dict[str, Rule] = {
    "garbage": call("create_plan", goal="g", steps="{not json", routing_rationale="r", planning_summary="s"),
    "strangers": plan(step("a", "nobody")),
    "loop": plan({"type": "task", "task": "a", "worker": "alpha", "depends_on": [0]}, {"type": "chain", "steps": []}),
    "flood": plan(*[step(f"task {n}") for n in range(10_000)]),
}
BAD: list[Rule] = [
    coordinator("plan", answer("{{ result[:200] }}"), after_tool="create_plan"),
    *(coordinator("plan", bad, user=f"please {name}") for name, bad in BAD_PLANS.items()),
]
RAW: list[Rule] = [
    coordinator("plan", error={"status": 400, "message": "RAW PROVIDER TEXT"}, user="please planning"),
    coordinator("plan", plan(step("a"), goal="g")),
    work(error={"status": 400, "message": "RAW PROVIDER TEXT"}),
    coordinator("continue", error={"status": 400, "message": "RAW PROVIDER TEXT"}),
]


def slow(seconds: float) -> list[Rule]:
    return [
        coordinator("plan", plan(step("a"))),
        work(submit("{{ result }}"), after_tool="slow_task"),
        work(call("slow_task", task_id="{{ model }}", duration_seconds=seconds)),
        coordinator("continue", answer("over")),
    ]


ASKING: list[Rule] = [coordinator("plan", question("Which site?", options=["Lyon", "Porto"]), **figures())]


@pytest.fixture(scope="module")
def teams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("teams")
    with running("mock", "--http", "0") as (url, _):
        files = {
            "busy": team("busy", BUSY, url=url, memory=directory / "memory"),
            "waves": team("waves", BUSY, url=url, schedule="waves", max_parallel_tasks=2),
            "broken": team("broken", BROKEN, url=url),
            "headers": team("headers", HEADERS, url=url, server={"headers_from_request": {"x-user": "x-caller"}}),
            "bad": team("bad", BAD, max_plan_parse_retries=1),
            "raw": team("raw", RAW, max_plan_parse_retries=1),
            "late": team("late", LATE),
            "patient": team("patient", slow(9), url=url, timeouts={"stream_inactivity_timeout_secs": 3}),
            "hasty": team("hasty", slow(60), url=url, timeouts={"per_call_timeout_secs": 4}),
            "asking": team("asking", ASKING),
        }
        (directory / "agents").mkdir()
        for name, text in files.items():
            (directory / "agents" / f"{name}.toml").write_text(text)
        yield directory


def started(teams: Path, **env: str) -> AuraServer:
    return AuraServer.start(teams / "agents", teams, env=env)


@pytest.fixture(scope="module")
def url(teams: Path) -> Iterator[str]:
    server = started(teams, AURA_CUSTOM_EVENTS="true", AURA_EMIT_REASONING="true")
    yield server.url
    server.stop()


# --- order ---------------------------------------------------------------------------------------------------------


def in_order(heard: Heard) -> None:
    """The order of events over whole frames."""
    at = heard.positions
    decisions = sorted([*at("plan_created"), *at("direct_answer"), *at("clarification_needed")])
    assert at("aura.mcp_status")[0] < decisions[0]
    thoughts = at("aura.reasoning", agent_id="coordinator")
    assert thoughts[0] < decisions[0]
    assert decisions[0] < at("iteration_complete")[0]
    bounds = [*at("plan_created"), len(heard.frames)]
    for number, (begin, end) in enumerate(itertools.pairwise(bounds), start=1):
        _one_plan(heard, number, begin, end)
    assert max(at("iteration_complete")) < min(at("text"))
    last = [name for name, _ in heard.frames[-2:]]
    assert last[0] == "aura.usage" or last[1] == ""


def _one_plan(heard: Heard, number: int, begin: int, end: int) -> None:
    plan_data = heard.frames[begin][1]
    within = [(i, *heard.frames[i]) for i in range(begin, end)]

    def find(name: str, task: int) -> int:
        places = [i for i, event, data in within if event.endswith(name) and data.get("task_id") == task]
        assert len(places) == 1, (name, task, places)
        return places[0]

    ids = range(len(plan_data["tasks"]))
    spans = {task: (find("task_started", task), find("task_completed", task)) for task in ids}
    for task, needs in DEPENDENCIES[len(ids)].items():
        assert all(spans[need][1] < spans[task][0] for need in needs)
    ready = [spans[task][0] for task in ids if not DEPENDENCIES[len(ids)][task]]
    assert ready == sorted(ready)
    open_calls: dict[str, int] = {}
    for i, event, data in within:
        if event.endswith("tool_call_started"):
            open_calls[data["tool_call_id"]] = data["task_id"]
        elif event.endswith("tool_call_completed"):
            assert open_calls.pop(data["tool_call_id"]) == data["task_id"]
        elif event.endswith("task_completed"):
            assert data["task_id"] not in open_calls.values()
        if event.endswith(("worker_reasoning", "tool_call_started", "tool_call_completed")):
            start, stop = spans[data["task_id"]]
            assert start < i < stop
        if event.endswith("worker_reasoning"):
            mirror, copy = heard.frames[i + 1]
            assert (mirror, copy["content"], copy["agent_id"]) == ("aura.reasoning", data["content"], data["worker_id"])
    closing = [i for i, event, data in within if event.endswith("synthesizing") and data["iteration"] == number]
    assert len(closing) == 1
    assert closing[0] > max(stop for _, stop in spans.values())
    (complete,) = heard.positions("iteration_complete", iteration=number)
    assert closing[0] < complete
    replans = heard.positions("replan_started", iteration=number + 1)
    if replans:  # the new plan, the end of the old iteration, the new one, its first task
        assert end < complete < replans[0] < min(i for i in heard.positions("task_started") if i > end)
    else:
        (direct,) = heard.positions("direct_answer")
        assert closing[0] < direct < complete


DEPENDENCIES: dict[int, dict[int, tuple[int, ...]]] = {5: {0: (), 1: (), 2: (1,), 3: (), 4: (0, 2, 3)}, 1: {0: ()}}


async def test_the_order_holds_in_every_one_of_many_streams_at_once(url: str) -> None:
    heard: list[Heard] = []

    async def listen(model: str) -> None:
        heard.append(await ask(url, model, "Do it all"))

    async with anyio.create_task_group() as group:
        for model in ("busy", "waves") * 4:
            group.start_soon(listen, model)
    assert len(heard) == 8
    for each in heard:
        in_order(each)
        assert each.text == "All of it is done. " * 9
        assert len(each.named("tool_call_started")) == 3 * 6  # two tools and the submission of six tasks
        cost = total(BUSY, {0: 1, 1: 1, 2: 1, 3: 6, 4: 6})
        assert (each.usage["prompt_tokens"], each.usage["completion_tokens"]) == cost
        (vendor,) = each.named("aura.usage")
        assert (vendor["prompt_tokens"], vendor["completion_tokens"]) == cost


async def test_without_custom_events_the_stream_holds_chunks_alone(teams: Path) -> None:
    server = started(teams)
    try:
        heard = await ask(server.url, "busy", "Do it all")
        asking = await ask(server.url, "asking", "Where?")
    finally:
        server.stop()
    assert {name for name, _ in heard.frames} == {""}
    assert heard.text == "All of it is done. " * 9
    assert asking.text == "Which site?\n\n- Lyon\n- Porto"
    cost = total(BUSY, {0: 1, 1: 1, 2: 1, 3: 6, 4: 6})
    assert (heard.usage["prompt_tokens"], heard.usage["completion_tokens"]) == cost


async def test_the_choices_of_a_question_stand_in_the_event_or_once_in_the_text(url: str) -> None:
    heard = await ask(url, "asking", "Where?")
    assert heard.named("clarification_needed")[0]["options"] == ["Lyon", "Porto"]
    assert heard.text == "Which site?"
    body = {"model": "asking", "messages": [{"role": "user", "content": "Where?"}]}
    async with httpx.AsyncClient(timeout=30) as client:
        reply = (await client.post(f"{url}/v1/chat/completions", json=body)).json()
    assert reply["choices"][0]["message"]["content"] == "Which site?\n\n- Lyon\n- Porto"


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_choices_of_a_question_are_shown_at_a_terminal(teams: Path, output: str) -> None:
    command_line = command("run", "--config", str(teams / "agents" / "asking.toml"), "--output", output, "Where?")
    done = subprocess.run(command_line, env=environment(), capture_output=True, text=True, timeout=60, check=True)
    shown = json.loads(done.stdout)["content"] if output == "json" else done.stdout.strip()
    assert shown == "Which site?\n\n- Lyon\n- Porto"


# --- endings -------------------------------------------------------------------------------------------------------


async def test_json_tells_the_same_sum_as_a_stream(url: str) -> None:
    body = {"model": "busy", "messages": [{"role": "user", "content": "Do it all"}]}
    async with httpx.AsyncClient(timeout=30) as client:
        reply = (await client.post(f"{url}/v1/chat/completions", json=body)).json()
    assert reply["choices"][0]["message"]["content"] == "All of it is done. " * 9
    assert (reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]) == total(
        BUSY, {0: 1, 1: 1, 2: 1, 3: 6, 4: 6}
    )


async def test_a_dead_provider_ends_in_an_error_frame_that_lists_the_tasks_and_never_its_raw_words(url: str) -> None:
    heard = await ask(url, "broken", "Try")
    assert heard.named("synthesizing") == heard.named("iteration_complete") == []
    (frame,) = [data for name, data in heard.frames if not name and "error" in data]
    message = frame["error"]["message"]
    assert "All tasks failed because of the model's provider" in message
    assert "HTTP 429" in message
    assert "`demo`" in message
    assert "RAW" not in str(heard.frames)
    cost = total(BROKEN[:2], {0: 1, 1: 2})
    (vendor,) = heard.named("aura.usage")
    assert (vendor["prompt_tokens"], vendor["completion_tokens"]) == cost


@pytest.mark.parametrize("query", ["planning", "everything else"])
async def test_no_raw_words_of_a_provider_reach_a_client_unless_asked_for(url: str, query: str) -> None:
    body = {"model": "raw", "stream": True, "messages": [{"role": "user", "content": f"please {query}"}]}
    async with httpx.AsyncClient(timeout=30) as client:
        reply = await client.post(f"{url}/v1/chat/completions", json=body)
    assert "RAW" not in reply.text
    assert "`demo`" in reply.text


async def test_when_time_is_short_what_is_done_is_delivered_with_its_cost(teams: Path) -> None:
    server = started(teams, AURA_CUSTOM_EVENTS="true", STREAMING_TIMEOUT_SECS="12")
    try:
        heard = await ask(server.url, "late", "Quick")
    finally:
        server.stop()
    assert "## Task 0: a\n\nin time" in heard.text
    assert "## Task 1: b\n\nFailed: " in heard.text
    assert heard.named("iteration_complete")[0]["reasoning"] == "Time budget exhausted"
    assert (heard.usage["prompt_tokens"], heard.usage["completion_tokens"]) == total(LATE[:2], {0: 1, 1: 1})


@pytest.mark.parametrize(("model", "success"), [("patient", True), ("hasty", False)])
async def test_while_a_tool_runs_silence_is_not_counted_but_the_attempt_s_time_is(
    url: str, model: str, success: bool
) -> None:
    heard = await ask(url, model, "Go")
    (done,) = heard.named("task_completed")
    assert done["success"] == success
    assert success or "timed out after 4s" in done["result"]
    assert heard.text == "over"


# --- input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("garbage", "`steps` is text that is not JSON"),
        ("strangers", "`steps[0].worker` is `nobody`; "),
        ("loop", "`steps[1].steps` is empty"),
        ("flood", "`steps` has 10000 steps and a plan at most 50 tasks"),
    ],
)
async def test_a_plan_that_cannot_run_comes_back_to_the_coordinator_with_its_fault(
    url: str, name: str, words: str
) -> None:
    heard = await ask(url, "bad", f"please {name}")
    assert words in heard.text
    assert heard.named("plan_created") == []


async def test_two_users_at_once_reach_the_tools_with_their_own_headers(url: str) -> None:
    results: dict[str, set[str]] = {}

    async def listen(user: str) -> None:
        heard = await ask(url, "headers", "Who am I?", headers={"x-caller": user})
        results[user] = {each["result"] for each in heard.named("task_completed")}

    users = [f"user-{number}" for number in range(6)]
    async with anyio.create_task_group() as group:
        for user in users:
            group.start_soon(listen, user)
    assert results == {user: {user} for user in users}


@pytest.mark.parametrize("session", ["../../etc", "a/b", "..", "a..b", ".hidden", "CON", "x" * 400, "a\\b"])
def test_a_hostile_session_id_stays_inside_the_memory_dir(url: str, teams: Path, session: str) -> None:
    before = set(teams.iterdir())
    assert anyio.run(partial(ask, url, "busy", "Do it all", metadata={"chat_session_id": session})).text
    assert set(teams.iterdir()) - before <= {teams / "memory"}
    names = [path.name for path in (teams / "memory" / "anonymous" / "busy").iterdir()]
    assert session not in names
    assert all(len(name) <= 128 and "/" not in name and not name.startswith(".") for name in names)
