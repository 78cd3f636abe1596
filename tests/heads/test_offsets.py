"""Offsets inside cells: true ones, bounded ones, and heads that fit, save, join and decode them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from geocell.decoders.table import decode
from geocell.evaluation.comparison import compare
from geocell.evaluation.score import score
from geocell.geo.geodesy import distance_km, moved
from geocell.heads.ensemble import Ensemble, average_heads
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head, load_head
from geocell.heads.module import GeoHead
from geocell.heads.offsets import Offsets, folded_offsets, offsets_km, true_offsets
from geocell.partitioners import KMeansPartitioner, Partition
from geocell.prediction.predictions import predict_locations
from geocell.training.fit import fit_head
from geocell.training.losses import offset_loss
from geocell.training.validation import Validation
from tests.training.test_fit import QUICK, assert_same_weights, world

CONFIG = replace(QUICK, offsets=1.0, epochs=10)

pytestmark = pytest.mark.usefixtures("one_thread")


def bare(centroids: Any, radius_km: Any) -> Partition:
    names = tuple(map(str, range(len(centroids))))
    counts = np.ones(len(centroids), dtype=np.int64)
    return Partition("centroids", names, names, np.asarray(centroids, float), counts, np.asarray(radius_km, float))


TRAIN, VAL, TEST = world(400, 0, noise=0.05), world(80, 1, noise=0.05), world(200, 2, noise=0.05)
CELLS = KMeansPartitioner(k=8, seed=0).fit(TRAIN.latlon)


@pytest.fixture(scope="module")
def fitted() -> Head:
    return fit_head(TRAIN, VAL, CELLS, CONFIG)


class TestTrueOffsets:
    def test_they_lead_from_the_centroid_to_the_location(self) -> None:
        cells = CELLS.assign(TRAIN.latlon)
        offsets = true_offsets(CELLS, cells, TRAIN.latlon)
        assert np.linalg.norm(offsets, axis=1).max() <= 1 + 1e-6
        assert np.abs(offsets).mean() > 0.2
        back = moved(CELLS.centroids[cells], offsets_km(offsets, CELLS, cells))
        assert distance_km(back, TRAIN.latlon).max() < 0.001

    def test_identical_antipodal_and_polar_places_are_finite(self) -> None:
        centroids = [[0, 0], [10, 20], [90, 0], [-90, 77], [0, 180]]
        places = [[0, 0], [-10, -160], [90, 33], [-89, 0], [0, -179]]
        offsets = true_offsets(bare(centroids, [500.0] * 5), np.arange(5), places)
        assert offsets.dtype == np.float32
        lengths = np.linalg.norm(offsets, axis=1)
        assert lengths == pytest.approx([0, 1, 0, 111.195 / 500, 111.195 / 500], abs=1e-4)
        assert offsets[4] == pytest.approx([111.195 / 500, 0], abs=1e-4)  # east, over the antimeridian
        prediction = torch.from_numpy(offsets).requires_grad_()
        offset_loss(prediction, torch.from_numpy(offsets)).sum().backward()
        assert torch.equal(prediction.grad, torch.zeros(5, 2))

    def test_cells_without_extent_move_nothing(self) -> None:
        cells = bare([[0, 0], [10, 20], [50, 5]], [100.0, 0.0, np.nan])
        index = np.array([0, 1, 2])
        assert true_offsets(cells, index, [[1, 1], [11, 20], [51, 5]])[1:].tolist() == [[0, 0], [0, 0]]
        assert np.linalg.norm(offsets_km(np.full((3, 2), 9.0), cells, index), axis=1) == pytest.approx([100, 0, 0])
        with pytest.raises(ValueError, match="offsets need cells whose radius_km is known and above 0"):
            true_offsets(cells, index[1:], [[11, 20], [51, 5]])

    @given(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), st.floats(-90, 90), st.floats(-180, 180))
    def test_a_moved_point_stays_within_the_radius(self, offset: tuple[float, float], lat: float, lon: float) -> None:
        cells = bare([[lat, lon]], [300.0])
        point = decode("offset", [[1.0]], [[lat, lon]], offsets_km([offset], cells, np.array([0])))
        length = min(float(np.hypot(*offset)), 1.0)
        assert distance_km(point, [lat, lon])[0] == pytest.approx(300.0 * length, abs=1e-6)


class TestLoss:
    def test_by_hand(self) -> None:
        loss = offset_loss(torch.tensor([[3.0, 4.0], [0.01, 0.0]]), torch.zeros(2, 2))
        assert loss.tolist() == pytest.approx([26**0.5 - 1, 0.00005], rel=1e-4)

    def test_gradcheck(self) -> None:
        generator = torch.Generator().manual_seed(0)
        true, features = (torch.randn(6, n, generator=generator, dtype=torch.float64) for n in (2, 5))
        cells = torch.tensor([0, 2, 2, 1, 0, 2])
        module = Offsets(5, 4).double()

        def loss(weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
            tensors = {"weight": weight, "bias": bias}
            return offset_loss(torch.func.functional_call(module, tensors, (features, cells)), true)

        weight = torch.randn(4, 2, 5, generator=generator, dtype=torch.float64, requires_grad=True)
        bias = torch.randn(4, 2, generator=generator, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(loss, (weight, bias))
        loss(weight, bias).sum().backward()
        assert weight.grad is not None
        assert torch.equal(weight.grad[3], torch.zeros(2, 5))  # only the rows of true cells learn

    def test_a_row_is_a_linear_and_the_norm_folds_into_it(self) -> None:
        generator = torch.Generator().manual_seed(1)
        module, x = Offsets(5, 3), torch.randn(4, 5, generator=generator)
        gain, shift = torch.randn(2, 5, generator=generator)
        for value in module.parameters():
            value.data = torch.randn(value.shape, generator=generator)
        cells = torch.tensor([2, 0, 1, 2])
        expected = torch.stack([module.weight[c] @ row + module.bias[c] for row, c in zip(x, cells, strict=True)])
        torch.testing.assert_close(module(x, cells), expected)
        scaled = module(x * gain + shift, cells)
        module.load_state_dict(folded_offsets(module, gain, shift))
        torch.testing.assert_close(module(x, cells), scaled, atol=1e-5, rtol=1e-5)


class TestFit:
    @pytest.mark.parametrize("options", [{}, {"fusion": "logit"}, {"fusion": "attention", "ema": 0.9}, {"stream": 64}])
    def test_they_lower_the_error(self, options: dict[str, Any]) -> None:
        head = fit_head(TRAIN, VAL, CELLS, replace(CONFIG, decode="offset", **options))
        by_centroid, by_offset = score(head, TEST), score(head, TEST, "offset")
        assert by_offset.median_km < 0.7 * by_centroid.median_km
        assert by_offset.top1 == by_centroid.top1
        assert by_offset.decoder == "offset"
        assert head.training["val"] == pytest.approx(
            {name: getattr(score(head, VAL, "offset"), name) for name in head.training["val"]}, rel=1e-4
        )

    def test_the_classification_is_the_one_without(self, fitted: Head) -> None:
        """The two losses share nothing but the features."""
        without = fit_head(TRAIN, VAL, CELLS, replace(CONFIG, offsets=0.0))
        assert not without.has_offsets
        for name, value in without.module.state_dict().items():
            assert torch.equal(fitted.module.state_dict()[name], value), name
        assert fitted.history[0]["train_loss"] > without.history[0]["train_loss"]

    def test_a_killed_fit_goes_on_to_the_same_bytes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        config = replace(CONFIG, epochs=4, ema=0.9)
        whole = fit_head(TRAIN, VAL, CELLS, config)
        validate, calls = Validation.score, []

        def killed(*args: Any) -> dict[str, float]:
            calls.append(1)
            if len(calls) == 3:
                raise SystemExit
            return validate(*args)

        with monkeypatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(Validation, "score", killed)
            fit_head(TRAIN, VAL, CELLS, config, checkpoint=tmp_path / "fit")
        resumed = fit_head(TRAIN, VAL, CELLS, config, checkpoint=tmp_path / "fit")
        assert_same_weights(whole, resumed)
        assert whole.history == resumed.history

    def test_warm_starts(self, fitted: Head) -> None:
        second = replace(CONFIG, epochs=1, lr=1e-12, haversine=0.01, decode="offset")
        head = fit_head(TRAIN, VAL, CELLS, second, init=fitted)
        assert score(head, TEST, "offset").median_km == pytest.approx(score(fitted, TEST, "offset").median_km, rel=1e-3)
        plain = fit_head(TRAIN, VAL, CELLS, replace(CONFIG, epochs=2, offsets=0.0))
        still = fit_head(TRAIN, VAL, CELLS, replace(second, epochs=1), init=plain)
        assert score(still, TEST, "offset").median_km == pytest.approx(score(plain, TEST).median_km, rel=1e-3)
        with pytest.raises(ValueError, match="a warm start from a head with offsets needs offsets above 0, got 0"):
            fit_head(TRAIN, VAL, CELLS, replace(CONFIG, offsets=0.0), init=fitted)

    def test_settings(self) -> None:
        with pytest.raises(ValueError, match="offsets must be a number of at least 0, got -1"):
            FitConfig(offsets=-1)
        with pytest.raises(ValueError, match="decode offset needs offsets above 0"):
            FitConfig(decode="offset")


class TestFolder:
    def test_same_seed_same_bytes_and_the_same_answers(self, fitted: Head, tmp_path: Path) -> None:
        fitted.save(tmp_path / "a")
        fit_head(TRAIN, VAL, CELLS, CONFIG).save(tmp_path / "b")
        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
        head = load_head(tmp_path / "a")
        assert head.sha256 == fitted.sha256
        answers, expected = (predict_locations(h, TEST, decode="offset") for h in (head, fitted))
        points = [[(a.lat, a.lon) for a in each] for each in (answers, expected)]
        assert distance_km(*points).max() < 1e-6
        assert {a.decoder for a in answers} == {"offset"}
        shapes = {name: list(v.shape) for name, v in load_file(tmp_path / "a" / "offsets.safetensors").items()}
        assert shapes == {"offsets.weight": [8, 2, 24], "offsets.bias": [8, 2]}
        GeoHead(24, 8).load_state_dict(load_file(tmp_path / "a" / "model.safetensors"), strict=True)

    def test_the_file_and_the_config_agree(self, fitted: Head, tmp_path: Path) -> None:
        fitted.save(tmp_path / "head")
        (tmp_path / "head" / "hashes.json").unlink()
        file = tmp_path / "head" / "offsets.safetensors"
        tensors = load_file(file)
        save_file({**tensors, "offsets.bias": torch.zeros(7, 2)}, file)
        with pytest.raises(ValueError, match=r"must hold offsets\.bias \[8, 2\] float32.*got offsets\.bias \[7, 2\]"):
            load_head(tmp_path / "head")
        save_file({**tensors, "offsets.bias": torch.full((8, 2), torch.nan)}, file)
        with pytest.raises(ValueError, match=r"must be finite, got NaN or infinity in offsets\.bias"):
            load_head(tmp_path / "head")
        file.unlink()
        with pytest.raises(FileNotFoundError, match=r"a head needs the file offsets\.safetensors"):
            load_head(tmp_path / "head")
        plain = replace(fitted, module=GeoHead(24, 8), config=QUICK)
        plain.save(tmp_path / "plain")
        save_file(tensors, tmp_path / "plain" / "offsets.safetensors")
        with pytest.raises(ValueError, match=r"offsets\.safetensors .*belongs to another head"):
            load_head(tmp_path / "plain")
        with pytest.raises(ValueError, match="got offsets 1 and no such weights"):
            replace(fitted, module=GeoHead(24, 8))


class TestJoining:
    def test_a_mean_of_weights_has_the_means_of_the_offsets(self, fitted: Head) -> None:
        mean = average_heads([fitted, fitted])
        assert score(mean, TEST, "offset").median_km == pytest.approx(score(fitted, TEST, "offset").median_km, rel=1e-4)
        plain = replace(fitted, module=GeoHead(24, 8), config=QUICK)
        with pytest.raises(ValueError, match="heads that all have offsets or all have none, got both"):
            average_heads([fitted, plain])

    def test_what_has_no_offsets_says_so(self, fitted: Head) -> None:
        plain = replace(fitted, module=GeoHead(24, 8), config=QUICK)
        for head in (plain, Ensemble((fitted, fitted))):
            with pytest.raises(ValueError, match="decode offset needs offsets above 0"):
                score(head, TEST, "offset")
        with pytest.raises(ValueError, match=r"fit a head with offsets .*; or decode by centroid"):
            predict_locations(plain, TEST, decode="offset")
        with pytest.raises(ValueError, match="decode offset needs offsets"):
            decode("offset", [[1.0]], [[0.0, 0.0]])
        assert compare(fitted, average_heads([fitted, fitted]), TEST, "offset").decoder == "offset"
