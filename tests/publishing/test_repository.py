"""What is sent of an encoder, and whose scores are."""

from dataclasses import replace
from pathlib import Path

import pytest

from geocell.encoders.info import NOT_PINNED, UNKNOWN
from geocell.heads.card_metadata import CardSettings
from geocell.publishing.repository import (
    _belongs,
    public_encoder,
    read_own_scores,
    require_benchmark,
    require_known_encoder,
)
from tests.zeroshot.worlds import INFO, made


@pytest.mark.parametrize(
    ("revision", "source", "sent"),
    [
        ("c0ffee", "user/clip", "user/clip"),
        ("c0ffee", "/home/ann/clip", ""),
        ("sha256:12", "clip", ""),
        ("c0ffee + sha256:12", "user/clip + tower", "user/clip + "),
        ("c0ffee + 1", "user/clip", "user/clip"),
    ],
)
def test_paths_of_encoders_stay_here(revision: str, source: str, sent: str) -> None:
    value = replace(INFO, revision=revision, source=source).to_dict()
    assert public_encoder(value) == {**value, "source": sent}


def test_encoders_that_nobody_can_load() -> None:
    require_known_encoder(INFO)
    with pytest.raises(ValueError, match="is not pinned to a commit: use the head once"):
        require_known_encoder(replace(INFO, revision=NOT_PINNED))
    with pytest.raises(ValueError, match="whose revision and pooling are not known"):
        require_known_encoder(replace(INFO, revision=UNKNOWN, pooling=UNKNOWN))


def test_no_scores(tmp_path: Path) -> None:
    assert read_own_scores(tmp_path, made()) is None
    require_benchmark(CardSettings(), None, tmp_path)
    with pytest.raises(ValueError, match="score the head first"):
        require_benchmark(CardSettings(benchmark="me/bench"), None, tmp_path)


@pytest.mark.parametrize("is_model", [False, True])
@pytest.mark.parametrize(
    "file", ["scores-old/x.json", "scores-a/scores-b.json", "tokenizer_training/corpus.txt", "model-zoo/b.safetensors"]
)
def test_folders_of_a_person_are_left_alone(file: str, is_model: bool) -> None:
    assert not _belongs(file, is_model)


def test_files_of_the_same_kind_are_replaced() -> None:
    assert _belongs("scores-val.json", False)
    assert _belongs("0/config.json", False)
    assert _belongs("model-00001-of-00002.safetensors", True)
    assert not _belongs("0/config.json", True)
