"""Validation of a model in training: the accuracies of zero-shot on the same images by the same weights."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from geocell.encoders import load_encoder
from geocell.heads.zero_shot import ZeroShot
from geocell.images.sources import FileImages
from geocell.imagetext import load_image_text
from geocell.pretraining.evaluate import evaluate
from geocell.pretraining.tables import CaptionTable
from geocell.pretraining.validation import ZeroShotValidation, cities_of, found_cities
from geocell.zeroshot.candidates import Candidate, Candidates, Cities
from geocell.zeroshot.settings import ZeroShotSettings
from tests.pretraining.captioned_photos import World
from tests.zeroshot.worlds import CITIES, Words, places

pytestmark = pytest.mark.usefixtures("one_thread")


def table_of(world: World) -> CaptionTable:
    return CaptionTable(world.table, FileImages(str(world.folder)), "val")


def scored(validation: ZeroShotValidation, world: World) -> dict[str, float]:
    clip = world.clip()
    clip.model.eval()
    with torch.no_grad():
        return dict(validation(clip))


def test_cities_are_those_named_most_often() -> None:
    first = pd.DataFrame(
        {"city": ["Rome", "rome", "Turin", "", "Oslo"], "country": ["Italy", "IT", "Italy", "Mali", ""]}
    )
    second = pd.DataFrame({"city": ["Turin", "Turin", "Lima"], "country": ["Italy", "Italy", "Peru"]})
    assert [item.label for item in cities_of([first, second]).items] == ["Rome, Italy", "Turin, Italy", "Lima, Peru"]
    assert [item.label for item in cities_of([first, second], 1).items] == ["Turin, Italy", "Lima, Peru"]
    with pytest.raises(ValueError, match="validation needs candidate cities"):
        cities_of([first.iloc[3:]])
    with pytest.raises(ValueError, match="got 'Atlantis'"):
        cities_of([pd.DataFrame({"city": ["A"], "country": ["Atlantis"]})])


def test_it_is_what_evaluate_finds_on_the_saved_model(world: World) -> None:
    table = table_of(world)
    cities = cities_of([table.places()])
    found = scored(ZeroShotValidation(table, cities), world)
    model = load_image_text(str(world.folder / "clip"), device="cpu")
    expected = evaluate(model, table.places(), table.images, cities, device="cpu").accuracy.accuracies
    assert found == {"country": pytest.approx(expected["country"]), "city": pytest.approx(expected["city"])}
    assert len(cities) == 6


def test_countries_that_are_held_out_are_counted_apart(world: World) -> None:
    table = table_of(world)
    cities = cities_of([table.places()])
    found = scored(ZeroShotValidation(table, cities, held_out=("PE",)), world)
    seen, unseen = found["country_seen"], found["country_unseen"]
    assert found["country"] == pytest.approx((12 * seen + 6 * unseen) / 18)
    expected = 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0
    assert found["country_harmonic"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="got only others"):
        ZeroShotValidation(table, cities, held_out=("FR",))


def test_a_table_without_a_known_country(world: World) -> None:
    table = table_of(world)
    unknown = replace(table, table=table.table.assign(country="Atlantis"))
    with pytest.raises(ValueError, match="must name a country that is known"):
        ZeroShotValidation(unknown, cities_of([table.places()]))


def test_the_cities_found_are_those_of_the_classifier() -> None:
    """By names alone, and without coordinates, the same texts find the same cities."""
    settings, locations = ZeroShotSettings(keep=2, population_weight=0.1), places(50)
    model = Words()
    like = ZeroShot.from_model(model, CITIES, settings)
    nowhere = Cities(tuple(replace(item, lat=float("nan"), lon=float("nan")) for item in CITIES.items))
    found = found_cities(nowhere, settings, like.texts, model.projection, like.embeddings(locations))
    np.testing.assert_array_equal(found, like.found(locations))


def test_cities_without_coordinates_are_no_candidates() -> None:
    with pytest.raises(ValueError, match="candidates"):
        Candidates((Candidate("Peru", "Lima"),))
    assert len(Cities((Candidate("Peru", "Lima"),))) == 1


def test_the_encoder_is_the_one_of_the_folder(world: World) -> None:
    """What `encode` makes of the folder are the features that validation projects."""
    encoder = load_encoder(str(world.folder / "clip"), device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 56, 56, 3), dtype=np.uint8)
    model, clip = load_image_text(str(world.folder / "clip"), device="cpu"), world.clip()
    clip.model.eval()
    with torch.no_grad():
        ours = clip.embed_images(clip.normalised(pixels)).numpy()
    np.testing.assert_allclose(model.project(encoder(pixels)), ours, atol=1e-5)
