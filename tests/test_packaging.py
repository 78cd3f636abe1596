"""What is installed, built and published: versions that agree, a README whose links lead somewhere, nothing unsafe."""

import json
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(*extras: str) -> list[Requirement]:
    """Return what the package needs, and what the extras need beside it."""
    texts = [*PROJECT["dependencies"], *(text for name in extras for text in PROJECT["optional-dependencies"][name])]
    found = [Requirement(text) for text in texts]
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]


def pins(name: str) -> dict[str, Version]:
    """Return the versions that a file of constraints states."""
    lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {canonicalize_name(package): Version(version) for package, version in (line.split("==") for line in lines)}


def lowest(requirement: Requirement) -> Version:
    (floor,) = (part.version for part in requirement.specifier if part.operator == ">=")
    return Version(floor)


def test_the_lowest_versions_are_those_that_are_tested() -> None:
    tested = requirements("lite0", "timm", "torchvision", "maps", "remote", "quickstart", "test")
    assert {canonicalize_name(r.name): lowest(r) for r in tested} == pins("constraints-min.txt")


def test_the_versions_that_are_installed_are_admitted() -> None:
    pinned = pins("constraints.txt")
    for requirement in requirements(*(set(PROJECT["optional-dependencies"]) - {"timm", "torchvision"})):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"constraints.txt must pin {name}"
        assert requirement.specifier.contains(pinned[name]), f"{requirement} does not admit {pinned[name]}"


@pytest.mark.parametrize(
    "part",
    [
        {"gen": [{"key": "TEMPLATE", "url": "a", "dimensions": {"i": {"stop": 1}}}]},
        {"templates": {"a": "b"}, "refs": {"key": ["{{a}}TEMPLATE", 0, 1]}},
    ],
    ids=["generated", "named"],
)
def test_a_reference_file_runs_nothing(tmp_path: Path, part: dict[str, Any]) -> None:
    """Versions of fsspec before 2026.6 render its Jinja templates without a sandbox, and run what they say."""
    import fsspec
    from jinja2.exceptions import SecurityError

    mark, references = tmp_path / "mark", tmp_path / "references.json"
    template = "{{ cycler.__init__.__globals__.os.mkdir('" + str(mark) + "') }}"
    references.write_text(json.dumps({"version": 1, **part}).replace("TEMPLATE", template))
    with suppress(SecurityError):
        fsspec.filesystem("reference", fo=str(references), simple_templates="gen" in part)
    assert not mark.exists()
