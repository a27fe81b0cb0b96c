"""A process as a container runs it: uid 1000, a read-only tree, a writable /tmp and no network but loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# A root file system that is this machine's, read-only. A directory that only root may enter hides the interpreter
# from other users, so an empty one with nothing but the interpreter takes its place.
_ENTER = """
set -e
ip link set lo up
mount --bind / /mnt
mount -o remount,ro,bind /mnt
mount -t proc proc /mnt/proc
mount --rbind /dev /mnt/dev
show() { mkdir -p "/mnt$1"; mount --bind "$1" "/mnt$1"; }
mount -t tmpfs -o mode=1777 tmpfs /mnt/tmp
if [ -n "$FILES" ]; then show "$FILES"; fi
if [ -n "$CLOSED" ]; then mount -t tmpfs -o mode=755 tmpfs "/mnt$CLOSED"; show "$PYTHON"; fi
exec chroot /mnt setpriv --reuid=1000 --regid=1000 --clear-groups -- \\
    env --unset=FILES --unset=CLOSED --unset=PYTHON --chdir="$0" "$@"
"""


@contextmanager
def contained(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    directory: Path = Path("/"),
    files: Path | None = None,
    beside: subprocess.Popen[str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Run ``command`` in ``directory``, with ``files`` of /tmp in sight, in the network of ``beside`` or its own."""
    if os.geteuid() != 0:
        pytest.skip("namespaces of its own need root")
    network = ["--net"] if beside is None else []
    join = [] if beside is None else ["nsenter", "--target", str(beside.pid), "--net", "--"]
    process = subprocess.Popen(
        [
            *(*join, "unshare", "--mount", *network, "--", "bash", "-c", _ENTER),
            *(str(directory), *command),
        ],
        env={
            "PATH": os.environ["PATH"],
            "AURA_DISABLE_DOTENV": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
            "FILES": str(files or ""),
            "CLOSED": _closed(Path(sys.base_prefix)),
            "PYTHON": sys.base_prefix,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()


def _closed(path: Path) -> str:
    """The topmost directory above ``path`` that other users may not enter, if there is one."""
    return next((str(each) for each in reversed(path.parents) if not each.stat().st_mode & 0o001), "")


def address(process: subprocess.Popen[str]) -> str:
    """Where the server listens, once it does."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("listening on "):
            return line.split()[-1]
    raise AssertionError("the server did not start")


def ask(process: subprocess.Popen[str], url: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    """A request from inside the container's network."""
    done = subprocess.run(
        [
            *("nsenter", "--target", str(process.pid), "--net", "--", "curl", "-s", "-w", "\n%{http_code}"),
            *((url,) if body is None else (url, "-H", "Content-Type: application/json", "-d", json.dumps(body))),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    text, _, status = done.stdout.rpartition("\n")
    return int(status or 0), text
