"""The fits of growth, the rows that are kept, and the memory of a process."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scale import MEASURED, SIZES, STAGES, growth, growths, measured, read_rows, write_rows


@given(start=st.floats(0.2, 9), per_million=st.floats(0.5, 90), base=st.floats(100, 900), memory=st.floats(1, 900))
def test_a_line_has_the_exponent_one(start: float, per_million: float, base: float, memory: float) -> None:
    seconds = [start + per_million * n / 1e6 for n in SIZES]
    found = growth(SIZES, seconds, [base + memory * n / 1e6 for n in SIZES])
    assert found.exponent == pytest.approx(1.0, abs=1e-6)
    assert found.start_s == pytest.approx(start)
    assert found.seconds(100_000_000) == pytest.approx(start + 100 * per_million, rel=1e-4)
    assert found.megabytes(100_000_000) == pytest.approx(base + 100 * memory)


def test_a_parabola_has_the_exponent_two() -> None:
    seconds = [3 + 4e-12 * n**2 for n in SIZES]
    found = growth(SIZES, seconds, [100.0] * 4)
    assert found.exponent == pytest.approx(2.0, abs=0.01)
    assert found.megabytes(100_000_000) == 100.0


def test_one_size_has_no_exponent() -> None:
    found = growths([{"stage": "split", "locations": "10", "cpu_s": "2", "peak_mb": "3"}])["split"]
    assert (found.exponent, found.largest_s, found.mb_per_million) == (None, 2.0, None)


def test_every_stage_comes_after_what_it_needs() -> None:
    names = list(STAGES)
    for name, stage in STAGES.items():
        assert all(names.index(needed) < names.index(name) and STAGES[needed].out for needed in stage.needs)
        assert all("{" not in word for word in stage.command(Path("f"), 1000))
    assert set(MEASURED) == set(names) - {"data"}


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "scale.csv"
    assert read_rows(path) == {}
    rows = {
        (name, n, dim): {"stage": name, "locations": str(n), "dim": str(dim), "cpu_s": "1", "peak_mb": "2"}
        for name, n, dim in [("decode", 10, 64), ("import", 20, 64), ("import", 10, 64), ("import", 5, 1)]
    }
    write_rows(path, rows)
    assert list(read_rows(path)) == [("import", 10, 64), ("import", 20, 64), ("decode", 10, 64), ("import", 5, 1)]
    assert read_rows(path) == rows


def test_seconds_and_memory_are_those_of_the_process(tmp_path: Path) -> None:
    seconds, small = measured(["this"], tmp_path / "log")
    assert seconds > 0
    assert small < 300
    (tmp_path / "big.py").write_text("x = bytearray(400_000_000)\nx[::4096] = b'1' * len(x[::4096])\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert measured(["big"], tmp_path / "log")[1] > 400
    with pytest.raises(RuntimeError, match="No module named no_such_module"):
        measured(["no_such_module"], tmp_path / "log")
