import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geocell.cli.caches import emit_cache
from geocell.encoding import encode
from geocell.views import read_views
from tests.encoding.tiny import BROKEN, ODD, TinyEncoder, Trapped, noise


def make_folder(folder: Path, n: int, n_broken: int) -> dict[str, str]:
    """Fill an imagefolder; return name of each broken image -> what its status must say."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    broken = set(rng.choice(n, n_broken, replace=False).tolist())
    expected: dict[str, str] = {}
    names = []
    reasons = [key for key in BROKEN if "longer" not in key]
    reasons += ["took longer than", "took longer than ", *reasons * 3]
    for row in range(n):
        name = f"{row:03d}.jpg"
        if row in broken:
            reason = reasons[len(expected)]
            BROKEN[reason](folder / name)
            expected[name] = reason
        elif row % 20 == 0:
            ODD[row // 20 % len(ODD)](folder / name)
        else:
            noise(seed=row).save(folder / name)
        names.append(name)
    pd.DataFrame({"file_name": names, "latitude": np.linspace(-60, 60, n), "longitude": 10.0}).to_csv(
        folder / "metadata.csv", index=False
    )
    return expected


def test_a_folder_of_160_with_40_broken_in_every_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = make_folder(tmp_path / "in", 160, 40)
    assert len(expected) == 40
    assert set(expected.values()) == set(BROKEN)
    encoder = TinyEncoder(Trapped())
    cache = encode(tmp_path / "in", encoder, tmp_path / "c", workers=2, shard_rows=64, image_timeout=6.0)
    status = dict(zip(cache.views["image"], cache.views["status"], strict=True))
    wrong = {
        name: (reason, status[name]) for name, reason in expected.items() if not re.search(reason.strip(), status[name])
    }
    assert wrong == {}
    assert {name for name, text in status.items() if text != "ok"} == set(expected)
    assert np.isnan(cache.features[~cache.good]).all()
    emit_cache(cache, as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["views"], report["good"], report["bad"]) == (160, 120, 40)
    assert sum(report["problems"].values()) == 40
    with pytest.raises(ValueError, match="got 40 of 160 without, the first in row"):
        encode(tmp_path / "in", encoder, tmp_path / "c", strict=True)


def test_an_image_that_hangs_a_thread_is_a_row_too(tmp_path: Path) -> None:
    make_folder(tmp_path / "in", 6, 0)
    (tmp_path / "in" / "003.jpg").unlink()
    BROKEN["took longer than "](tmp_path / "in" / "003.jpg")
    cache = encode(read_views(tmp_path / "in"), TinyEncoder(Trapped()), tmp_path / "c", workers=0, image_timeout=3.0)
    assert cache.views["status"].tolist() == ["ok"] * 3 + ["took longer than 3 s"] + ["ok"] * 2
