"""Everything that an installation brings has one version: that of `constraints.txt`."""

from __future__ import annotations

import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]
ABOUT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
PINS = {
    canonicalize_name(line.partition("==")[0])
    for line in (PROJECT / "constraints.txt").read_text().splitlines()
    if "==" in line
}
PLACES = [
    {"python_version": version, "python_full_version": f"{version}.0", "platform_machine": machine}
    for version in ("3.11", "3.12", "3.13")
    for machine in ("x86_64", "aarch64")
]


def brought(declared: list[str]) -> set[str]:
    """Names of all packages that the requirements lead to on any of the supported Pythons, as far as they are here."""
    seen: set[str] = set()
    waiting = [(Requirement(text), "") for text in declared]
    while waiting:
        requirement, extra = waiting.pop()
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({**place, "extra": extra}) for place in PLACES
        )
        key = f"{canonicalize_name(requirement.name)}[{','.join(sorted(requirement.extras))}]"
        if not wanted or key in seen or key.startswith("aura-py["):
            continue
        seen.add(key)
        inner = [Requirement(text) for text in requires(requirement.name) or ()]
        waiting += [(each, extra) for each in inner for extra in ("", *requirement.extras)]
    return {key.partition("[")[0] for key in seen}


@pytest.mark.parametrize("extra", [None, *ABOUT["project"]["optional-dependencies"]])
def test_every_package_of_an_installation_is_pinned(extra: str | None) -> None:
    project = ABOUT["project"]
    declared = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    assert brought(declared) - PINS == set()


def test_the_build_backend_of_the_image_is_pinned() -> None:
    assert {canonicalize_name(Requirement(text).name) for text in ABOUT["build-system"]["requires"]} <= PINS
    dockerfile = (PROJECT / "Dockerfile").read_text()
    for variable in ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"):
        assert f"{variable}=/src/constraints.txt" in dockerfile


def test_every_extra_is_in_all_but_that_of_developers() -> None:
    extras = ABOUT["project"]["optional-dependencies"]
    [everything] = extras["all"]
    assert Requirement(everything).extras == set(extras) - {"all", "dev"}
