"""The second stage of a fit, on training and validation locations."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from geocell.features.locations import Locations
from geocell.heads.head import Head
from geocell.heads.trained_on import count_trained_on
from geocell.partitioners import Partition
from geocell.training.fit import fit_head
from geocell.training.training_set import join_locations
from geocell.training.validation import Validation
from tests.training.test_fit import QUICK, assert_same_weights

pytestmark = pytest.mark.usefixtures("one_thread")


class TestRefit:
    def test_it_is_a_fit_on_both_for_as_many_epochs_as_were_kept(
        self, train: Locations, val: Locations, cells: Partition, fitted: Head
    ) -> None:
        head = fit_head(train, val, cells, replace(QUICK, refit=True))
        epochs = fitted.training["best_epoch"]
        assert 1 < epochs < QUICK.epochs
        both = fit_head(join_locations(train, val), None, cells, replace(QUICK, epochs=epochs))
        assert_same_weights(head, both)
        assert list(head.history) == list(fitted.history)
        refit = {**head.training["refit"]}
        assert refit.pop("epochs") == epochs
        assert refit.pop("train_loss") == [row["train_loss"] for row in both.history]
        assert refit == {name: both.training[name] for name in refit}
        assert refit["n_train"] == 300
        assert [count_trained_on(one.trained_on, val) for one in (head, fitted)] == [60, 0]
        assert {**head.training, "refit": None} == fitted.training

    @pytest.mark.parametrize("stream", [0, 64])
    def test_it_starts_where_the_first_started(
        self, train: Locations, val: Locations, cells: Partition, fitted: Head, stream: int
    ) -> None:
        config = replace(QUICK, epochs=2, lr=1e-3, haversine=0.01, keep="last", stream=stream)
        head = fit_head(train, val, cells, replace(config, refit=True), init=fitted)
        assert head.training["refit"]["epochs"] == 2
        assert_same_weights(head, fit_head(join_locations(train, val), None, cells, config, init=fitted))

    def test_a_stage_that_only_harms_is_not_repeated(
        self, train: Locations, val: Locations, cells: Partition, fitted: Head
    ) -> None:
        harmful = replace(QUICK, epochs=3, lr=50.0, warmup_epochs=0, refit=True)
        head = fit_head(train, val, cells, harmful, init=fitted)
        assert (head.training["best_epoch"], head.training["refit"]) == (0, None)
        assert_same_weights(head, fitted)

    def test_what_the_start_has_seen_chooses_no_epoch(
        self, train: Locations, val: Locations, cells: Partition, fitted: Head
    ) -> None:
        config = replace(QUICK, epochs=2, keep="last")
        start = fit_head(train, val, cells, replace(config, refit=True))
        seen = val.take(np.arange(30))
        with pytest.raises(ValueError, match="30 of the 30 validation locations are training locations of the head"):
            fit_head(train, seen, cells, replace(config, keep="best"), init=start)
        head = fit_head(train, seen, cells, config, init=start)
        assert (head.training["n_val_trained_on"], head.training["best_epoch"]) == (30, 2)
        assert count_trained_on(head.trained_on, val) == 60
        assert fit_head(train, seen, cells, config, init=fitted).training["n_val_trained_on"] == 0

    def test_the_log_numbers_its_epochs_on(self, train: Locations, val: Locations, cells: Partition) -> None:
        rows: list[Any] = []
        head = fit_head(train, val, cells, replace(QUICK, epochs=3, keep="last", refit=True), log=rows.append)
        assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
        assert [row["train_loss"] for row in rows[3:]] == head.training["refit"]["train_loss"]
        assert all(math.isnan(row["val_balscore"]) for row in rows[3:])

    def test_without_validation_there_is_nothing_to_add(self, train: Locations, cells: Partition) -> None:
        for nothing in (None, train.take(np.empty(0, np.int64))):
            with pytest.raises(ValueError, match="refit needs validation locations to train on too, got none"):
                fit_head(train, nothing, cells, replace(QUICK, refit=True))

    @pytest.mark.parametrize("epochs_before", [0, 2])
    def test_an_interrupt_of_it_gives_the_first_fit_back(
        self,
        train: Locations,
        val: Locations,
        cells: Partition,
        epochs_before: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        config = replace(QUICK, epochs=4, keep="last")
        first = fit_head(train, val, cells, config)
        validate, calls = Validation.score, []

        def interrupted(*args: Any) -> dict[str, float]:
            calls.append(1)
            if len(calls) == 4 + epochs_before + 1:
                raise KeyboardInterrupt
            return validate(*args)

        monkeypatch.setattr(Validation, "score", interrupted)
        head = fit_head(train, val, cells, replace(config, refit=True))
        assert_same_weights(head, first)
        assert {**head.training, "interrupted": False} == first.training
        assert head.training["interrupted"] is True
