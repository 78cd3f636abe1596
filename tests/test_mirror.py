"""Tests mirror the package: the tests of geocell/a/b.py lie in tests/a/test_b.py."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

UNTESTED = {
    "_version": "one number",
    "__main__": "one call of main, run as a process by the tests of the command",
    "geo/data/make_countries": "makes the packaged outlines from a download; the outlines are tested",
    "heads/protocol": "a protocol without code, which every head and ensemble is used as",
}
"""Modules without tests of their own -> why."""

ACROSS = {
    "cli/test_usage": "wrong usage of every command",
    "decoders/test_contract": "what holds for every decoder",
    "encoding/test_broken_images": "a folder with images that are broken in every way",
    "encoding/test_kills": "runs that are killed at random moments",
    "heads/test_damaged_heads": "damaged and hostile folders of heads",
    "partitioners/test_contract": "what holds for every kind of partition",
    "partitioners/test_damaged_partitions": "damaged and hostile folders of partitions",
    "partitioners/test_new_kind": "a kind that somebody adds",
    "partitioners/test_recipes": "functions of the package itself, geocell/partitioners/__init__.py",
    "sweeps/test_kills": "sweeps that are killed",
    "views/test_mutations": "mutated tables of every kind",
}
"""Suites across the modules of a room -> what they are about."""

ROOMS_OF_THEIR_OWN = {"benchmarks", "released", "snapshots"}
"""Folders of tests of something else than the modules of one room."""


def modules(package: Path) -> set[str]:
    """Return the modules of a package as `a/b`, without the `__init__` of folders."""
    paths = (path.relative_to(package).with_suffix("") for path in package.rglob("*.py"))
    return {path.as_posix() for path in paths if path.name != "__init__"}


def suites(tests: Path) -> set[str]:
    """Return the test files in rooms as `a/test_b`."""
    paths = (path.relative_to(tests).with_suffix("") for path in tests.rglob("test_*.py"))
    return {path.as_posix() for path in paths if len(path.parts) > 1 and path.parts[0] not in ROOMS_OF_THEIR_OWN}


def mirrored(module: str) -> str:
    """Return where the tests of a module lie: `a/test_b` for `a/b`."""
    path = Path(module)
    return path.with_name(f"test_{path.name}").as_posix()


MODULES, SUITES = modules(ROOT / "geocell"), suites(ROOT / "tests")


@pytest.mark.parametrize("module", sorted(MODULES - set(UNTESTED)))
def test_a_module_has_tests_at_its_path(module: str) -> None:
    assert mirrored(module) in SUITES, f"geocell/{module}.py needs tests in tests/{mirrored(module)}.py"


@pytest.mark.parametrize("suite", sorted(SUITES - set(ACROSS)))
def test_a_suite_is_of_a_module(suite: str) -> None:
    assert suite in set(map(mirrored, MODULES)), f"tests/{suite}.py must be of a module, or be named in ACROSS"


def test_the_exceptions_are_exceptions() -> None:
    assert set(UNTESTED) <= MODULES
    assert not set(map(mirrored, UNTESTED)) & SUITES
    assert set(ACROSS) <= SUITES
    assert not set(ACROSS) & set(map(mirrored, MODULES))
