"""The compose files beside the schema of the compose specification, and beside what they name."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from aura_py import __version__
from aura_py.config import load
from aura_py.config.settings import ServerSettings, setting_of
from tests.delivery.containers import address, ask, contained

PROJECT = Path(__file__).parents[2]
BASE = PROJECT / "docker-compose.yml"
OVERLAYS = sorted((PROJECT / "compose").glob("*.yml"))
SCHEMA = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
"""Of https://github.com/compose-spec/compose-spec, under the Apache License 2.0."""
AGENTS = [*(PROJECT / "configs").glob("*.toml"), *(PROJECT / "compose").glob("*.toml")]
OURS = {
    *(s.variable for info in ServerSettings.model_fields.values() if (s := setting_of(info)) is not None),
    "QUICKSTART_HOST",
}


def merged(base: Any, over: Any) -> Any:
    """Tables key by key, anything else replaced, as compose does for what is used here."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {key: merged(base.get(key), over[key]) if key in over else base[key] for key in {**base, **over}}
    return base if over is None else over


def project(overlay: Path | None) -> dict[str, Any]:
    base = yaml.safe_load(BASE.read_text())
    found = base if overlay is None else merged(base, yaml.safe_load(overlay.read_text()))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("overlay", [None, *OVERLAYS], ids=lambda path: path.stem if path else "base")
def test_a_set_up_is_a_compose_project(overlay: Path | None) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(project(overlay))


@pytest.mark.parametrize("overlay", [None, *OVERLAYS], ids=lambda path: path.stem if path else "base")
def test_what_a_set_up_names_exists(overlay: Path | None) -> None:
    found = project(overlay)
    services = found["services"]
    for name, service in services.items():
        assert "image" in service, name
        assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", service["image"]), f"{name} is not pinned"
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (PROJECT / source).exists(), source
            else:
                assert source in found["volumes"]
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name} is published to every address"
        for needed in service.get("depends_on", ()):
            assert needed in services
    aura = services["aura"]
    assert aura["image"] == f"aura:{__version__}"
    variables = set(aura["environment"])
    asked = set(re.findall(r"env\.(\w+)", "".join(map(Path.read_text, AGENTS))))
    assert variables <= OURS | asked


@pytest.mark.parametrize("overlay", [None, *OVERLAYS], ids=lambda path: path.stem if path else "base")
def test_the_command_of_a_set_up_can_be_run(overlay: Path | None) -> None:
    aura = project(overlay)["services"]["aura"]
    program, *arguments = aura["command"]
    if program == "python":
        assert (PROJECT / arguments[0]).is_file()
    else:
        assert [program, *arguments] == ["aura", "serve"]
        load(PROJECT / aura["environment"]["CONFIG_PATH"], env={})
    published = aura["ports"][0].rpartition(":")[2]
    assert published == aura["environment"]["PORT"]


def test_every_overlay_has_a_page_and_is_listed() -> None:
    index = (PROJECT / "docs" / "compose" / "index.md").read_text()
    for overlay in OVERLAYS:
        page = PROJECT / "docs" / "compose" / f"{overlay.stem}.md"
        assert f"-f compose/{overlay.name} up" in page.read_text()
        assert f"({overlay.stem}.md)" in index


def test_the_endpoint_of_librechat_is_the_documented_one() -> None:
    shipped = yaml.safe_load((PROJECT / "compose" / "librechat.yaml").read_text())
    block = re.search(r"```yaml\n(.*?)```", (PROJECT / "docs" / "clients" / "librechat.md").read_text(), re.DOTALL)
    assert block is not None
    documented = yaml.safe_load(block[1])
    for each in (shipped, documented):
        for endpoint in each["endpoints"]["custom"]:
            del endpoint["apiKey"], endpoint["baseURL"]
    assert shipped == documented


def test_the_version_of_the_image_is_that_of_the_package() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert f"ARG VERSION={__version__}\n" in dockerfile
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["requires-python"]
    image = re.search(r"^ARG PYTHON_IMAGE=python:3\.(\d+)-slim", dockerfile, re.MULTILINE)
    assert image is not None
    assert int(image[1]) >= int(wanted.rpartition(".")[2])


@pytest.mark.soak
@pytest.mark.parametrize(
    ("overlay", "question", "answer"),
    [
        (None, {"model": "assistant", "content": "What is 37% of 1240?"}, "458.8"),
        ("orchestration", {"model": "math-team", "content": "What is (3 + 4) * 5?"}, "35"),
    ],
    ids=["base", "orchestration"],
)
def test_a_set_up_answers_with_what_the_container_has(
    overlay: str | None, question: dict[str, str], answer: str
) -> None:
    """Its services of Aura's image, each as a process of the container's rights, in one network."""
    services = project(None if overlay is None else PROJECT / "compose" / f"{overlay}.yml")["services"]
    aura = services.pop("aura")
    assert aura["volumes"] == [".:/project:ro"]
    variables = {"HOST": "127.0.0.1", **aura["environment"]}
    with ExitStack() as stack:
        process = stack.enter_context(contained(local(aura["command"]), variables, directory=PROJECT))
        url = address(process).replace("0.0.0.0", "127.0.0.1")
        for service in services.values():
            helper = stack.enter_context(contained(local(service["command"]), {}, directory=PROJECT, beside=process))
            assert helper.stdout is not None
            helper.stdout.readline()
        assert aura["healthcheck"]["test"] == ["CMD", "/app/aura", "health"]
        assert ask(process, f"{url}/health/ready")[0] == 200
        message = {"role": "user", "content": question["content"]}
        status, text = ask(process, f"{url}/v1/chat/completions", {"model": question["model"], "messages": [message]})
        assert status == 200, text
        assert answer in json.loads(text)["choices"][0]["message"]["content"]


def local(command: list[str]) -> list[str]:
    """A command of the image with this machine's Python."""
    program, *arguments = command
    return [sys.executable, *(["-m", "aura_py"] if program == "aura" else []), *arguments]
