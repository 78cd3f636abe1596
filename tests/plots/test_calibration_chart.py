"""The picture of a calibration."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geocell.plots.calibration_chart import draw_calibration

pytest.importorskip("matplotlib")


def record(**more: Any) -> dict[str, Any]:
    mean = np.linspace(0.05, 0.95, 15)
    coverage = np.linspace(0.01, 1, 100)
    return {
        "before": {"ece": 0.12, "reliability": np.stack([mean, mean**2, np.full(15, 1 / 15)], axis=1).tolist()},
        "after": {"ece": 0.03, "reliability": np.stack([mean, mean, np.full(15, 1 / 15)], axis=1).tolist()},
        "risk": {"aurc": 0.3, "augrc": 0.2, "curve": np.stack([coverage, 0.1 + 0.5 * coverage], axis=1).tolist()},
        **more,
    }


def test_the_same_bytes_each_time_and_others_with_a_threshold(tmp_path: Path) -> None:
    first, again = (draw_calibration(tmp_path / name, record()).read_bytes() for name in ("a.png", "b.png"))
    assert first == again
    kept = {"below": 0.4, "coverage": 0.5, "error": 0.2}
    assert draw_calibration(tmp_path / "c.png", record(abstention=kept)).read_bytes() != first
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    for colour in ((0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)):  # before, after
        assert (np.abs(pixels.astype(int) - colour).max(axis=-1) < 12).sum() > 200
    assert "before: ECE 12.0 %" in draw_calibration(tmp_path / "a.svg", record()).read_text()
    risk = {**record()["risk"], "aurc_interval": [0.25, 0.36], "augrc_interval": [0.1, 0.3]}
    assert "AURC 30.0 % [25.0, 36.0]" in draw_calibration(tmp_path / "b.svg", record(risk=risk)).read_text()


def test_markers_at_the_ends_are_whole(tmp_path: Path) -> None:
    kept = {"below": 0.4, "coverage": 1.0, "error": 0.0}
    drawn = draw_calibration(tmp_path / "a.svg", record(abstention=kept)).read_text()
    assert "<use" in drawn
    assert not re.search(r'<g clip-path="[^"]*">\s*<use', drawn)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        draw_calibration(tmp_path / "a.pdf", record())
    with pytest.raises(ValueError, match="at too few places to be halved"):
        draw_calibration(tmp_path / "a.png", {"split": "val"})
    assert not list(tmp_path.iterdir())
