"""Carries out a Dockerfile without a container engine: the steps of each stage in a folder of its own, by chroot.

It knows the instructions that the project's Dockerfile uses and refuses any other.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

_ENTER = 'exec chroot --userspec="$1" "$0" sh -c \'cd "$0" && exec "$@"\' "$2" "${@:3}"'
"""Bash, with the root file system, the user, the directory and the command as its arguments."""
_ONLY_NAMES = {"EXPOSE", "LABEL"}


@dataclass(slots=True)
class _Stage:
    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Container:
    """A process of the image in namespaces of its own, and a way to run others beside it."""

    process: subprocess.Popen[bytes]
    enter: list[str]
    environment: Mapping[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.enter, *command], env=dict(self.environment), capture_output=True, text=True, timeout=60
        )

    def stop(self) -> int:
        """Asks the served process to end, as an engine does, and returns its exit status."""
        inner = _children(self.process.pid)[0]
        os.kill(inner, signal.SIGTERM)
        return self.process.wait(60)


class Rehearsal:
    """An image of ``context``'s Dockerfile over the root file system ``base``, built below ``work``."""

    def __init__(self, context: Path, base: Path, work: Path) -> None:
        self._context = context
        self._base = base
        self._work = work
        self._stages: dict[str, _Stage] = {}
        self._last = _Stage(base)

    @property
    def root(self) -> Path:
        return self._last.root

    @property
    def healthcheck(self) -> list[str]:
        return self._last.healthcheck

    def build(self) -> None:
        """Carries out every instruction, in order."""
        arguments: dict[str, str] = {}
        for name, rest in instructions((self._context / "Dockerfile").read_text()):
            if name == "FROM":
                arguments = {}
                alias = re.search(r" AS (\w+)$", rest, re.IGNORECASE)
                self._last = _Stage(self._work / f"stage-{len(self._stages)}")
                self._stages[alias[1] if alias else str(len(self._stages))] = self._last
                # Not shutil, which would read the devices of a root file system as if they were files.
                subprocess.run(["cp", "-a", str(self._base), str(self._last.root)], check=True)
            elif name == "ARG":
                key, _, value = rest.partition("=")
                arguments[key] = value
            elif name not in _ONLY_NAMES:
                self._instruction(name, rest, arguments)

    def _instruction(self, name: str, rest: str, arguments: Mapping[str, str]) -> None:
        stage = self._last
        if name == "ENV":
            for pair in shlex.split(rest):
                key, _, value = pair.partition("=")
                stage.environment[key] = Template(value).substitute({**self._environment(stage), **arguments})
        elif name == "WORKDIR":
            stage.directory = rest
            _inside(stage.root, rest).mkdir(parents=True, exist_ok=True)
        elif name == "USER":
            stage.user = rest
        elif name == "RUN":
            done = self.run("sh", "-c", rest, network=True)
            assert done.returncode == 0, f"RUN {rest}\n{done.stdout}\n{done.stderr}"
        elif name == "COPY":
            self._copy(rest)
        elif name == "CMD":
            stage.command = json.loads(rest)
        elif name == "HEALTHCHECK":
            stage.healthcheck = json.loads(rest.partition(" CMD ")[2])
        else:
            raise AssertionError(f"the rehearsal does not know {name}")

    def _copy(self, rest: str) -> None:
        *sources, target = [word for word in shlex.split(rest) if not word.startswith("--")]
        source_root = self._context
        if found := re.search(r"--from=(\w+)", rest):
            source_root = self._stages[found[1]].root
        place = _inside(self._last.root, os.path.join(self._last.directory, target))
        for source in sources:
            origin = source_root / source.lstrip("/")
            if source_root == self._context:
                assert _in_context(self._context, source), f"{source} is left out by .dockerignore"
            if origin.is_dir():
                ignored = shutil.ignore_patterns(*(["__pycache__"] if source_root == self._context else []))
                shutil.copytree(origin, place, symlinks=True, dirs_exist_ok=True, ignore=ignored)
            else:
                goal = place / origin.name if target.endswith("/") else place
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(origin, goal)

    def run(self, *command: str, network: bool = False) -> subprocess.CompletedProcess[str]:
        """A command in the present stage, as its user, in its directory."""
        stage = self._last
        environment = self._environment(stage)
        if network:
            environment |= _access_to_packages(stage.root)
        # The list of mounts is the process's own, and gone with it.
        script = f'mount -t proc proc "$0/proc" && {_ENTER}'
        return subprocess.run(
            ["unshare", "--mount", "--", "bash", "-c", script, str(stage.root), stage.user, stage.directory, *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
        )

    def _environment(self, stage: _Stage) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "HOME": "/root", **stage.environment}

    @contextmanager
    def running(
        self,
        *,
        mounts: Mapping[str, Path],
        environment: Mapping[str, str] | None = None,
        command: list[str] | None = None,
    ) -> Iterator[Container]:
        """The image's command with a read-only root, a writable /tmp and no network but the loopback interface."""
        stage = self._last
        variables = {**self._environment(stage), "HOME": "/app", **(environment or {})}
        binds = "".join(
            f'mkdir -p "$0{inside}"; mount --bind {shlex.quote(str(outside))} "$0{inside}"; '
            f'mount -o remount,ro,bind "$0{inside}"; '
            for inside, outside in mounts.items()
        )
        script = (
            'set -e; ip link set lo up 2>/dev/null || python3 -c "" ; mount --bind "$0" "$0"; '
            'mount -t proc proc "$0/proc"; mount -t tmpfs tmpfs "$0/tmp"; chmod 1777 "$0/tmp"; '
            f'{binds} mount -o remount,ro,bind "$0"; '
            f"{_ENTER}"
        )
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--", "bash", "-c", script),
                *(str(stage.root), stage.user, stage.directory, *(command or stage.command)),
            ],
            env=variables,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith(b"listening on "):
                    break
            inner = _children(process.pid)[0]
            enter = ["nsenter", "--target", str(inner), "--mount", "--net", "--pid", "--root", "--wd", "--"]
            enter += ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--"]
            yield Container(process, enter, variables)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Names and the rest of their lines, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        name, _, rest = line.partition(" ")
        yield name.upper(), rest.strip()


def _inside(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _in_context(context: Path, source: str) -> bool:
    """Whether .dockerignore, which lets in only what it names, lets this in."""
    allowed = [line[1:] for line in (context / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    return any(source == each or source.startswith(f"{each}/") for each in allowed)


def _access_to_packages(root: Path) -> dict[str, str]:
    """What this machine's pip needs to reach its index: settings, certificates, names of hosts."""
    for name in ("etc/resolv.conf", "etc/hosts", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):
        if Path("/", name).exists():
            _inside(root, name).parent.mkdir(parents=True, exist_ok=True)
            _inside(root, name).unlink(missing_ok=True)
            shutil.copy(Path("/", name), _inside(root, name))
    wanted = re.compile(r"pip_|.*proxy$|ssl_cert", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if wanted.match(name) and name != "PIP_FIND_LINKS"}


def _children(pid: int) -> list[int]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if found:
            return [int(child) for child in found]
    raise AssertionError("the process has no child")
