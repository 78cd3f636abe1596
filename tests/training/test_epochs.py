"""Epochs of a fit: when they end, and which one is kept."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import geocell.training.blocks
import geocell.training.fit
import geocell.training.stepper
from geocell.features.locations import Locations
from geocell.heads.fit_config import FEW_VALIDATION_LOCATIONS
from geocell.heads.head import Head
from geocell.partitioners import Partition
from geocell.training.fit import fit_head
from geocell.training.stepper import Stepper
from geocell.training.validation import Validation
from tests.training.test_fit import QUICK, assert_same_weights

pytestmark = pytest.mark.usefixtures("one_thread")


class TestStopping:
    def test_patience(
        self, train: Locations, val: Locations, cells: Partition, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scores = iter([0.1, 0.3, 0.2, 0.3, 0.25, 0.9])
        monkeypatch.setattr(
            Validation,
            "score",
            lambda *_: {"val_balscore": next(scores), "val_median_km": 1.0, "val_mean_km": 1.0},
        )
        head = fit_head(train, val, cells, replace(QUICK, patience=3))
        assert (head.training["best_epoch"], head.training["epochs_run"]) == (2, 5)

    def test_equal_balscores_are_told_apart_by_the_mean_distance(
        self, train: Locations, val: Locations, cells: Partition, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        km = iter([900.0, 800.0, 850.0])
        monkeypatch.setattr(
            Validation, "score", lambda *_: {"val_balscore": 0.0, "val_median_km": 1.0, "val_mean_km": next(km)}
        )
        assert fit_head(train, val, cells, replace(QUICK, epochs=3)).training["best_epoch"] == 2

    @pytest.mark.parametrize("empty", [True, False])
    def test_without_validation_the_last_epoch_stays(self, train: Locations, cells: Partition, empty: bool) -> None:
        val = train.take(np.empty(0, np.int64)) if empty else None
        head = fit_head(train, val, cells, replace(QUICK, epochs=4, patience=1))
        assert (head.training["best_epoch"], head.training["epochs_run"]) == (4, 4)
        assert (head.training["n_val"], head.training["val"]) == (0, {})

    @pytest.mark.parametrize(
        ("keep", "n_val", "few_train", "kept"),
        [
            ("auto", 1, 241, 4),
            ("auto", 59, 241, 4),
            ("auto", 60, 241, 1),
            ("auto", 9, 240, 4),
            ("auto", 10, 240, 1),
            ("last", 60, 1, 4),
            ("best", 1, 241, 1),
        ],
    )
    def test_which_epoch_is_kept(
        self,
        train: Locations,
        val: Locations,
        cells: Partition,
        keep: Any,
        n_val: int,
        few_train: int,
        kept: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A best first epoch: a fit that keeps the last one trains to the end, whatever the patience."""
        monkeypatch.setattr(geocell.training.fit, "FEW_VALIDATION_LOCATIONS", 60)
        monkeypatch.setattr(geocell.training.fit, "VERY_FEW_VALIDATION_LOCATIONS", 10)
        monkeypatch.setattr(geocell.training.fit, "FEW_TRAINING_LOCATIONS", few_train)
        falling = iter([0.9, 0.5, 0.4, 0.3])
        monkeypatch.setattr(
            Validation, "score", lambda *_: {"val_balscore": next(falling), "val_median_km": 1.0, "val_mean_km": 1.0}
        )
        config = replace(QUICK, epochs=4, keep=keep, patience=2)
        head = fit_head(train, val.take(np.arange(n_val)), cells, config)
        assert (head.training["best_epoch"], head.training["epochs_run"]) == (kept, 4 if kept == 4 else 3)
        assert head.training["val"]["balscore"] == {1: 0.9, 4: 0.3}[kept]

    def test_the_last_epoch_is_the_one_of_a_fit_without_validation(
        self, train: Locations, val: Locations, cells: Partition
    ) -> None:
        config = replace(QUICK, epochs=5, keep="auto")
        assert len(val) < FEW_VALIDATION_LOCATIONS
        assert_same_weights(fit_head(train, val, cells, config), fit_head(train, None, cells, config))

    def test_one_validation_location_is_enough(self, train: Locations, val: Locations, cells: Partition) -> None:
        head = fit_head(train, val.take(np.array([0])), cells, replace(QUICK, epochs=2))
        assert head.training["n_val"] == 1

    def test_an_interrupt_keeps_the_best_epoch(
        self, train: Locations, val: Locations, cells: Partition, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = fit_head(train, val, cells, replace(QUICK, epochs=12))
        calls, validate = [], Validation.score

        def interrupted(*args: Any) -> dict[str, float]:
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return validate(*args)

        monkeypatch.setattr(Validation, "score", interrupted)
        before = torch.get_rng_state()
        head = fit_head(train, val, cells, replace(QUICK, epochs=12))
        assert torch.equal(before, torch.get_rng_state())
        assert head.training["interrupted"] is True
        assert head.training["epochs_run"] == 3
        assert list(head.history) == list(whole.history[:3])

    def test_an_interrupt_before_the_first_epoch_is_an_interrupt(
        self, train: Locations, val: Locations, cells: Partition, fitted: Head, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_: Any) -> float:
            raise KeyboardInterrupt

        monkeypatch.setattr(Stepper, "__call__", interrupt)
        for init in (None, fitted):
            with pytest.raises(KeyboardInterrupt):
                fit_head(train, val, cells, QUICK, init=init)
