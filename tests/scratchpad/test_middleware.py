"""When an output is parked, and what the model reads in its place."""

from __future__ import annotations

import json
import os
import resource
import stat
import sys
from pathlib import Path

import anyio
import pytest

from aura_py.events import ToolKind
from aura_py.messages import Json, Usage
from aura_py.tools.contract import failure, success
from tests.scratchpad.rig import COUNTER, rig
from tests.servers.outputs import boundary_json, deep_json, huge_numbers, large_json, nested_json

ARTICLE = "\n".join(["# Report", "", *(f"- point {number}: words" for number in range(20))])


async def test_exactly_at_the_threshold_is_parked_and_one_below_is_not(tmp_path: Path) -> None:
    text = boundary_json(500)
    tokens = COUNTER.count(text)
    with rig(tmp_path / "pad", thresholds={"at": tokens, "above": tokens + 1}) as pad:
        assert (await pad.through(text, name="at")).text.startswith("[scratchpad: output saved to 'task_0--at-0-")
        outcome = await pad.through(text, name="above")
        assert outcome == success(text)
        assert pad.scratchpad.usage() == (tokens, 0)


async def test_the_pointer_names_file_size_format_tools_and_shows_the_structure(tmp_path: Path) -> None:
    with rig(tmp_path / "pad", thresholds={"list hosts/x": 0}) as pad:
        outcome = await pad.through(large_json(50), initiator="infra", task_id=2, attempt=1, name="list hosts/x")
        file = outcome.meta["parked"]
        assert isinstance(file, str)
        assert file.startswith("task_2-infra-list_hosts_x-1-")
        assert file.endswith(".json")
        headline, *rest = outcome.text.split("\n")
        lines = len((tmp_path / "pad" / file).read_text().split("\n"))
        tokens = COUNTER.count(large_json(50))
        assert headline == (f"[scratchpad: output saved to '{file}' (~{tokens} tokens, {lines} lines, format=json)]")
        assert rest[0] == ""
        for tool in ("schema", "item_schema", "head", "grep", "get_in", "iterate_over", "slice"):
            assert f"- {tool}(file" in outcome.text
        assert outcome.text.count(file) == 1
        assert "read(" not in outcome.text
        assert "$.results (array(50 items)) [L2-" in outcome.text
        assert outcome.structured is None


async def test_identical_outputs_give_identical_pointers_and_one_file(tmp_path: Path) -> None:
    with rig(tmp_path / "pad") as pad:
        first, second = await pad.through(ARTICLE), await pad.through(ARTICLE)
        assert first.text == second.text
        assert len([path for path in (tmp_path / "pad").iterdir() if path.is_file() and path.suffix == ".md"]) == 1


async def test_errors_and_outputs_of_unlisted_tools_pass_unchanged(tmp_path: Path) -> None:
    with rig(tmp_path / "pad", thresholds={"big": 5}) as pad:
        broken = failure("x " * 5000, outcome="tool_error")
        assert await pad.through(broken) is broken
        fine = success("y " * 5000)
        assert await pad.through(fine, name="other") is fine
        assert pad.scratchpad.usage() == (0, 0)


@pytest.mark.parametrize("kind", ["mcp", "knowledge", "filesystem", "orchestration"])
async def test_what_would_not_fit_the_budget_is_parked_whoever_made_it(tmp_path: Path, kind: ToolKind) -> None:
    with rig(tmp_path / "pad", thresholds={}, window=5000) as pad:
        outcome = await pad.through("word " * 20_000, name="unlisted", kind=kind)
        assert "parked" in outcome.meta


async def test_skills_are_never_parked_and_a_default_threshold_watches_every_other_tool(tmp_path: Path) -> None:
    with rig(tmp_path / "pad", thresholds={}, default_min_tokens=100) as pad:
        assert "parked" not in (await pad.through("word " * 500, kind="skill")).meta
        assert "parked" in (await pad.through("word " * 500, kind="knowledge")).meta
        assert "parked" not in (await pad.through("word " * 50, kind="knowledge")).meta


async def test_outputs_of_one_turn_together_never_overfill_the_window(tmp_path: Path) -> None:
    with rig(tmp_path / "pad", thresholds={}, window=20_000) as pad:
        parked = ["parked" in (await pad.through("abcd" * 4000 + str(n), name=f"t{n}")).meta for n in range(8)]
        assert parked[0] is False
        assert parked[-1] is True
        pad.scratchpad.budget.observe_turn(Usage(4000, 10))
        assert "parked" not in (await pad.through("abcd" * 4000, name="next")).meta


async def test_long_strings_get_companions_wherever_they_stand(tmp_path: Path) -> None:
    inner = json.dumps({"rows": [{"n": number} for number in range(10)], "text": ARTICLE}, indent=1)
    rows = "id,name\n" + "\n".join(f"{n},name {n}" for n in range(12))
    value = {
        "report": ARTICLE,
        "a b": {"deep": [{"body": inner}]},
        "a_b": ARTICLE,
        "plain": "\n".join(f"nothing special {n}" for n in range(20)),
        "table": rows,
        "../../etc/evil": ARTICLE,
    }
    with rig(tmp_path / "pad") as pad:
        outcome = await pad.through(json.dumps(value))
        stem = str(outcome.meta["parked"]).removesuffix(".json")
        found = {path.name.removeprefix(stem): path for path in (tmp_path / "pad").iterdir() if path.is_file()}
        assert found[".report.md"].read_text() == ARTICLE
        assert found[".table.csv"].read_text() == rows
        assert found[".______etc_evil.md"].read_text() == ARTICLE
        assert sum(path.suffix == ".md" for path in found.values()) == 4
        assert not (tmp_path / "etc").exists()
        assert "extracted from key 'report' (22 lines, markdown)]" in outcome.text
        assert "extracted from key '$[\"a b\"].deep[0].body'" in outcome.text
        assert "plain" not in [name.split(".")[1] for name in found if name.count(".") > 1]
        companion = next(name for name in found if name.endswith(".json") and name != ".json")
        assert '"n": 9' in await pad.read("get_in", file=stem + companion, path="rows[-1]")


async def test_a_wrapped_result_is_unwrapped(tmp_path: Path) -> None:
    with rig(tmp_path / "pad") as pad:
        file = await pad.park(json.dumps({"result": nested_json()}))
        assert "$.cluster (string)" in await pad.read("schema", file=file)


async def test_deep_and_huge_values_are_stored_whole(tmp_path: Path) -> None:
    with rig(tmp_path / "pad") as pad:
        deep = await pad.park(deep_json(200))
        assert "...truncated" in await pad.read("schema", file=deep, max_depth=100)
        assert await pad.lines("get_in", file=deep, path=".".join(["deep"] * 200)) == ["bottom"]
        assert (await pad.read("head", file=deep, lines=200)).startswith("     1\t{")
        deeper = await pad.park(deep_json(10_000))
        assert deeper.endswith(".json")
        missed = await pad.read("get_in", file=deeper, path=".".join(["deep"] * 300))
        assert "nested too deep for paths; use grep and slice" in missed
        assert '"bottom"' in await pad.read("grep", file=deeper, pattern="bottom")
        numbers = await pad.park(huge_numbers())
        assert "123456789012345678901234567890" in await pad.read("get_in", file=numbers, path="numbers")
        rows = await pad.read("iterate_over", file=numbers, path="rows", fields="n", where="n == 1" + "0" * 28 + "42")
        assert '"n": 1' + "0" * 28 + "42" in rows


async def test_files_and_directories_are_closed_to_others(tmp_path: Path) -> None:
    with rig(tmp_path / "memory" / "pad") as pad:
        file = await pad.park(ARTICLE)
        assert stat.S_IMODE((tmp_path / "memory" / "pad").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "memory" / "pad" / file).stat().st_mode) == 0o600


async def test_an_output_that_cannot_be_saved_is_told_and_passed_on(tmp_path: Path) -> None:
    directory = tmp_path / "pad"
    with rig(directory, window=20_000, max_extraction_tokens=500) as pad:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
        directory.write_text("no directory any more")
        fits = await pad.through(ARTICLE)
        assert fits.text.startswith("[scratchpad: failed to save the output of 'big' (~")
        assert fits.text.endswith(ARTICLE)
        large = await pad.through("word " * 50_000)
        assert "Not a directory" in large.text
        assert "[cut here: " in large.text
        assert COUNTER.count(large.text) < 700
        assert pad.scratchpad.usage() == (0, 0)


async def test_an_output_that_cannot_be_listed_is_not_kept_either(tmp_path: Path) -> None:
    with rig(tmp_path / "pad") as pad:
        (tmp_path / "pad" / ".index").write_text("in the way")
        outcome = await pad.through(ARTICLE)
        assert "failed to save" in outcome.text
        assert outcome.text.endswith(ARTICLE)
        assert sorted(path.name for path in (tmp_path / "pad").iterdir()) == [".index", ".lock"]


_FULL = """
import json, resource, sys, anyio
from pathlib import Path
from tests.scratchpad.rig import rig
async def main() -> None:
    with rig(Path(sys.argv[1])) as pad:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        swelling = "[" * 60 + "1," * 300 + "1" + "]" * 60
        for text in ("word " * 100_000, json.dumps({"a": "# Title" + chr(10) * 50, "b": swelling})):
            outcome = await pad.through(text)
            print(outcome.text.split(chr(10))[0])
            print(sorted(path.name for path in Path(sys.argv[1]).rglob("*")))
anyio.run(main)
"""


async def test_a_full_disk_is_told_and_leaves_no_debris(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    result = await anyio.run_process(
        [sys.executable, "-X", "dev", "-c", _FULL, str(tmp_path / "pad")], env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    said, files, said_of_companions, files_then = result.stdout.decode().strip().split("\n")
    for message in (said, said_of_companions):
        assert "failed to save" in message
        assert "File too large" in message
    assert files == files_then == "['.lock']"


async def test_a_string_of_json_without_strings_gets_a_companion_too(tmp_path: Path) -> None:
    with rig(tmp_path / "pad") as pad:
        outcome = await pad.through(
            json.dumps({"a": "[1,2,3,4,5,6,7,8]", "b": "\n[ [1, 2, 3],\n[4, 5, 6, 7, 8, 9]]\n", "c": "[1,2]"})
        )
        assert "extracted from key 'a'" in outcome.text
        assert "extracted from key 'b'" in outcome.text
        assert "extracted from key 'c'" not in outcome.text


@pytest.mark.parametrize(
    "value",
    ["line\n" * 8 + "x" * 3_000_000, ["[aaaaaaaaaaaaaaaaaaa"] * 150_000 + ["\\"], "\n[1 " * 600_000, "# T\n" * 700_000],
    ids=["lines then one long", "brackets", "bracketed lines", "short lines"],
)
async def test_no_string_keeps_the_search_for_companions_long(tmp_path: Path, value: Json) -> None:
    deep = value
    for _ in range(70):
        deep = [deep]
    with rig(tmp_path / "pad", window=10**9) as pad, anyio.fail_after(30):
        for content in (value, deep):
            outcome = await pad.through(json.dumps({"a": content}))
            assert outcome.text.startswith("[scratchpad: output saved to ")


async def test_what_was_stored_and_what_failed_is_logged_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aura_py.scratchpad")
    with rig(tmp_path / "pad") as pad:
        file = await pad.park("word " * 100)
        await pad.park("word " * 100)
        await pad.explore("get_in", file=file, path="a")
        await pad.explore("head", file="nothing")
    assert "1 files of 500 bytes stored" in caplog.text
    assert "2 calls failed" in caplog.text
    with rig(tmp_path / "other"):
        caplog.clear()
    assert not caplog.records


def pods(count: int, note: str) -> str:
    spec = {"containers": [{"name": f"c{n}", "image": "registry/image:1"} for n in range(4)]}
    return json.dumps(
        {
            "items": [
                {
                    "metadata": {"name": f"pod-{n}", "annotations": {"kubectl/last-applied": json.dumps(spec)}},
                    note: ARTICLE,
                }
                for n in range(count)
            ]
        }
    )


async def test_annotations_on_one_line_are_no_documents(tmp_path: Path) -> None:
    with rig(tmp_path / "pad") as pad:
        await pad.through(pods(600, "note"))
        names = [path.name for path in (tmp_path / "pad").iterdir() if path.is_file()]
        assert sum(name.endswith(".json") for name in names) == 1
        assert "last_applied" not in "".join(names)
        single = await pad.through(json.dumps({"annotations": {"a": json.dumps({str(n): n for n in range(20)})}}))
        assert "companion" not in single.text


async def test_companions_of_one_kind_are_one_line_with_a_pattern_and_a_count(tmp_path: Path) -> None:
    with rig(tmp_path / "pad") as pad:
        outcome = await pad.through(pods(600, "note"))
        stem = str(outcome.meta["parked"]).removesuffix(".json")
        told = f"[companions: 20 files '{stem}.items_*_note.md' extracted from keys 'items[*].note' (22 lines each, "
        assert told in outcome.text
        assert outcome.text.count("companions:") == 1
        found = await pad.read("grep", file=f"{stem}.items_*_note.md", pattern="point 7", context=0)
        assert "20 matches" in found


@pytest.mark.parametrize("threshold", [0, 1, 300, 1500, 5120])
async def test_a_pointer_stays_well_below_the_threshold(tmp_path: Path, threshold: int) -> None:
    keys = {f"{n}-{'key' * 100}": ARTICLE for n in range(40)}
    outputs = [pods(600, "note"), json.dumps(keys), json.dumps([keys] * 5), "word " * 40_000, f"# {'x' * 5000}\n" * 300]
    least = 260
    with rig(tmp_path / "pad", thresholds={"big": threshold}) as pad:
        for text in outputs:
            outcome = await pad.through(text)
            assert "parked" in outcome.meta
            assert COUNTER.count(outcome.text) <= max(least, min(800, threshold // 3 or 800))
