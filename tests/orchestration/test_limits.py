"""What keeps a coordinator's context from overflowing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.context import RunContext
from aura_py.messages import JsonObject
from aura_py.orchestration.artifact_reader import ArtifactReader
from aura_py.orchestration.run_directory import RunDirectory
from aura_py.orchestration.text import CUT_MARK, beginning, truncate
from aura_py.tokens import counter_for
from aura_py.tools.contract import CallContext, ToolOutcome
from tests.orchestration.clock import jumping_clock
from tests.orchestration.harness import answer, config, coordinator, open_harness, plan, step, submit, worker

NAME = "task-0-a-iter-1-result.txt"
RUN = "01a1fcd1-e126-77e5-b849-c6ac7fa85d2c"
CONTEXT = CallContext(RunContext("r", "q", "s"), "call", lambda _event: None)


async def read(tmp_path: Path, text: str, **arguments: Any) -> dict[str, Any]:
    files = await RunDirectory.open(tmp_path / "s", RUN, keep=0, emit=lambda _event: None)
    await files.write(f"artifacts/{NAME}", text)

    reader = ArtifactReader(files, counter=counter_for("openai", "gpt-5"), limit=1000)
    asked: JsonObject = {"filename": NAME, **arguments}
    outcome = await reader.tool().handler(asked, CONTEXT)
    assert isinstance(outcome, ToolOutcome)
    answered: dict[str, Any] = orjson.loads(outcome.text)
    return answered


async def test_an_artifact_over_the_cap_comes_as_beginning_and_end(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(3000))
    content = (await read(tmp_path, text))["content"]
    assert content.startswith("line 0\n")
    assert content.endswith("line 2999\n")
    assert "characters left out of" in content
    assert not counter_for("openai", "gpt-5").exceeds(content, 1100)


async def test_a_long_artifact_is_read_page_by_page(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(3000))
    pages, offset = "", 0
    while offset < len(text):
        pages += (await read(tmp_path / str(offset), text, offset=offset, limit=2000))["content"]
        offset += 2000
    assert pages == text


async def test_an_empty_run_id_is_none_and_latest_is_this_run(tmp_path: Path) -> None:
    assert (await read(tmp_path / "a", "x", run_id=""))["content"] == "x"
    assert (await read(tmp_path / "b", "x", run_id="latest"))["content"] == "x"
    other = "01a1fcd1-e126-77e5-b849-c6ac7fa85d2d"
    assert (await read(tmp_path / "c", "x", run_id=other))["found"] is False


async def test_old_reports_shrink_to_their_outcome_when_the_window_fills() -> None:
    async with jumping_clock() as clock, open_harness(clock) as harness:
        transcript = await harness.run(
            config(
                [
                    coordinator("plan", plan(step("gather"))),
                    coordinator("continue", plan(step("gather more", "beta")), times=2),
                    coordinator("continue", answer("enough")),
                    worker(submit("wordy " * 2000, "the short of it")),
                ],
                llm={"context_window": 9000},
                max_planning_cycles=4,
            )
        )
    last = transcript.asked("coordinator")[-1]
    reports = [m.text for m in last.messages if m.role == "user" and "Iteration" in m.text]
    assert reports[0].startswith("Iteration 1: the goal: 1 of 1 tasks succeeded.")
    assert "the short of it" in reports[0]
    assert "wordy wordy" in reports[-1]
    assert transcript.text == "enough"


@given(st.text(max_size=200), st.integers(1, 100))
@settings(max_examples=50)
def test_a_cut_never_adds_and_never_splits(text: str, length: int) -> None:
    short = beginning(text, length)
    assert text.startswith(short)
    assert len(short) <= length
    assert (truncate(text, length) == text) == (len(text) <= length)


def test_a_cut_keeps_the_note_at_the_end() -> None:
    assert truncate("a" * 90 + "\n\n[all of it: x]", 80, "[all of it: x]") == "a" * 80 + CUT_MARK + "\n\n[all of it: x]"
    assert truncate("a" * 80 + "\n\n[all of it: x]", 80, "[all of it: x]") == "a" * 80 + "\n\n[all of it: x]"


@pytest.mark.parametrize(
    ("text", "expected"), [("a" * 95 + "\n" + "b" * 20, "a" * 95), ("a" * 50 + "\n" + "b" * 90, None)]
)
def test_a_cut_prefers_a_line_end_in_the_last_tenth(text: str, expected: str | None) -> None:
    assert beginning(text, 100) == (expected or text[:100])
