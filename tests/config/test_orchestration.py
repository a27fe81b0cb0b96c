"""Coordinator and workers, timeouts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aura_py.config import prompts
from aura_py.config.settings import ServerSettings
from tests.config.files import AGENT, ENV, LLM, MINIMAL, agent, codes, found, only, toml, tree

WORKER = "[orchestration.worker.{}]\ndescription = 'd'\npreamble = 'p'\n"


def test_a_whole_orchestration_is_read_with_its_workers_in_order() -> None:
    text = MINIMAL + "[orchestration]\nenabled = true\n" + "".join(WORKER.format(name) for name in ("z", "a", "m"))
    config = agent(text)
    assert config.orchestrated
    assert list(config.orchestration.worker) == ["z", "a", "m"]
    worker = config.orchestration.worker["z"]
    assert (worker.mcp_filter, worker.llm, worker.turn_depth, worker.skills) == (None, None, None, None)


def test_defaults_are_the_references() -> None:
    orchestration = agent(MINIMAL).orchestration
    assert (orchestration.max_planning_cycles, orchestration.max_plan_parse_retries) == (3, 3)
    assert (orchestration.duplicate_call_nudge_threshold, orchestration.duplicate_call_block_threshold) == (3, 5)
    assert (orchestration.tools_in_planning, orchestration.schedule) == ("summary", "eager")
    assert orchestration.artifacts.tool_output_duration_threshold_ms == 5000


def test_a_workers_model_replaces_the_agents_as_a_whole() -> None:
    config = agent(toml(tree()), env=ENV)
    llm = config.orchestration.worker["reader"].llm
    assert llm is not None
    incomplete = found(MINIMAL + WORKER.format("w") + "llm = { provider = 'openai', model = 'm' }\n")
    assert codes(incomplete) == ["CFG-S01"]


def test_an_empty_filter_is_no_tools_and_an_empty_skill_list_no_skills() -> None:
    text = MINIMAL + WORKER.format("w") + "mcp_filter = []\nskills.local = []\n"
    worker = agent(text).orchestration.worker["w"]
    assert worker.mcp_filter == ()
    assert worker.skills is not None
    assert worker.skills.local == ()


@pytest.mark.parametrize("enabled", ["true", "false"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [(("''",), "CFG-O01"), (("' '",), "CFG-O01"), (("ops", "Ops"), "CFG-O02"), (("'a b'", "a_b"), "CFG-O02")],
)
def test_worker_names_must_work_as_file_names(names: tuple[str, ...], expected: str, enabled: str) -> None:
    text = MINIMAL + f"[orchestration]\nenabled = {enabled}\n" + "".join(map(WORKER.format, names))
    assert expected in codes(found(text))


@pytest.mark.parametrize("key", ["description", "preamble"])
def test_a_worker_needs_a_description_and_a_preamble(key: str) -> None:
    lines = [line for line in WORKER.format("w").splitlines() if not line.startswith(key)]
    error = only(found(MINIMAL + "\n".join(lines)))
    assert (error.code, error.key) == ("CFG-S01", f"orchestration.worker.w.{key}")


def test_prompt_files_stand_beside_the_agents_file() -> None:
    text = MINIMAL + "[orchestration.prompts]\nplanning = 'plan.md'\n"
    assert codes(found(text)) == ["CFG-F03"]
    Path("plan.md").write_text("Plan {{ query }}.")
    assert agent(text).orchestration.prompts["planning"].read_text() == "Plan {{ query }}."


@pytest.mark.parametrize(
    ("name", "source", "code", "words"),
    [
        ("plannin", b"{{ query }}", "CFG-S05", ("no prompt `plannin`", "`planning`")),
        ("planning", b"{{ query }}\n{% if %}", "CFG-S12", ("plan.md` line 2", "not a Jinja2 template")),
        ("planning", b"{{ query | nothing }}", "CFG-S12", ("No filter named 'nothing'",)),
        ("planning", b"{{ query }} {{ secret }}", "CFG-S12", ("uses `secret`", "`worker_names`")),
        ("planning", b"Plan.", "CFG-S12", ("leaves out `query`",)),
        ("planning", b"{{ query }}\n{{ 1 / 0 }}", "CFG-S12", ("plan.md` line 2", "division by zero")),
        ("planning", b"{{ query }} \xff", "CFG-F05", ("not UTF-8",)),
        ("planning", b"{{ query }}" + b"(" * 3 + b"{{ " + b"(" * 9000, "CFG-S12", ("not a Jinja2 template",)),
    ],
)
def test_a_prompt_that_would_fail_in_a_run_is_refused_with_its_place(
    name: str, source: bytes, code: str, words: tuple[str, ...]
) -> None:
    Path("plan.md").write_bytes(source)
    each = only(found(MINIMAL + f"[orchestration.prompts]\n{name} = 'plan.md'\n"))
    assert (each.code, each.key) == (code, f"orchestration.prompts.{name}")
    assert each.line == (MINIMAL + "[orchestration.prompts]\n").count("\n") + 1
    assert all(word in f"{each.message} {each.fix}" for word in words)


@pytest.mark.parametrize("endless", ["'x' * 10 ** 12", "9 ** 99999999"])
def test_a_prompt_file_that_takes_for_ever_to_compute_is_refused_without_computing_it(endless: str) -> None:
    Path("plan.md").write_text(f"{{{{ query }}}}\n{{{{ {endless} }}}}")
    each = only(found(MINIMAL + "[orchestration.prompts]\nplanning = 'plan.md'\n"))
    assert "plan.md` line 2 cannot be filled in: the result of" in each.message


def test_a_prompt_file_of_loops_in_loops_is_refused_where_it_runs_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "_LONGEST_TRIAL_SECS", 0.05)
    loops = "{% for a in range(99999) %}" * 3 + "\n" + "{% endfor %}" * 3
    Path("plan.md").write_text("{{ query }}\n" + loops)
    before = sys.gettrace()
    each = only(found(MINIMAL + "[orchestration.prompts]\nplanning = 'plan.md'\n"))
    assert (each.code, each.line) == ("CFG-S12", MINIMAL.count("\n") + 2)
    assert "plan.md` line 2 cannot be filled in: it takes more than 0.05 seconds" in each.message
    assert sys.gettrace() is before


# --- timeouts: equal, one below, zero ------------------------------------------------------------------------------


def warned(per_call: int, silence: int, *, route: int | None = None, whole: int = 0, window: int = 0) -> list[str]:
    approval = f"[hitl.route]\nmode = 'conversational'\ntimeout_secs = {route}\n" if route is not None else ""
    text = (
        f"{AGENT}{LLM}[orchestration]\nenabled = true\n[orchestration.timeouts]\n"
        f"per_call_timeout_secs = {per_call}\nstream_inactivity_timeout_secs = {silence}\n{approval}"
    )
    settings = ServerSettings(streaming_timeout_secs=whole, stream_inactivity_timeout_secs=window)
    return sorted(codes(found(text, settings=settings)))


@pytest.mark.parametrize(
    ("per_call", "silence", "expected"),
    [(0, 0, ["WARN-TO01"]), (1, 0, []), (0, 1, []), (9, 9, ["WARN-TO02"]), (9, 8, []), (9, 10, ["WARN-TO02"])],
)
def test_the_limits_of_a_call_and_of_silence_fit_together(per_call: int, silence: int, expected: list[str]) -> None:
    assert warned(per_call, silence) == expected


@pytest.mark.parametrize(
    ("route", "per_call", "expected"),
    [(99, 100, []), (100, 100, ["WARN-TO03"]), (101, 100, ["WARN-TO03"]), (101, 0, [])],
)
def test_an_approval_fits_into_a_task(route: int, per_call: int, expected: list[str]) -> None:
    assert warned(per_call, 5, route=route) == expected


@pytest.mark.parametrize(("whole", "expected"), [(0, []), (99, ["WARN-TO04"]), (100, ["WARN-TO04"]), (101, [])])
def test_a_task_fits_into_a_request(whole: int, expected: list[str]) -> None:
    assert warned(100, 5, whole=whole) == expected


@pytest.mark.parametrize(
    ("window", "silence", "expected"),
    [
        (0, 50, []),
        (50, 50, ["WARN-TO05", "WARN-TO06"]),
        (49, 50, ["WARN-TO05", "WARN-TO06"]),
        (51, 50, ["WARN-TO06"]),
        (51, 0, ["WARN-TO05", "WARN-TO06"]),
    ],
)
def test_the_servers_window_does_not_cut_workers_off(window: int, silence: int, expected: list[str]) -> None:
    assert warned(100, silence, window=window) == expected


@pytest.mark.parametrize(("route", "expected"), [(69, []), (70, ["WARN-TO07"]), (71, ["WARN-TO07"])])
def test_an_approval_fits_into_the_servers_window(route: int, expected: list[str]) -> None:
    assert [code for code in warned(100, 5, route=route, window=70) if code == "WARN-TO07"] == expected


def test_single_agents_have_no_such_relations() -> None:
    settings = ServerSettings(streaming_timeout_secs=1, stream_inactivity_timeout_secs=1)
    assert codes(found(MINIMAL, settings=settings)) == []


@pytest.mark.parametrize(
    ("nudge", "block", "warns"), [(3, 3, True), (3, 2, True), (3, 4, False), (3, 0, False), (0, 1, False)]
)
def test_a_task_is_warned_before_it_is_blocked(nudge: int, block: int, warns: bool) -> None:
    lines = f"[orchestration]\nduplicate_call_nudge_threshold = {nudge}\nduplicate_call_block_threshold = {block}\n"
    assert codes(found(MINIMAL + lines)) == ["WARN-OR03"] * warns


def test_a_prompt_outside_of_its_agents_directory_is_not_opened() -> None:
    each = only(found(MINIMAL + "[orchestration.prompts]\nplanning = '../plan.md'\n"))
    assert (each.code, each.key) == ("CFG-F03", "orchestration.prompts.planning")
    assert "outside of the directory" in each.message
