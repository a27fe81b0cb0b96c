from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.config.prompts import variables
from aura_py.errors import ConfigurationError
from aura_py.orchestration import prompts
from aura_py.orchestration.prompts import INPUTS, PromptLibrary, fence, override_fault
from tests.orchestration.stage import answer, config, coordinator, plan, stage, step, submit, worker

FILES = Path(prompts.__file__).parent


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_a_prompt_reads_exactly_its_inputs(name: str) -> None:
    assert variables((FILES / f"{name}.md.j2").read_text("utf-8")) == INPUTS[name]


def test_every_file_is_a_prompt_that_is_known() -> None:
    assert {path.name.removesuffix(".md.j2") for path in FILES.glob("*.j2")} == set(INPUTS)


def test_missing_and_surplus_inputs_are_refused() -> None:
    library = PromptLibrary()
    with pytest.raises(ValueError, match="prompt `overflow` takes `phase`"):
        library.render("overflow")
    with pytest.raises(ValueError, match="prompt `submission` takes"):
        library.render("submission", extra=1)


@given(st.text())
def test_a_value_is_never_read_as_template_text(value: str) -> None:
    text = PromptLibrary().render(
        "task", task=f"{{{{ context }}}} {{% x %}} {value}", context="SECRET", artifacts=False
    )
    assert text.count("SECRET") == 1 + value.count("SECRET")


@given(st.text(alphabet="~ab\n", max_size=40))
def test_fenced_text_cannot_close_its_own_fence(text: str) -> None:
    fenced = fence(text)
    mark = fenced[: len(fenced) - len(fenced.lstrip("~"))]
    assert mark not in text
    assert fenced == f"{mark}data\n{text}\n{mark}"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("nothing", "x", "there is no prompt `nothing`"),
        ("task", "{{ task }} {{ context }} {{ secret }}", "uses `secret`"),
        ("task", "{{ task }}", "leaves out `context`"),
        ("task", "{% if %}", "line 1 is not a Jinja2 template"),
        ("task", "{{ task }}\n{{ context | fense }}", "line 2 is not a Jinja2 template: No filter named 'fense'"),
    ],
)
def test_an_author_s_prompt_that_cannot_work_is_refused_at_load(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / "own.j2"
    path.write_text(text)
    assert words in (override_fault(name, path) or "")
    with pytest.raises(ConfigurationError, match=r"orchestration\.prompts"):
        PromptLibrary({name: path})


def test_a_prompt_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "cannot be read" in (override_fault("task", tmp_path / "none") or "")


def test_an_undefined_name_inside_a_loop_is_an_error_and_not_an_empty_text(tmp_path: Path) -> None:
    path = tmp_path / "own.j2"
    path.write_text("{{ task.nothing }} {{ context }}")
    with pytest.raises(ConfigurationError, match=r"`orchestration\.prompts\.task` cannot be filled in") as raised:
        PromptLibrary({"task": path}).render("task", task="t", context="", artifacts=False)
    assert "has no attribute 'nothing'" in (raised.value.detail or "")


async def test_an_author_s_prompt_is_used(tmp_path: Path) -> None:
    path = tmp_path / "own.j2"
    path.write_text("DO {{ task }} WITH {{ context }}")
    rules = [coordinator("plan", plan(step("a"))), worker(submit()), coordinator("continue", answer())]
    async with stage() as scene:
        told = await scene.run(config(rules, prompts={"task": path}))
    assert told.asked("worker")[0].messages[-1].text == "DO a WITH"
