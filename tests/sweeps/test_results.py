"""What a sweep reached: the tables as files, and reading the heads of finished fits, damaged ones too."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocell.files import DamagedFileError
from geocell.metrics.scores import SCORE_LABELS
from geocell.sweeps.plan import Row
from geocell.sweeps.results import SweepResult, read_fit, results_csv
from tests.damage import damaged_json
from tests.sweeps.sweep_worlds import run


def test_the_columns_are_those_of_scores(done: SweepResult) -> None:
    (header, *_) = csv.reader(io.StringIO((done.out / "results.csv").read_text()))
    assert [name for name in header if name in SCORE_LABELS] == list(SCORE_LABELS)
    (header, *_) = csv.reader(io.StringIO((done.out / "summary.csv").read_text()))
    for name in SCORE_LABELS:
        assert {name, f"{name}_seeds_low", f"{name}_seeds_high"} <= set(header)


def test_numbers_have_six_digits_and_nothing_is_an_empty_field() -> None:
    values = [0.123456789, 1234567.0, 3.0, -0.5, 1e-7, None, float("nan"), 7, "name", "=1+1"]
    text = results_csv([{str(i): value for i, value in enumerate(values)}])
    assert text.splitlines()[1].split(",") == [
        "0.123457",
        "1234570",
        "3",
        "-0.5",
        "1e-07",
        "",
        "",
        "7",
        "name",
        "'=1+1",
    ]


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("name", ["config.json", "scores.json"])
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_head_is_one_error(done: SweepResult, name: str, data: st.DataObject) -> None:
    path = done.out / "heads" / "coarse-ce-seed0" / name
    with changed(path, data.draw(damaged_json(json.loads(path.read_text())))):
        try:
            values = read_fit(path.parent)
        except ValueError as error:
            assert str(path) in str(error)
        else:
            fits = [fit for fit in done.fits if fit.name == "coarse-ce-seed0"]
            result = SweepResult(done.out, fits, {fits[0].name: values}, {})
            assert results_csv(result.results()).count("\n") == 2
            assert results_csv(result.summary()).count("\n") == 2
            assert "coarse-ce" in result.text()


def test_a_fit_says_which_part_is_missing(done: SweepResult, tmp_path: Path) -> None:
    folder = shutil.copytree(done.out / "heads" / "coarse-ce-seed0", tmp_path / "head")
    scores = json.loads((folder / "scores.json").read_text())
    del scores["within"]["25"]
    (folder / "scores.json").write_text(json.dumps(scores))
    with pytest.raises(DamagedFileError, match=r"scores\.json must have the scores .*, and lacks within_25"):
        read_fit(folder)
    (folder / "scores.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs the file scores\.json"):
        read_fit(folder)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_manifest_is_one_error(world: Path, done: SweepResult, data: st.DataObject) -> None:
    path = done.out / "sweep.json"
    written = json.loads(path.read_text())
    content = data.draw(damaged_json(written))
    with changed(path, content):
        try:
            result = run(world, done.out)
        except ValueError as error:
            assert str(done.out) in str(error)
        else:
            assert {key: json.loads(content)[key] for key in written} == written
            assert result.finished == done.finished


def test_names_of_rows_are_no_formulas(done: SweepResult) -> None:
    fits = [replace(fit, row=replace(fit.row, name="=cmd()")) for fit in done.fits[:1]]
    assert isinstance(fits[0].row, Row)
    result = SweepResult(done.out, fits, {fits[0].name: done.finished[done.fits[0].name]}, {})
    assert results_csv(result.results()).splitlines()[1].startswith("'=cmd(),coarse,")
