"""The Dockerfile: linted, and its steps carried out where no container engine is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.rehearsal import Rehearsal

PROJECT = Path(__file__).parents[2]
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


def test_the_dockerfile_has_nothing_to_complain_about() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("hadolint is not installed; there are binaries for Linux and macOS only")
    done = subprocess.run([str(linter), "Dockerfile"], cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root file system with Python, in place of the official image."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("making a root file system needs root on a Debian")
    if shutil.which("debootstrap") is None:
        subprocess.run(["apt-get", "install", "-y", "-q", "debootstrap"], capture_output=True, timeout=300)
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is not installed, and could not be")
    root = tmp_path_factory.mktemp("base") / "root"
    packages = "--include=ca-certificates,libssl3,libffi8,zlib1g,libbz2-1.0,liblzma5,libsqlite3-0,libreadline8"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", packages, "bookworm", str(root)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if made.returncode != 0:
        pytest.skip(f"debootstrap could not make a root file system: {made.stderr[-300:]}")
    # As in the official image: Python with pip, below /usr/local.
    shutil.copytree(sys.base_prefix, root / "usr/local", symlinks=True, dirs_exist_ok=True)
    subprocess.run(["chroot", str(root), "/sbin/ldconfig"], check=True, timeout=60)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def image(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    work = tmp_path_factory.mktemp("image")
    built = Rehearsal(PROJECT, base, work)
    built.build()
    yield built
    shutil.rmtree(work, ignore_errors=True)


@pytest.mark.soak
@pytest.mark.timeout(1800)
class TestTheImage:
    def test_holds_no_compiler_and_no_pip(self, image: Rehearsal) -> None:
        found = image.run("sh", "-c", "command -v gcc cc pip pip3 || true; python -m pip --version || true")
        assert "/gcc" not in found.stdout
        assert "No module named pip" in found.stderr
        assert not list(image.root.glob("opt/aura/lib/python3*/site-packages/pip"))
        assert not list(image.root.glob("opt/aura/bin/pip*"))

    def test_has_the_vocabulary_and_its_bytecode(self, image: Rehearsal) -> None:
        assert list(image.root.glob("opt/aura/lib/python3*/site-packages/aura_py/tokens/o200k_base.bin"))
        assert list(image.root.glob("opt/aura/lib/python3*/site-packages/aura_py/__pycache__/*.pyc"))

    def test_both_commands_answer(self, image: Rehearsal) -> None:
        assert image.run("./aura", "--version").stdout.startswith("aura ")
        assert "Serve the agents of PATH" in image.run("./aura-web-server", "--help").stdout

    def test_serves_without_network_and_with_a_read_only_root(self, image: Rehearsal, tmp_path: Path) -> None:
        config = tmp_path / "config"
        config.mkdir()
        (config / "config.toml").write_text(AGENT)
        with image.running(mounts={"/app/config": config}, environment={"PORT": "9090"}) as container:
            healthy = container.run(*image.healthcheck)
            assert healthy.returncode == 0, healthy.stdout + healthy.stderr
            body = '{"model":"ops","messages":[{"role":"user","content":"hi"}]}'
            answer = container.run(
                "python",
                "-c",
                "import sys, urllib.request as u;"
                "r = u.Request('http://127.0.0.1:9090/v1/chat/completions', sys.argv[1].encode(),"
                " {'Content-Type': 'application/json'});"
                "print(u.urlopen(r).read().decode())",
                body,
            )
            assert "You said hi" in answer.stdout, answer.stderr
            assert container.run("sh", "-c", "touch /app/x").returncode != 0
            assert container.run("id", "-u").stdout == "1000\n"
            assert container.stop() == 0
