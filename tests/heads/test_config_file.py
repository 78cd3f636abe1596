"""`config.json` and `history.csv` of a head."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.files import DamagedFileError
from geocell.heads.config_file import CONFIG_FILE, HISTORY_FILE, config_json, history_csv, read_config, read_history
from geocell.heads.fit_config import FitConfig
from geocell.partitioners import KMeansPartitioner
from tests.worlds import INFO

PARTITION = KMeansPartitioner(k=2).fit([[50.0, 0.0], [50.0, 10.0]])
ORIGIN = {"source": "a/b", "checkpoint": "x.pt", "revision": "1", "sha256": "2", "license": "mit", "published": {}}


def written(folder: Path, training: dict[str, Any], **changes: Any) -> Path:
    value = config_json(INFO, PARTITION, FitConfig(fusion="logit"), training) | changes
    (folder / CONFIG_FILE).write_text(json.dumps({key: item for key, item in value.items() if item != "gone"}))
    return folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    value = read_config(written(tmp_path, {"n_train": 3}))
    assert value == config_json(INFO, PARTITION, FitConfig(fusion="logit"), {"n_train": 3})
    assert value["fit"] == FitConfig(fusion="logit").to_dict()
    assert (value["dim"], value["n_cells"], value["partition_sha256"]) == (INFO.dim, 2, PARTITION.sha256)


def test_of_an_imported_head_the_fusion_alone_is_known(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, {"origin": ORIGIN}))["fit"] == {"fusion": "logit"}


@pytest.mark.parametrize(
    ("training", "changes", "message"),
    [
        ({}, {"dim": "gone"}, "must have the keys dim, encoder"),
        ({}, {"more": 1}, "must have the keys .*, got .*more"),
        ({}, {"dim": "32"}, "'dim'"),
        ({}, {"fit": []}, "'fit'"),
        ({}, {"format": 99}, "format 99"),
        ({"n_train": "3"}, {}, "'n_train'"),
        ({"best_epoch": 3}, {}, "epochs_run"),
        ({"origin": {**ORIGIN, "license": 3}}, {}, "'license'"),
        ({"origin": {**ORIGIN, "published": {"balscore": "high"}}}, {}, "'balscore'"),
        ({"origin": {**ORIGIN, "published": {"within": {"25": None}}}}, {}, "'25'"),
    ],
)
def test_other_content_is_damage(
    training: dict[str, Any], changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        read_config(written(tmp_path, training, **changes))


@given(st.lists(st.tuples(st.integers(0, 99), st.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_a_history_is_exact(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float]]) -> None:
    folder = tmp_path_factory.mktemp("history")
    history = tuple({"epoch": epoch, "loss": loss} for epoch, loss in rows)
    (folder / HISTORY_FILE).write_text(history_csv(history))
    assert read_history(folder) == history


def test_there_may_be_no_history(tmp_path: Path) -> None:
    assert read_history(tmp_path) == ()


@pytest.mark.parametrize("text", ["", "epoch\n", "epoch,loss\n1\n", "epoch\nx\n", "epoch\ntrue\n", 'epoch\n"1"\n'])
def test_a_damaged_history_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / HISTORY_FILE).write_text(text)
    with pytest.raises(DamagedFileError, match=r"history\.csv"):
        read_history(tmp_path)
