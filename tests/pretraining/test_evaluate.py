import numpy as np
import pandas as pd
import pytest

from geocell.evaluation.zero_shot import ZeroShotScores
from geocell.geo.geodesy import distance_km
from geocell.images.sources import FileImages
from geocell.imagetext import load_image_text
from geocell.pretraining.evaluate import evaluate, has_coordinates
from geocell.zeroshot.candidates import Candidates
from tests.pretraining.captioned_photos import World
from tests.zeroshot.worlds import CITIES

pytestmark = pytest.mark.usefixtures("one_thread")


def frame(n: int = 12) -> pd.DataFrame:
    items = [CITIES.items[row % len(CITIES)] for row in range(n)]
    names = {"City": [item.city for item in items], "Country": [item.country for item in items]}
    latlon = {"lat": [item.lat + 0.1 for item in items], "lng": [item.lon for item in items]}
    return pd.DataFrame({"image": [f"{row}.jpg" for row in range(n)], **names, **latlon})


def test_distances_where_there_are_coordinates_and_the_same_places_without(world: World) -> None:
    model = load_image_text(str(world.folder / "clip"), device="cpu")
    images, table = FileImages(str(world.folder)), frame()
    whole = evaluate(model, table, images, CITIES, device="cpu")
    names = evaluate(model, table.drop(columns=["lat", "lng"]), images, CITIES, device="cpu")
    assert isinstance(whole.accuracy, ZeroShotScores)
    assert not isinstance(names.accuracy, ZeroShotScores)
    assert whole.accuracy.accuracies == names.accuracy.accuracies
    assert whole.n_images == 12
    assert whole.to_dict()["zero_shot"]["accuracies"] == names.to_dict()["zero_shot"]["accuracies"]
    assert "median_km" not in names.to_dict()
    with pytest.raises(ValueError, match="country that is known"):
        evaluate(model, table[["image"]].assign(country="Atlantis"), images, CITIES, device="cpu")


def test_one_candidate_is_always_answered(world: World) -> None:
    """With Lima alone the distances are those to Lima, and the country is right for Peru."""
    model = load_image_text(str(world.folder / "clip"), device="cpu")
    lima = Candidates(tuple(item for item in CITIES.items if item.city == "Lima"))
    table = frame()
    found = evaluate(model, table, FileImages(str(world.folder)), lima, device="cpu").accuracy
    assert isinstance(found, ZeroShotScores)
    assert found.accuracies["country"] == found.accuracies["city"] == pytest.approx(2 / 12)
    assert found.accuracies["city_given_country"] == 1.0
    expected = distance_km(table[["lat", "lng"]].to_numpy(float), lima.latlon)
    assert found.scores.median_km == pytest.approx(float(np.median(expected)), rel=1e-6)


def test_images_that_cannot_be_read_are_left_out(world: World) -> None:
    model = load_image_text(str(world.folder / "clip"), device="cpu")
    table = frame()
    table.loc[3, "image"] = "none.jpg"
    found = evaluate(model, table, FileImages(str(world.folder)), CITIES, device="cpu")
    assert found.problems == {"none.jpg": "no such file"}
    assert found.n_images == found.accuracy.n_known == 11


def test_what_a_table_must_have() -> None:
    table = frame()
    assert has_coordinates(table, "t")
    assert not has_coordinates(table.drop(columns=["lat"]), "t")
    partly = table.astype({"lat": object})
    partly.loc[0, "lat"] = None
    assert not has_coordinates(partly, "t")
    with pytest.raises(ValueError, match=r"t must have a column country or coordinates"):
        has_coordinates(replace_country(partly), "t")


def replace_country(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["Country"])
