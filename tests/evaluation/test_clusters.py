"""What is drawn together: by name, by column, and by what the splits kept together."""

from dataclasses import replace

import numpy as np
import pytest

from geocell.evaluation.clusters import clusters_of
from geocell.features.locations import Locations
from geocell.metrics.clusters import Clusters
from geocell.splits.splits import Splits
from tests.worlds import make_locations

LATLON = np.array([[48.0, 11.0], [48.001, 11.001], [48.3, 11.0], [52.0, 13.0], [40.0, -3.0]])


@pytest.fixture
def locations() -> Locations:
    made = make_locations(LATLON, np.zeros((5, 8), np.float32))
    columns = {
        "user": ["u", "v", "u", "w", "w"],
        "country": ["DE", "DE", "DE", "DE", "ES"],
        "hole": ["a", None, *"bcd"],
    }
    return replace(made, columns={name: np.array(values, dtype=object) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("cluster", "by", "numbers"),
    [
        (None, "place", [1, 1, 2, 3, 0]), ("place", "place", [1, 1, 2, 3, 0]),
        ("location", "location", [0, 1, 2, 3, 4]),
        ("user", "column user", [0, 1, 0, 2, 2]), ("country", "country", [0, 0, 0, 0, 1]),
        ("cell:2", "cell:2", [0, 0, 0, 1, 2]),
    ],
)  # fmt: skip
def test_by_name(locations: Locations, cluster: str | None, by: str, numbers: list[int]) -> None:
    clusters = clusters_of(locations, cluster)
    assert (clusters.by, clusters.numbers.tolist()) == (by, numbers)
    assert clusters_of(locations, clusters) is clusters


@pytest.mark.parametrize(
    ("protocol", "buffer_km", "by", "n"),
    [
        ("unknown", 0.0, "place", 4), ("by location", 0.0, "place", 4), ("unknown", 50.0, "buffer 50 km", 3),
        ("by location, buffer 50 km", 50.0, "buffer 50 km", 3), ("by cell:2", 0.0, "cell:2", 3),
        ("by country, stratified by user", 0.0, "country", 2), ("by column user, buffer 1 km", 1.0, "column user", 3),
        ("by column gone", 0.0, "place", 4), ("by column hole", 0.0, "place", 4),
    ],
)  # fmt: skip
def test_by_what_the_splits_kept_together(
    locations: Locations, protocol: str, buffer_km: float, by: str, n: int
) -> None:
    splits = Splits({"test": tuple(locations.ids.tolist())}, 0, buffer_km, protocol)
    clusters = clusters_of(locations, None, splits)
    assert (clusters.by, len(clusters)) == (by, n)
    assert clusters_of(locations, "place", splits).by == "place"


def test_countries_without_a_column_come_from_outlines(locations: Locations) -> None:
    assert clusters_of(replace(locations, columns={}), "country").numbers.tolist() == [0, 0, 0, 0, 1]


def test_bad_clusters_have_one_sentence(locations: Locations) -> None:
    with pytest.raises(ValueError, match=r"got 'usr' and the columns country, hole, user: name one of these\.$"):
        clusters_of(locations, "usr")
    with pytest.raises(ValueError, match=r"clusters by hole need its value for every location, got 1 without"):
        clusters_of(locations, "hole")
    with pytest.raises(ValueError, match="one of H3's from 0 to 15"):
        clusters_of(locations, "cell:99")
    with pytest.raises(ValueError, match="must be of 5 locations, got 2"):
        clusters_of(locations, Clusters("place", np.arange(2)))
