"""Distances that benchmarks keep: whole km, within every radius as before, and alike when read again."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import kept as module
from benchmarks.kept import KEPT, Answers, keep, kept


def test_what_is_kept_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", tmp_path / "kept")
    rng = np.random.default_rng(0)
    drawn = np.minimum(np.exp(rng.normal(5, 2, (2, 3, 38))), 20_015.1)
    km = {name: np.concatenate((own, [[25.0, 25.01]] * 3), axis=1) for name, own in zip("ab", drawn, strict=True)}
    keep("x", {True: Answers(km, {"b": "b (5)"}), False: Answers({"a": km["a"]})})
    found = kept("x")
    assert list(found) == [False, True]
    assert list(found[True].distances) == ["a", "b"]
    assert found[True].chosen == {"b": "b (5)"}
    assert found[True].repeats == 3
    for name, own in km.items():
        assert np.array_equal(found[True].distances[name], np.ceil(own))
        for radius in (1, 25, 200, 750, 2500):
            assert np.array_equal(found[True].distances[name] <= radius, own <= radius)
    assert list(found[False].distances) == ["a"]


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", tmp_path)
    with pytest.raises(SystemExit, match="without --again"):
        kept("x")


def test_all_that_is_kept_is_small() -> None:
    assert sum(path.stat().st_size for path in KEPT.glob("*.npz")) < 1_000_000
