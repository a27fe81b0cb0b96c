"""The chart, rendered by the real helm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
CHART = PROJECT / "deployment" / "helm" / "aura"
_HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"


def helm() -> str:
    """The helm of this machine, else one that is built once from its Go module and kept in the user's cache."""
    if found := shutil.which("helm"):
        return found
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "aura-tests" / _HELM.rpartition("@")[2]
    if not (cache / "helm").exists():
        go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
        if go is None:
            pytest.skip("there is neither helm nor Go to build it with")
        built = subprocess.run(
            [go, "install", _HELM],
            env={**os.environ, "GOBIN": str(cache)},
            capture_output=True,
            text=True,
            timeout=1500,
        )
        if built.returncode != 0:
            pytest.skip(f"helm could not be built: {built.stderr[-300:]}")
    return str(cache / "helm")


def run(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """One call of helm; ``values`` come from standard input."""
    extra = ["--values", "-"] if values is not None else []
    # A helm that `go install` has built believes in a Kubernetes of long ago.
    return subprocess.run(
        [helm(), *arguments, "--kube-version", "1.31.0", *extra],
        input=None if values is None else json.dumps(values),
        capture_output=True,
        text=True,
        timeout=120,
    )


def render(values: Mapping[str, Any] | None = None, *arguments: str) -> list[dict[str, Any]]:
    """The manifests of a release `demo`."""
    done = run("template", "demo", str(CHART), *arguments, values=values)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in manifests if each["kind"] == kind]


def container(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    [deployment] = of_kind(manifests, "Deployment")
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


def local_command(manifests: list[dict[str, Any]], environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The container's command and variables for this machine's Python, with other values of ``environment``."""
    found = container(manifests)
    assert found["command"] == ["./aura-web-server"]
    variables = {each["name"]: each["value"] for each in found["env"] if "value" in each}
    return [sys.executable, "-m", "aura_py", "serve", *found["args"]], {**variables, **environment}
