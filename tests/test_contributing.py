"""The examples of CONTRIBUTING.md are whole, short, and do what the text says."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geocell as gc
from tests.training.test_fit import QUICK, world

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
EXAMPLES = dict(re.findall(r"<!-- example: (\w+)\.py -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL))


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path of imports with every example as a module."""
    for name, text in EXAMPLES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in EXAMPLES:
        sys.modules.pop(name, None)


def attribute(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def test_there_is_one_of_each_and_each_is_short() -> None:
    assert set(EXAMPLES) == {"bands", "sure_or_mean", "entropy_term", "quarters"}
    for name, text in EXAMPLES.items():
        assert len([line for line in text.splitlines() if line.strip()]) <= 30, name


def test_a_kind_of_partition(modules: Path) -> None:
    latlon = np.random.default_rng(0).uniform((-60, -180), (70, 180), (200, 2))
    fitted = attribute("bands", "BandPartitioner")(degrees=20, min_count=5).fit(latlon)
    fitted.save(modules / "cells")
    with pytest.raises(ValueError, match="bands"):
        gc.Partition.load(modules / "cells")
    loaded = gc.Partition.load(modules / "cells", "bands:BandPartitioner")
    assert loaded.sha256 == fitted.sha256
    south = [int(fitted.names[cell]) for cell in loaded.assign(latlon)]
    merged = fitted.counts[loaded.assign(latlon)] >= 5
    assert merged.all()
    assert np.mean([s <= lat < s + 20 for s, lat in zip(south, latlon[:, 0], strict=True)]) > 0.9
    assert gc.audit(loaded, latlon).n_cells == len(fitted)


def test_a_decoder(modules: Path) -> None:
    decoder = attribute("sure_or_mean", "SureOrMean")(0.4)
    points = gc.decode(decoder, [[0.9, 0.1], [0.5, 0.5]], [[0.0, 0.0], [0.0, 90.0]])
    assert points[0] == pytest.approx([0.0, 0.0])
    assert gc.decode(attribute("sure_or_mean", "SureOrMean")(0.6), [[0.5, 0.5]], [[0.0, 0.0], [0.0, 90.0]])[
        0
    ] == pytest.approx([0.0, 45.0])


def test_a_term_of_the_loss(modules: Path) -> None:
    train, val = world(60, 1), world(30, 2)
    cells = gc.KMeansPartitioner(k=5).fit(train.latlon)
    head = gc.fit_head(train, val, cells, QUICK, terms={"entropy": (0.01, attribute("entropy_term", "entropy"))})
    assert head.training["terms"] == {"entropy": 0.01}


def test_an_encoder(modules: Path) -> None:
    encoder = attribute("quarters", "Quarters")()
    pixels = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    pixels[:, :16, 16:] = 200
    assert encoder(pixels)[0].reshape(4, 3).mean(axis=1).tolist() == [0, 200, 0, 0]
    assert gc.load_encoder("quarters:Quarters").info == encoder.info
