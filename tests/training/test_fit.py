"""Fitting: it learns, selects, stops, starts warm, repeats to the byte, and refuses what does not belong together."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geocell.training.blocks
import geocell.training.fit
import geocell.training.stepper
from geocell.evaluation.score import score
from geocell.features.locations import Locations
from geocell.geo.geodesy import unit_vectors
from geocell.heads.fit_config import FEW_VALIDATION_LOCATIONS, FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.heads.trained_on import count_trained_on
from geocell.partitioners import H3Partitioner, KMeansPartitioner, Partition
from geocell.partitioners.class_weights import class_weights
from geocell.publishing.checkpoints import import_head, published_files
from geocell.training.fit import fit_head
from geocell.training.losses import LossTerms, fit_loss
from geocell.training.stepper import Stepper
from geocell.training.training_set import join_locations
from geocell.training.validation import Validation
from tests.outside import nothing_east_of
from tests.worlds import make_locations

QUICK = FitConfig(epochs=12, batch_size=32, lr=0.02, keep="best", device="cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


def world(n: int, seed: int, noise: float = 0.3) -> Locations:
    """Ragged views whose features are a noisy random function of the place."""
    rng = np.random.default_rng(seed)
    latlon = np.stack((rng.uniform(40, 60, n), rng.uniform(0, 30, n)), axis=1)
    views = rng.integers(1, 5, n)
    project = np.random.default_rng(99).normal(size=(3, 24))
    clean = np.sin(6 * unit_vectors(latlon) @ project)
    features = np.repeat(clean, views, axis=0) + noise * rng.normal(size=(views.sum(), 24))
    return make_locations(latlon, features.astype(np.float32), views)


@pytest.fixture(scope="module")
def train() -> Locations:
    return world(240, 0)


@pytest.fixture(scope="module")
def val() -> Locations:
    return world(60, 1)


@pytest.fixture(scope="module")
def cells(train: Locations) -> Partition:
    return KMeansPartitioner(k=12, seed=0).fit(train.latlon)


@pytest.fixture(scope="module")
def fitted(train: Locations, val: Locations, cells: Partition) -> Head:
    return fit_head(train, val, cells, QUICK)


def weights_of(head: Head) -> dict[str, torch.Tensor]:
    return head.module.state_dict()


def assert_same_weights(a: Head, b: Head) -> None:
    for name, value in weights_of(a).items():
        assert torch.equal(value, weights_of(b)[name]), name


class TestLearning:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"fusion": "logit"},
            {"haversine": 0.01},
            {"decode": "mean"},
            {"expected_distance": 0.005},
            {"smoothing_km": 100.0},
            {"precision": "bfloat16"},
        ],
    )
    def test_it_learns(self, train: Locations, val: Locations, cells: Partition, options: dict[str, Any]) -> None:
        head = fit_head(train, val, cells, replace(QUICK, **options))
        scores = score(head, world(100, 2), head.config.decode)
        blind = np.bincount(cells.assign(world(100, 2).latlon)).max() / 100
        assert scores.top1 is not None
        assert scores.top1 > 3 * blind

    def test_history_and_training_tell_how_it_went(self, fitted: Head) -> None:
        epochs = [row["epoch"] for row in fitted.history]
        assert epochs == list(range(1, len(epochs) + 1))
        assert fitted.history[-1]["train_loss"] < fitted.history[0]["train_loss"] / 1.5
        training = fitted.training
        assert (training["n_train"], training["n_train_outside"], training["n_val"]) == (240, 0, 60)
        assert (training["epochs_run"], training["init"], training["interrupted"]) == (epochs[-1], None, False)
        best = max(fitted.history, key=lambda row: (row["val_balscore"], -row["val_mean_km"]))
        assert training["best_epoch"] == best["epoch"]
        low, high = training["class_weight_range"]
        assert 0 < low < 1 < high <= QUICK.weight_cap

    def test_the_log_is_told_every_epoch(self, train: Locations, val: Locations, cells: Partition) -> None:
        rows: list[Any] = []
        head = fit_head(train, val, cells, replace(QUICK, epochs=3), log=rows.append)
        assert rows == list(head.history)

    def test_the_best_epoch_is_what_comes_back(self, fitted: Head, val: Locations) -> None:
        again = score(fitted, val)
        assert fitted.training["val"] == pytest.approx(
            {"balscore": again.balscore, "median_km": again.median_km, "mean_km": again.mean_km}, rel=1e-4
        )

    def test_the_first_step_follows_the_gradient_of_the_loss(self, train: Locations, cells: Partition) -> None:
        """One step of Adam moves every weight by lr against the sign of its gradient."""
        config = replace(QUICK, epochs=1, batch_size=10**6, dropout=0.0, weight_decay=0.0, warmup_epochs=0, lr=0.01)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(geocell.training.blocks, "MIN_STEPS", 1)
            head = fit_head(train, None, cells, config)
        target = cells.assign(train.latlon)
        counts = np.bincount(target, minlength=12)
        bias = torch.zeros(12, requires_grad=True)
        fit_loss(
            bias.expand(len(train), 12),
            torch.from_numpy(target),
            torch.from_numpy(unit_vectors(train.latlon)).float(),
            LossTerms(
                torch.from_numpy(unit_vectors(cells.centroids)).float(),
                torch.from_numpy(class_weights(counts, 1.0, config.weight_cap)),
                {},
                label_smoothing=0.1,
            ),
        ).backward()
        assert bias.grad is not None
        moved = weights_of(head)["head.2.bias"]
        strong = bias.grad.abs() > 1e-4
        assert strong.any()
        assert moved[strong] == pytest.approx(-0.01 * bias.grad.sign()[strong], rel=1e-3)


class TestRepeating:
    @pytest.mark.parametrize("fusion", ["feature", "logit"])
    def test_same_seed_same_bytes(
        self, train: Locations, val: Locations, cells: Partition, fusion: Any, tmp_path: Path
    ) -> None:
        config = replace(QUICK, epochs=3, fusion=fusion, haversine=0.01)
        for name in "ab":
            torch.rand(7)  # the global state is another one, and must not matter
            fit_head(train, val, cells, config).save(tmp_path / name)
        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name

    def test_another_seed_is_another_head(self, train: Locations, val: Locations, cells: Partition) -> None:
        heads = [fit_head(train, val, cells, replace(QUICK, epochs=1, seed=seed)) for seed in (0, 1)]
        assert not torch.equal(weights_of(heads[0])["head.2.weight"], weights_of(heads[1])["head.2.weight"])

    def test_the_global_random_state_is_untouched(self, train: Locations, val: Locations, cells: Partition) -> None:
        before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        fit_head(train, val, cells, replace(QUICK, epochs=1))
        assert torch.equal(before, torch.get_rng_state())
        assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


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
        [("auto", 1, 241, 4), ("auto", 60, 241, 1), ("auto", 1, 240, 1), ("last", 60, 1, 4), ("best", 1, 241, 1)],
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


class TestWarmStart:
    def test_the_second_stage_starts_from_the_first(
        self, train: Locations, val: Locations, cells: Partition, fitted: Head
    ) -> None:
        head = fit_head(train, val, cells, replace(QUICK, epochs=2, lr=1e-4, haversine=0.01), init=fitted)
        assert head.history[0]["epoch"] == 0
        assert head.history[0]["val_balscore"] == pytest.approx(fitted.training["val"]["balscore"])
        assert head.training["init"]["training"] == fitted.training
        assert head.training["init"]["fit"] == QUICK.to_dict()
        assert head.training["val"]["balscore"] >= fitted.training["val"]["balscore"] - 1e-9

    def test_a_stage_that_only_harms_gives_the_start_back(
        self, train: Locations, val: Locations, cells: Partition, fitted: Head
    ) -> None:
        harmful = replace(QUICK, epochs=3, lr=50.0, warmup_epochs=0)
        head = fit_head(train, val, cells, harmful, init=fitted)
        assert head.training["best_epoch"] == 0
        assert_same_weights(head, fitted)

    def test_a_norm_that_is_not_ones_and_zeros_is_folded(
        self, train: Locations, val: Locations, cells: Partition, fitted: Head
    ) -> None:
        """Published checkpoints come with a fitted norm: the first epoch goes on from the same function."""
        module = GeoHead(train.dim, len(cells))
        generator = torch.Generator().manual_seed(0)
        module.load_state_dict(
            {name: torch.randn(v.shape, generator=generator) for name, v in weights_of(fitted).items()}
        )
        published = replace(fitted, module=module)
        still = replace(QUICK, epochs=1, lr=1e-12, dropout=0.0, patience=9, precision="float32")
        head = fit_head(train, val, cells, still, init=published)
        assert head.training["best_epoch"] == 0
        assert_same_weights(head, published)
        kept = fit_head(train, None, cells, still, init=published)
        assert torch.equal(weights_of(kept)["head.0.weight"], torch.ones(train.dim))
        assert kept.posterior(val) == pytest.approx(published.posterior(val), abs=1e-5)

    def test_a_published_checkpoint_is_a_start(
        self, train: Locations, val: Locations, cells: Partition, fitted: Head, tmp_path: Path
    ) -> None:
        """It comes with centroids alone, which must be those of the cells, in their order."""
        cells.save(tmp_path / "cells")
        torch.save({"model": weights_of(fitted), "epoch": 3}, tmp_path / "best.pt")
        info = tmp_path / "cells" / "geocell_info.json"
        start = import_head(published_files(tmp_path / "best.pt", info), train.encoder)
        assert not start.partition.can_assign
        head = fit_head(train, val, cells, replace(QUICK, epochs=1, lr=1e-12, haversine=0.01), init=start)
        assert head.history[0]["val_balscore"] == pytest.approx(fitted.training["val"]["balscore"])
        assert_same_weights(head, fitted)
        assert head.partition.sha256 == cells.sha256
        turned = KMeansPartitioner(k=12, seed=1).fit(train.latlon)
        with pytest.raises(ValueError, match="a warm start needs the same cells in both heads"):
            fit_head(train, val, turned, QUICK, init=start)

    def test_attention_starts_from_a_head_without(
        self, train: Locations, val: Locations, cells: Partition, fitted: Head
    ) -> None:
        config = replace(QUICK, epochs=1, fusion="attention", lr=1e-4)
        head = fit_head(train, val, cells, config, init=fitted)
        assert head.module.attention is not None
        with pytest.raises(ValueError, match="from a head with fusion attention needs fusion attention, got 'logit'"):
            fit_head(train, val, cells, replace(config, fusion="logit"), init=head)

    def test_it_leaves_the_start_alone(self, train: Locations, val: Locations, cells: Partition, fitted: Head) -> None:
        before = {name: value.clone() for name, value in weights_of(fitted).items()}
        fit_head(train, val, cells, replace(QUICK, epochs=1), init=fitted)
        assert all(torch.equal(before[name], value) for name, value in weights_of(fitted).items())

    def test_it_refuses_other_cells_and_other_features(self, train: Locations, val: Locations, fitted: Head) -> None:
        other = KMeansPartitioner(k=12, seed=0).fit(val.latlon)
        with pytest.raises(ValueError, match=r"a warm start needs the same cells in both heads: .*Partition kmeans"):
            fit_head(train, val, other, QUICK, init=fitted)
        stranger = replace(train, encoder=replace(train.encoder, name="another"))
        with pytest.raises(ValueError, match=r"the head to start from and the training locations must share one"):
            fit_head(stranger, None, fitted.partition, QUICK, init=fitted)


class TestBadInput:
    @pytest.mark.parametrize(("what", "value", "slope"), [("loss", math.nan, 1.0), ("gradient", 1.0, math.nan)])
    def test_what_is_not_finite_never_reaches_the_weights(
        self,
        train: Locations,
        val: Locations,
        cells: Partition,
        what: str,
        value: float,
        slope: float,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        steps = []
        step = torch.optim.AdamW.step
        monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: (steps.append(1), step(self))[1])
        losses = iter([1.0, 1.0, value])
        monkeypatch.setattr(
            geocell.training.stepper.LossGradient,
            "__call__",
            lambda _self, products, bias, *_, **__: (
                torch.tensor(next(losses)),
                torch.full_like(products, slope if len(steps) == 2 else 1.0),
                torch.ones_like(bias),
            ),
        )
        with pytest.raises(ValueError, match=rf"the {what} must be finite, got nan in epoch 1, batch 3: lower lr"):
            fit_head(train, val, cells, QUICK)
        assert len(steps) == 2

    def test_broken_features_name_their_location(self, train: Locations, val: Locations, cells: Partition) -> None:
        features = train.features.copy()
        features[train.offsets[5]] = np.inf
        with pytest.raises(ValueError, match=r"must be finite numbers, got NaN or infinity at location 'loc5'"):
            fit_head(replace(train, features=features), val, cells, QUICK)

    def test_a_location_in_both_parts_is_refused(self, train: Locations, val: Locations, cells: Partition) -> None:
        with pytest.raises(ValueError, match=r"have none in common, and 3 are in both, 'loc0' among them"):
            fit_head(train, train.take(np.array([0, 5, 7])), cells, QUICK)
        assert set(train.ids) & set(val.ids)  # equal names of other places are no overlap
        fit_head(train, val, cells, replace(QUICK, epochs=1))

    def test_no_training_location(self, train: Locations, val: Locations, cells: Partition) -> None:
        with pytest.raises(ValueError, match="a fit needs training locations, got none"):
            fit_head(train.take(np.empty(0, np.int64)), val, cells, QUICK)

    def test_validation_features_of_another_encoder(self, train: Locations, val: Locations, cells: Partition) -> None:
        other = replace(val, encoder=replace(val.encoder, image_size=224))
        with pytest.raises(ValueError, match=r"the training locations and the validation locations must share one"):
            fit_head(train, other, cells, QUICK)

    def test_a_partition_that_only_decodes(self, train: Locations, val: Locations, cells: Partition) -> None:
        bare = Partition("centroids", cells.names, cells.labels, cells.centroids, cells.counts, cells.radius_km)
        with pytest.raises(ValueError, match="a fit needs a partition that assigns locations to cells"):
            fit_head(train, val, bare, QUICK)


class TestOutsideAndUnseen:
    def test_locations_outside_are_left_out_and_counted(
        self, train: Locations, val: Locations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        partition = H3Partitioner(resolution=2).fit(train.latlon)
        nothing_east_of(15, monkeypatch)
        n_outside = int((train.latlon[:, 1] > 15).sum())
        assert 0 < n_outside < len(train)
        config = replace(QUICK, epochs=2)
        head = fit_head(train, val, partition, config)
        assert (head.training["n_train"], head.training["n_train_outside"]) == (len(train) - n_outside, n_outside)
        inside = train.take(np.flatnonzero(partition.assign(train.latlon) >= 0))
        assert_same_weights(head, fit_head(inside, val, partition, config))
        nowhere = replace(train, latlon=np.tile([-40.0, 175.0], (len(train), 1)))
        with pytest.raises(ValueError, match="and all 240 lie outside"):
            fit_head(nowhere, val, partition, config)

    def test_cells_without_training_location_are_counted_and_never_raised(
        self, train: Locations, val: Locations, cells: Partition
    ) -> None:
        kept = train.take(np.flatnonzero(cells.assign(train.latlon) > 1))
        head = fit_head(kept, val, cells, QUICK)
        assert head.training["cells_without_training_location"] == 2
        assert head.training["class_weight_range"][0] > 0
        posterior = head.posterior(val)
        assert posterior[:, :2].max() < 1 / 12

    def test_one_class_and_one_location(self, train: Locations, val: Locations) -> None:
        one = train.take(np.array([0]))
        head = fit_head(one, val, KMeansPartitioner(k=1, seed=0).fit(one.latlon), replace(QUICK, epochs=2))
        assert head.posterior(val) == pytest.approx(np.ones((60, 1)))


def test_small_sets_still_see_some_steps(train: Locations, cells: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, step = [], Stepper.__call__
    monkeypatch.setattr(Stepper, "__call__", lambda *args: (sizes.append(len(args[2])), step(*args))[1])
    fit_head(train, None, cells, FitConfig(epochs=1, device="cpu"))
    assert sizes == [30] * 8
