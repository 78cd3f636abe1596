"""A zero-shot classifier answers like a head, country by country, and never by the largest product."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geocell.encoders import load_encoder
from geocell.encoding import encode_images
from geocell.evaluation.calibrate import calibrate
from geocell.evaluation.comparison import compare
from geocell.evaluation.decoders import compare_decoders
from geocell.evaluation.score import score
from geocell.heads.protocol import HeadLike
from geocell.heads.zero_shot import ZeroShot
from geocell.imagetext import load_image_text
from geocell.imagetext.projection import Projection, unit_rows
from geocell.prediction.predictions import predict_locations
from geocell.zeroshot.candidates import Candidate, Candidates
from geocell.zeroshot.settings import ZeroShotSettings
from tests.imagetext.models import make_image_text, plain_probabilities
from tests.worlds import make_locations
from tests.zeroshot.worlds import CITIES, INFO, Words, made, places

SOFT = ZeroShotSettings(keep=0)
NAMES = """\
Albania Austria Belgium Bulgaria Chile Croatia Cuba Cyprus Denmark Egypt Estonia Finland France Germany Greece
Hungary Iceland India Iran Iraq"""


@pytest.mark.parametrize("settings", [ZeroShotSettings(), SOFT, ZeroShotSettings(country_templates=(), fusion="logit")])
def test_it_speaks_the_protocol_of_heads(settings: ZeroShotSettings) -> None:
    like: HeadLike = made(settings)
    locations = places(40, views=np.arange(40) % 3 + 1)
    posterior = like.posterior(locations)
    assert posterior.shape == (40, 6)
    assert posterior.dtype == np.float32
    assert posterior.sum(axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    seen = 0
    for rows, part, points in like.answer_chunks(locations, "mean"):
        assert rows.start == seen
        seen = rows.stop
        assert np.array_equal(part, posterior[rows])
        assert points.shape == (len(part), 2)
    assert seen == 40
    assert like.prepare("within:200") is like.prepare("within:200")
    assert like.prepare(like.prepare("centroid")).decoder.spec == "centroid"
    for bad in ("best", "offset", "knn"):
        with pytest.raises(ValueError, match="decode"):
            like.prepare(bad)
    with pytest.raises(ValueError, match="must share one encoder"):
        next(iter(like.answer_chunks(replace(locations, encoder=replace(INFO, pooling="cls")))))
    assert like.trained_on is None
    assert like.sha256 == made(settings).sha256 != made(ZeroShotSettings(keep=2)).sha256


def test_everything_above_takes_it() -> None:
    like, locations = made(SOFT), places(60)
    assert score(like, locations, "within:750", "test").head_sha256 == like.sha256
    assert compare(like, made(), locations).n_locations == 60
    assert {answer.decoder for answer in predict_locations(like, locations, decode="mean")} == {"mean"}
    assert compare_decoders(like, locations).left_out.keys() == {"balscore", "offset"}


def test_pieces_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    like, locations = made(SOFT), places(23)
    whole = like.posterior(locations)
    monkeypatch.setattr("geocell.heads.zero_shot._MOST", 30)
    assert like.posterior(locations) == pytest.approx(whole, abs=1e-6)


def test_the_published_protocol_by_hand() -> None:
    """Country by its prompt, then the city of that country by its own prompt."""
    model = Words()
    like, locations = made(model=model), places(50)
    embeddings = model.project(locations.mean_features()).astype(np.float64)
    countries = model.text([f"A Street View photo in {name}." for name in CITIES.countries])
    cities = model.text([f"A Street View photo from {item.city}." for item in CITIES.items])
    points = next(iter(like.answer_chunks(locations)))[2]
    for embedding, point, found in zip(embeddings, points, like.found(locations), strict=True):
        country = CITIES.countries[int((countries @ embedding).argmax())]
        inside = [row for row, item in enumerate(CITIES.items) if item.country == country]
        best = inside[int((cities[inside] @ embedding).argmax())]
        assert (found, point.tolist()) == (best, CITIES.latlon[best].tolist())


def test_the_largest_product_is_biased_and_not_what_is_answered() -> None:
    """Half of the countries have 4 candidates and half have 30; cities are a coin toss, countries are known a little.

    The most probable candidate of all is in a country with few of them nine times out of ten.
    """
    rng = np.random.default_rng(0)
    names = sorted(NAMES.split())
    few = names[::2]
    items = [
        Candidate(name, f"{name} {number}", float(row), float(number))
        for row, name in enumerate(names)
        for number in range(4 if name in few else 30)
    ]
    candidates, n, dim = Candidates(tuple(items)), 2000, 40
    countries = unit_rows(rng.normal(size=(len(names), dim)), "texts")
    cities = unit_rows(rng.normal(size=dim) + 0.1 * rng.normal(size=(len(items), dim)), "texts")
    truth = rng.integers(len(names), size=n)
    order = [candidates.countries.index(name) for name in names]
    texts = np.empty_like(countries)
    texts[order] = countries
    features = countries[truth] + rng.normal(size=(n, dim)) * 0.5
    info = replace(INFO, dim=dim)
    like = ZeroShot(candidates, SOFT, info, Projection(None, 10.0), (texts, cities), "test")
    locations = make_locations(np.zeros((n, 2)), features.astype(np.float32), info=info)
    posterior = like.posterior(locations)
    is_few = np.array([item.country in few for item in candidates.items])
    of_truth = np.array([names[t] in few for t in truth]).mean()
    by_product = is_few[posterior.argmax(axis=1)].mean()
    answered = is_few[like.found(locations)].mean()
    assert of_truth == pytest.approx(0.5, abs=0.03)
    assert by_product > 0.8
    assert abs(answered - of_truth) < 0.05
    centroids = {tuple(point): few for point, few in zip(candidates.latlon.tolist(), is_few.tolist(), strict=True)}
    points = np.concatenate([part for _, _, part in like.answer_chunks(locations)])
    assert np.mean([centroids[tuple(point)] for point in points.tolist()]) == pytest.approx(answered)
    right = np.array([candidates.items[c].country for c in like.found(locations)]) == np.array(names)[truth]
    wrong = np.array([candidates.items[c].country for c in posterior.argmax(axis=1)]) == np.array(names)[truth]
    assert right.mean() > wrong.mean() + 0.05


def test_more_countries_than_one_may_be_kept() -> None:
    locations = places(30)
    soft = made(SOFT).posterior(locations)
    masses = made().levels[0].masses(soft)
    for keep in (1, 2):
        found = (
            made(ZeroShotSettings(keep=keep)).levels[0].masses(made(ZeroShotSettings(keep=keep)).posterior(locations))
        )
        assert ((found > 0).sum(axis=1) == keep).all()
        best = np.sort(masses, axis=1)[:, ::-1][:, :keep]
        assert np.sort(found, axis=1)[:, ::-1][:, :keep] == pytest.approx(
            best / best.sum(axis=1, keepdims=True), abs=1e-5
        )


def test_population_orders_cities() -> None:
    blind = Words(scale=1e-6)
    weighted = ZeroShotSettings(keep=0, population_weight=0.6)
    posterior = made(weighted, blind).posterior(places(5))
    france = posterior[:, :3] / posterior[:, :3].sum(axis=1, keepdims=True)
    expected = np.array([2.1e6, 5e5, 1.6e5]) ** 0.6
    assert france == pytest.approx(np.tile(expected / expected.sum(), (5, 1)), rel=1e-3)
    at_once = ZeroShotSettings(country_templates=(), population_weight=1.0)
    found = made(at_once, blind).found(places(5))
    assert {CITIES.items[c].city for c in found} == {"Tokyo"}


def test_views_are_joined_as_it_is_said() -> None:
    views = np.array([1, 3, 2])
    locations, model = places(3, views=views), Words()
    like = made(ZeroShotSettings(keep=0, fusion="logit"), model)
    unit = model.project(locations.view_features())
    for row, part in enumerate(np.split(unit, np.cumsum(views)[:-1])):
        logits = [model.projection.logits(part, texts).mean(axis=0) for texts in like.texts]
        p = np.exp(logits[0] - np.logaddexp.reduce(logits[0]))
        assert like.levels[0].masses(like.posterior(locations))[row] == pytest.approx(p, abs=1e-5)
    mean = made(SOFT, model)
    assert mean.embeddings(locations) == pytest.approx(model.project(locations.mean_features()))


def test_a_calibration_keeps_the_answer() -> None:
    """A temperature changes how sure it is, and not which country comes first."""
    like, locations = made(SOFT), places(80)
    learned = calibrate(like, locations, "centroid")
    for temperature in (0.5, learned.temperature, 5.0):
        warm = replace(like, calibration=replace(learned, temperature=temperature))
        assert warm.sha256 != like.sha256
        points = next(iter(warm.answer_chunks(locations)))[2]
        assert np.array_equal(points, like.candidates.latlon[like.found(locations)])
        raised = like.posterior(locations).astype(np.float64) ** (1 / temperature)
        assert warm.posterior(locations) == pytest.approx(raised / raised.sum(axis=1, keepdims=True), abs=1e-5)


def test_texts_are_embedded_in_one_pass_and_kept(tmp_path: Path) -> None:
    model = Words()
    settings = ZeroShotSettings(city_templates=("From {city}.", "A photo of {city}."))
    first = ZeroShot.from_model(model, CITIES, settings, tmp_path)
    assert len(model.passes) == 1
    assert len(model.passes[0]) == 3 + 2 * 6
    assert ZeroShot.from_model(model, CITIES, settings, tmp_path).sha256 == first.sha256
    assert len(model.passes) == 1
    ZeroShot.from_model(model, CITIES, ZeroShotSettings(), tmp_path)  # other templates
    ZeroShot.from_model(model, Candidates(CITIES.items[:3]), settings, tmp_path)  # other candidates
    assert len(model.passes) == 3
    other = Words(seed=1)
    ZeroShot.from_model(other, CITIES, settings, tmp_path)  # another model
    assert len(other.passes) == 1


def test_names_of_the_cells_are_each_once() -> None:
    items = (*CITIES.items, Candidate("Peru", "Lima", -12.0, -77.0), Candidate("Peru", "Lima", -11.0, -77.0))
    partition = ZeroShot.from_model(Words(), Candidates(items)).partition
    assert len(set(partition.names)) == 8
    assert partition.labels[0] == "Paris, Île-de-France, France"
    assert not partition.can_assign


def test_parts_that_do_not_belong_together() -> None:
    like = made()
    with pytest.raises(ValueError, match=r"needs embeddings of \[3, 6\] texts on its levels, .*got \[3\]"):
        replace(like, texts=like.texts[:1])
    with pytest.raises(ValueError, match="of sizes"):
        replace(like, projection=Projection(np.ones((3, 16), np.float32), 1.0))


def test_probabilities_are_those_of_transformers(tmp_path: Path) -> None:
    """On a small CLIP of the real classes: from images, and from features as a cache keeps them."""
    folder = str(make_image_text(tmp_path / "clip"))
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)) for _ in range(5)]
    encoder, model = load_encoder(folder, device="cpu"), load_image_text(folder, device="cpu")
    like = ZeroShot.from_model(model, CITIES, SOFT)
    prompts = [f"A Street View photo in {name}." for name in CITIES.countries]
    cities = [f"A Street View photo from {item.city}." for item in CITIES.items]
    countries_plain, cities_plain = (plain_probabilities(folder, images, texts) for texts in (prompts, cities))
    pooled = encode_images(images, encoder)
    locations = make_locations(np.zeros((5, 2)), pooled, info=encoder.info)
    posterior = like.posterior(locations)
    country, _ = like.levels
    assert country.masses(posterior) == pytest.approx(countries_plain, abs=1e-5)
    inside = cities_plain / city_sums(cities_plain, country.groups)
    assert posterior == pytest.approx(countries_plain[:, country.groups] * inside, abs=1e-5)
    at_once = ZeroShot.from_model(model, CITIES, ZeroShotSettings(country_templates=()))
    assert at_once.posterior(locations) == pytest.approx(cities_plain, abs=1e-5)
    kept = pooled.astype(np.float16)  # what a cache keeps
    cached = make_locations(np.zeros((5, 2)), kept, info=encoder.info)
    logits = model.projection.logits(model.project(kept.astype(np.float32)), model.text(cities)).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert at_once.posterior(cached) == pytest.approx(expected, abs=1e-5)
    assert at_once.posterior(cached) == pytest.approx(cities_plain, abs=5e-3)  # of half precision


def city_sums(values: np.ndarray, groups: np.ndarray) -> Any:
    return np.stack([values[:, groups == group].sum(axis=1) for group in groups], axis=1)


def test_it_shows_itself() -> None:
    model = made()
    page = model._repr_html_()
    assert f">{len(model.candidates)} of {len(model.candidates.countries)} countries</td>" in page
    assert "A Street View photo from {city}." in page
    assert "<svg" in page
