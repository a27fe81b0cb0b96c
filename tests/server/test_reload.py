"""Hot reload: whole or not at all."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from aura_py.server.reload import Reloader
from tests.server.rig import Rig, agent_file, serving


async def ids(rig: Rig) -> list[str]:
    return [model["id"] for model in (await rig.ask("GET", "/v1/models")).json()["data"]]


async def test_a_new_set_takes_over_while_running_runs_finish_on_the_old_one(rig: Rig, agents: Path) -> None:
    async with rig.open(
        "POST", "/v1/chat/completions", {"stream": True, "messages": [{"role": "user", "content": "slow"}]}
    ) as exchange:
        while not rig.state.services.engine.live:
            await anyio.lowlevel.checkpoint()
        (agents / "b.toml").unlink()
        (agents / "d.toml").write_text(agent_file("fresh"))
        assert await Reloader(rig.state).reload()
        assert await ids(rig) == ["ops", "fresh"]
        await exchange.finished.wait()
    assert b"three" in exchange.received


async def test_a_broken_set_changes_nothing_and_is_reported(rig: Rig, agents: Path) -> None:
    (agents / "a.toml").write_text("[agent]\nname = 5")
    assert not await Reloader(rig.state).reload()
    assert await ids(rig) == ["ops", "team/dev helper"]
    health = (await rig.ask("GET", "/health")).json()
    assert health["reload"]["ok"] is False
    assert "a.toml" in health["reload"]["error"]
    (agents / "a.toml").write_text(agent_file("ops"))
    assert await Reloader(rig.state).reload()
    assert "reload" not in (await rig.ask("GET", "/health")).json()


async def test_the_watcher_sees_a_request_to_reload_and_changes(agents: Path) -> None:
    async with serving(agents, reload="on") as rig, anyio.create_task_group() as tasks:
        reloader = Reloader(rig.state, interval=0.02)
        tasks.start_soon(reloader.run)
        with anyio.fail_after(10):
            before = rig.state.catalog
            reloader.ask()
            while rig.state.catalog is before:  # noqa: ASYNC110  # the watcher polls; so does this test
                await anyio.sleep(0.01)
            before = rig.state.catalog
            (agents / "b.toml").write_text(agent_file("renamed"))
            while rig.state.catalog is before:  # noqa: ASYNC110  # see above
                await anyio.sleep(0.01)
            assert await ids(rig) == ["ops", "renamed"]
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("name", ["a.toml", "own.script.toml", "worker.script.toml", "spare.script.toml", "task.md.j2"])
async def test_the_watcher_looks_at_every_file_that_a_reload_reads(tmp_path: Path, name: str) -> None:
    script = '[[rules]]\nsay = "one"\n'
    for each in ("own", "worker", "spare"):
        (tmp_path / f"{each}.script.toml").write_text(script)
    (tmp_path / "task.md.j2").write_text("Do {{ task }} with {{ context }}.\n")
    llm = 'provider = "scripted"\nmodel = "demo"\nscript = "{}.script.toml"\n'
    (tmp_path / "a.toml").write_text(
        f'[agent]\nname = "team"\nsystem_prompt = "Be brief."\n[agent.llm]\n{llm.format("own")}'
        f"[[agent.llm.fallback]]\n{llm.format('spare')}"
        '[orchestration]\nenabled = true\n[orchestration.prompts]\ntask = "task.md.j2"\n'
        '[orchestration.worker.w]\ndescription = "Works."\npreamble = "You work."\n'
        f"[orchestration.worker.w.llm]\n{llm.format('worker')}"
    )
    async with serving(tmp_path / "a.toml", reload="on") as rig, anyio.create_task_group() as tasks:
        before = rig.state.catalog
        tasks.start_soon(Reloader(rig.state, interval=0.02).run)
        with anyio.fail_after(20):
            changes = 0
            while rig.state.catalog is before:
                changes += 1
                with (tmp_path / name).open("a") as file:
                    file.write(f"{{# {changes} #}}" if name.endswith("j2") else f"# {changes}\n")
                await anyio.sleep(0.2 * changes)  # it looks at a file that has come to rest
        tasks.cancel_scope.cancel()
