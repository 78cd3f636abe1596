"""A head from words: captions of cells, how near LayerNorm and Linear come to cosines, and fits that start there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.evaluation.score import score
from geocell.geo.gazetteer import Gazetteer
from geocell.geo.towns import Town
from geocell.heads.ensemble import average_heads
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import load_head
from geocell.heads.trained_on import count_trained_on
from geocell.heads.words_head import cell_captions, fit_words, head_from_words, scaled_to
from geocell.imagetext.projection import Projection, unit_rows
from geocell.partitioners.kmeans import KMeansPartitioner
from geocell.training.fit import fit_head
from tests.zeroshot.worlds import CITIES, INFO, Words, places

TOWNS = Gazetteer(
    [
        Town(1, "Paris", "Île-de-France", "FR", "France", "EU", 48.85, 2.35, 2_000_000),
        Town(2, "Tokyo", "", "JP", "Japan", "AS", 35.69, 139.69, 8_000_000),
        Town(3, "Lima", "Lima", "PE", "Peru", "SA", -12.05, -77.04, 7_000_000),
        Town(4, "Nairobi", "Nairobi Area", "KE", "Kenya", "AF", -1.29, 36.82, 2_700_000),
    ]
)
PARTITION = KMeansPartitioner(k=4).fit(places(80).latlon)


def test_captions_name_the_nearest_town() -> None:
    (captions,) = cell_captions(PARTITION, gazetteer=TOWNS)
    nearest = [found.town.name for found in TOWNS.nearest(PARTITION.centroids)]
    assert [name in text for name, text in zip(nearest, captions, strict=True)] == [True] * 4
    by_name = dict(zip(nearest, captions, strict=True))
    known = {
        "Paris": "A Street View photo close to the town of Paris in the region of Île-de-France in France.",
        "Tokyo": "A Street View photo close to the town of Tokyo in Japan.",  # no region is known
        "Lima": "A Street View photo close to the town of Lima in Peru.",  # the region says the same again
    }
    assert all(by_name[name] == text for name, text in known.items() if name in by_name)
    two = cell_captions(PARTITION, ["{country}.", "{continent}."], TOWNS)
    assert [len(texts) for texts in two] == [4, 4]
    with pytest.raises(ValueError, match="names what Tokyo, Japan does not have: put that part of it in brackets"):
        cell_captions(PARTITION, ["{region}"], Gazetteer([TOWNS.towns[1]]))
    with pytest.raises(ValueError, match="at least one template"):
        cell_captions(PARTITION, [], TOWNS)


def test_it_is_exact_where_all_features_have_one_norm() -> None:
    """Features that are normalised already, and embeddings of one norm, leave nothing to approximate."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 16))
    features -= features.mean(axis=1, keepdims=True)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    texts = unit_rows(rng.normal(size=(5, 16)), "texts")
    fit = fit_words(Projection(None, 20.0), texts, features.astype(np.float32))
    assert fit.error < 1e-3 * fit.spread
    assert fit.agreement == 1.0


def test_the_head_is_what_was_fitted() -> None:
    model, locations = Words(), places(80)
    head = head_from_words(model, PARTITION, locations, gazetteer=TOWNS)
    words = head.training["words"]
    assert (words["n_captions"], words["n_features"]) == (len(set(cell_captions(PARTITION, gazetteer=TOWNS)[0])), 80)
    assert 0 < words["logit_error"] < 0.5 * words["logit_spread"]
    (captions,) = cell_captions(PARTITION, gazetteer=TOWNS)
    exact = model.projection.logits(model.project(locations.mean_features()), model.text(captions)).argmax(axis=1)
    assert (head.posterior(locations, "cpu").argmax(axis=1) == exact).mean() == pytest.approx(words["agreement"])
    assert words["agreement"] > 0.8
    with pytest.raises(ValueError, match="must share one encoder"):
        head_from_words(model, PARTITION, replace(locations, encoder=replace(INFO, name="x", revision="9")))


def test_it_is_a_head_like_any_other(tmp_path: Path) -> None:
    locations = places(80)
    head = head_from_words(Words(), PARTITION, locations, ["In {city}.", "A photo of {country}."], gazetteer=TOWNS)
    head.save(tmp_path / "head")
    again = load_head(tmp_path / "head")
    assert again.sha256 == head.sha256
    assert score(again, locations, "within:750", device="cpu").top1 is not None
    fitted = fit_head(locations, None, PARTITION, FitConfig(epochs=1, device="cpu", lr=1e-5), again)
    from_zeros = fit_head(locations, None, PARTITION, FitConfig(epochs=1, device="cpu", lr=1e-5))
    start = again.posterior(locations, "cpu")
    assert np.abs(fitted.posterior(locations, "cpu") - start).max() < 0.05  # it started there
    assert np.abs(from_zeros.posterior(locations, "cpu") - start).max() > 0.2
    quarter = average_heads([again, fitted], [0.75, 0.25])
    a, b, mixed = (np.log(head.posterior(locations, "cpu").astype(float)) for head in (again, fitted, quarter))
    expected = np.exp(0.75 * a + 0.25 * b)
    assert np.exp(mixed) == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=1e-5)
    assert quarter.training["weights"] == [0.75, 0.25]
    assert quarter.trained_on is not None
    assert quarter.trained_on.complete


def test_known_places_are_found_from_words_alone() -> None:
    """Features that look like the text of their country lie in the cell of that caption."""
    model = Words(scale=50.0)
    partition = KMeansPartitioner(k=4).fit(np.repeat(TOWNS.latlon, 5, axis=0))
    (captions,) = cell_captions(partition, gazetteer=TOWNS)
    matrix = model.projection.matrix
    assert matrix is not None
    features = model.text(captions) @ np.linalg.pinv(matrix).T
    locations = replace(places(4), features=features.astype(np.float32), latlon=partition.centroids)
    head = head_from_words(model, partition, locations, gazetteer=TOWNS)
    assert head.posterior(locations, "cpu").argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert len(CITIES) == 6


def _likelihood(posterior: np.ndarray, cells: np.ndarray) -> float:
    return float(np.log(posterior[np.arange(len(cells)), cells].astype(float)).mean())


def test_scaled_to_labelled_locations_they_are_most_likely() -> None:
    """The temperature is the best of a fine grid, the order of cells stays, and the locations count as seen."""
    locations = places(80)
    labelled = locations.take(np.arange(0, 80, 2))
    head = head_from_words(Words(), PARTITION, locations, gazetteer=TOWNS)
    scaled = head_from_words(Words(), PARTITION, locations, labelled=labelled, gazetteer=TOWNS)
    cells, before = PARTITION.assign(labelled.latlon), head.posterior(labelled, "cpu").astype(float)
    grid = np.geomspace(0.05, 50, 400)
    likelihoods = []
    for temperature in grid:
        powers = before ** (1 / temperature)
        likelihoods.append(_likelihood(powers / powers.sum(axis=1, keepdims=True), cells))
    found = scaled.training["words"]["scaled"]
    assert found["temperature"] == pytest.approx(grid[np.argmax(likelihoods)], rel=0.02)
    assert found["n_locations"] == 40
    after = scaled.posterior(labelled, "cpu")
    assert _likelihood(after, cells) >= max(likelihoods) - 1e-6
    assert (after.argsort(axis=1) == before.argsort(axis=1)).all()
    assert count_trained_on(scaled.trained_on, labelled) == 40
    assert count_trained_on(scaled.trained_on, locations) == 40
    assert count_trained_on(head.trained_on, locations) == 0
    words, plain = scaled.training["words"], head.training["words"]
    assert words["logit_error"] == pytest.approx(plain["logit_error"] / found["temperature"])
    assert words["agreement"] == plain["agreement"]


def test_texts_that_say_nothing_are_scaled_to_nearly_uniform_probabilities() -> None:
    """Labels that the texts contradict: a fit then starts as one from zeros does."""
    locations = places(80)
    head = head_from_words(Words(), PARTITION, locations, gazetteer=TOWNS)
    worst = head.posterior(locations, "cpu").argmin(axis=1)
    wrong = replace(locations, latlon=PARTITION.centroids[worst])
    scaled = scaled_to(head, wrong, "cpu")
    assert scaled.training["words"]["scaled"]["temperature"] == pytest.approx(50, rel=0.01)
    assert np.abs(scaled.posterior(locations, "cpu") - 0.25).max() < 0.05
    with pytest.raises(ValueError, match="at least one location in a cell, got none of 0"):
        scaled_to(head, locations.take(np.empty(0, dtype=np.int64)))
