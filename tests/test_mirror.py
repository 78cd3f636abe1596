"""Tests mirror the package: the tests of geocell/a/b.py lie in tests/a/test_b.py."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

UNTESTED = {
    "_version": "one number",
    "__main__": "one call of main, run as a process by the tests of the command",
    "geo/data/make_countries": "makes the packaged outlines from a download; the outlines are tested",
    "heads/source": "the Hub behind it is that of tests/publishing/test_push.py, which loads heads by it",
    "plots/grid": "drawn by tests/plots/test_picture.py",
    "plots/history_chart": "drawn by tests/plots/test_picture.py",
    "plots/panel": "drawn by tests/plots/test_picture.py",
    "plots/paths": "in tests/plots/test_picture.py",
    "plots/rasters": "in tests/plots/test_picture.py",
    "plots/sweep_chart": "drawn by tests/sweeps/test_run.py",
    "prediction/encoding": "asked by tests/prediction/test_geolocator.py",
    "prediction/records": "in tests/prediction/test_files.py and test_page.py",
}
"""Modules without tests of their own -> why."""

ACROSS = {
    "decoders/test_contract": "what holds for every decoder",
    "encoding/test_broken_images": "a folder with images that are broken in every way",
    "encoding/test_kills": "runs that are killed at random moments",
    "heads/test_damaged_heads": "damaged and hostile folders of heads",
    "heads/test_readers": "every reader of a folder of a head under mutated files",
    "partitioners/test_contract": "what holds for every kind of partition",
    "partitioners/test_damaged_partitions": "damaged and hostile folders of partitions",
    "partitioners/test_new_kind": "a kind that somebody adds",
    "partitioners/test_recipes": "functions of the package itself, geocell/partitioners/__init__.py",
    "sweeps/test_kills": "sweeps that are killed",
    "training/test_terms": "what holds for every term of the loss",
    "views/test_mutations": "mutated tables of every kind",
}
"""Suites across the modules of a room -> what they are about."""

ROOMS_OF_THEIR_OWN = {
    "benchmarks": "the scripts in benchmarks/",
    "fuzz": "the harness in fuzz/",
    "cli": "commands are tested as they are typed, several in a row, whatever module they are in",
    "released": "artefacts of earlier versions",
}
"""Folders whose tests are of something else than one module each -> what."""


def modules(package: Path) -> set[str]:
    """Return the modules of a package as `a/b`, without the `__init__` of folders."""
    paths = (path.relative_to(package).with_suffix("") for path in package.rglob("*.py"))
    return {path.as_posix() for path in paths if path.name != "__init__" and path.parts[0] not in ROOMS_OF_THEIR_OWN}


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
