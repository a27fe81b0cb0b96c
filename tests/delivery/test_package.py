"""The wheel and the sdist: built, installed into empty environments, and served from."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.wire.process import environment

PROJECT = Path(__file__).parents[2]
pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]
AGENT = """
[agent]
name = "ops"
system_prompt = "Be brief."
[agent.llm]
provider = "scripted"
model = "demo"
[[agent.llm.rules]]
say = "You said {{ user }}"
"""


def python(directory: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True, timeout=120)
    return directory / "bin" / "python"


def install(binary: Path, *what: str) -> None:
    command = [str(binary), "-m", "pip", "install", "--quiet", "--constraint", str(PROJECT / "constraints.txt"), *what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0 and "No matching distribution" in done.stderr:
        pytest.skip(f"packages cannot be had: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("dist")
    binary = python(home / "builder")
    install(binary, "hatchling")
    subprocess.run(
        [str(binary), "-m", "hatchling", "build", "--directory", str(home / "dist")],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        timeout=300,
    )
    return home / "dist"


def test_what_is_needed_is_inside(built: Path) -> None:
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"aura_py/py.typed", "aura_py/tokens/o200k_base.bin"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "docs/", "benchmarks/")) for name in names)
    with tarfile.open(sdist) as archive:
        inner = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "aura_py/__init__.py"} <= inner


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_it_serves_from_an_empty_environment(built: Path, kind: str, tmp_path: Path) -> None:
    [package] = built.glob(kind)
    binary = python(tmp_path / "venv")
    install(binary, str(package))
    (tmp_path / "ops.toml").write_text(AGENT)
    for name in ("aura", "aura-web-server"):
        told = subprocess.run(
            [str(binary.with_name(name)), "--help"], env=environment(), capture_output=True, text=True, timeout=60
        )
        assert told.returncode == 0, told.stderr
    server = subprocess.Popen(
        [str(binary.with_name("aura-web-server")), "ops.toml", "--port", "0"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        url = next(line.split()[-1] for line in server.stdout if line.startswith("listening on "))
        request = urllib.request.Request(
            f"{url}/v1/chat/completions",
            b'{"model":"ops","messages":[{"role":"user","content":"hi"}]}',
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert b"You said hi" in answer.read()
    finally:
        server.terminate()
        assert server.wait(30) == 0
        server.stdout.close()


def test_every_runtime_pin_has_a_wheel_for_arm(tmp_path: Path) -> None:
    """Of everything that an installation brings, by what pip would take on Linux on 64-bit ARM."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest", str(tmp_path)),
            *("--platform", "manylinux2014_aarch64", "--platform", "manylinux_2_28_aarch64"),
            *("--platform", "manylinux_2_34_aarch64", "--python-version", "3.12", "--implementation", "cp"),
            *("--constraint", str(PROJECT / "constraints.txt"), *requirements()),
        ],
        capture_output=True,
        text=True,
        timeout=900,
    )
    if done.returncode != 0 and "Could not fetch URL" in done.stderr:
        pytest.skip("there is no index of packages")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".whl"] == []


def requirements() -> list[str]:
    import tomllib

    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted: list[str] = project["dependencies"]
    extras = {name: each for name, each in project["optional-dependencies"].items() if name != "dev"}
    return wanted + [one for each in extras.values() for one in each if not one.startswith("aura_py[")]
