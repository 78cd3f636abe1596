"""What the pretraining in small prints."""

import json
import re
from pathlib import Path
from typing import Any

from geocell.quickstart.streetclip_result import HEAD, ZERO_SHOT, Chance, StreetClipResult


def row(answer: str, country: float) -> dict[str, Any]:
    return {
        "answer": answer, "n_locations": 60, "n_clusters": 58, "country_accuracy": country, "within_25": 0.1,
        "within_200": 0.3, "within_750": 0.8, "median_km": 1234.5, "balscore": 0.25,
        "intervals": {"country_accuracy": [country - 0.1, country + 0.1], "balscore": [0.2, 0.3]},
    }  # fmt: skip


def result(folder: Path, epochs: int = 3) -> StreetClipResult:
    history = tuple(
        {"epoch": n, "train_loss": 4.0 / n, "val_country": n / 100, "val_city": 0.01} for n in range(1, epochs + 1)
    )
    comparison = {"country_accuracy": (-0.02, -0.1, 0.06), "balscore": (0.03, -0.01, 0.07)}
    return StreetClipResult(
        folder, history, folder / "history.png", 1062, 230, Chance(20, 0.05, "IT", 0.15),
        (row(ZERO_SHOT, 0.45), row(HEAD, 0.43)), comparison,
    )  # fmt: skip


def test_chance_and_interval_stand_beside_the_accuracy(tmp_path: Path) -> None:
    text = result(tmp_path).text()
    assert "country of 45.0 % [35.0, 55.0] of 60 test locations: 9.0 times chance" in text
    assert "among 20 countries (5.0 %), and 3.0 times the share of the largest (IT, 15.0 %)" in text
    assert "country accuracy −2.0 points [−10.0, +6.0], balscore +3.0 points [−1.0, +7.0]" in text
    assert "over 58 places" in text
    assert "1,235" in text or "1,234" in text


def test_a_long_history_is_thinned_and_keeps_its_end(tmp_path: Path) -> None:
    text = result(tmp_path, 100).text()
    epochs = [int(number) for number in re.findall(r"^ +(\d+)  \d\.\d{3} ", text, re.MULTILINE)]
    assert epochs[0] == 1
    assert epochs[-1] == 100
    assert len(epochs) <= 10


def test_the_json_form_is_json(tmp_path: Path) -> None:
    value = json.loads(json.dumps(result(tmp_path).to_dict()))
    assert value["chance"] == {"n_countries": 20, "uniform": 0.05, "country": "IT", "largest": 0.15}
    assert [line["answer"] for line in value["scores"]] == ["zero-shot", "head"]
    assert value["head_less_zero_shot"]["balscore"] == [0.03, -0.01, 0.07]
    assert value["model"] == str(tmp_path / "model")
