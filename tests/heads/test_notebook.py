"""What a notebook shows of a head."""

from dataclasses import replace

from geocell.heads.calibration import Calibration
from geocell.heads.fit_config import FitConfig
from geocell.heads.notebook import calibration_text, head_display, settings_text
from tests.heads.test_head import make_head


def test_a_head_shows_cells_fit_and_calibration() -> None:
    training = {
        "n_train": 1200,
        "n_val": 30,
        "refit": {"n_train": 1230, "epochs": 4},
        "val": {"balscore": 0.25, "top1": None},
    }
    head = replace(make_head(), training=training)
    shown = head_display(head.parts)
    facts = dict(shown.facts)
    assert facts["cells"].startswith("6, kmeans, sha256 ")
    assert facts["fitted on"] == "1,200 training and 30 validation locations, then 1,230 of both"
    assert facts["calibration"] == "none"
    assert facts["neighbours"] == facts["also has"] == ""
    assert list(shown.tables[0].rows) == [("balscore", "25.0 %")]
    assert head._repr_html_() == shown.html()
    assert "<svg" in shown.html()
    assert dict(head_display(make_head().parts).facts)["fitted on"] == "unknown"


def test_settings_and_calibration_in_a_line() -> None:
    assert settings_text(FitConfig()) == "defaults"
    assert settings_text(FitConfig(epochs=7, refit=True)) == "epochs 7, refit True"
    shares = dict.fromkeys((25, 200, 750), 0.5)
    assert calibration_text(Calibration(1.25, shares, "mean", {50: 1.0, 90: 2.0})) == "temperature 1.25, decoder mean"
