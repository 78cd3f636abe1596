"""Where views are, and how far those of a location may be apart."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.geo.geodesy import distance_km, spherical_mean
from geocell.views import places, table_from_frame
from geocell.views.places import ViewPlaces, farthest_view, require_tight


def test_places_of_a_table_are_those_of_its_good_views() -> None:
    frame = pd.DataFrame(
        {
            "image": ["a", "b", "c", None, "e"],
            "lat": [1.0, 2.0, 1.0, 3.0, 2.0],
            "lon": [5.0, 6.0, 5.002, 7.0, 6.0],
            "location": ["x", "y", "x", "z", "y"],
            "user": ["u", "v", "w", "u", "v"],
        }
    )
    table = table_from_frame(frame)
    assert table.places.rows.tolist() == [0, 1, 2, 4]
    assert table.places.codes.tolist() == [0, 1, 0, 1]
    assert table.places.first.tolist() == [0, 1]
    assert len(table.places) == 2
    np.testing.assert_allclose(table.places.latlon, [[1, 5.001], [2, 6]], atol=1e-6)
    assert table.location_ids.texts() == ["x", "y"]
    assert table.take("user", table.places.first).tolist() == ["u", "v"]


POINTS = st.tuples(st.floats(-80, 80), st.floats(-180, 180))


@given(st.lists(st.tuples(POINTS, st.integers(0, 3)), min_size=1, max_size=12), st.sampled_from([1, 2, 100]))
def test_the_farthest_view_is_that_of_all_distances(rows: list[tuple[tuple[float, float], int]], piece: int) -> None:
    near = [(lat + np.random.default_rng(i).uniform(0, 1), lon) for i, ((lat, lon), _) in enumerate(rows)]
    first = {group: point for point, group in reversed(rows)}
    latlon = np.array([[first[group][0] + near[i][0] % 1, first[group][1]] for i, (_, group) in enumerate(rows)])
    groups = np.unique([group for _, group in rows], return_inverse=True)[1].astype(np.int64)
    means = np.array([spherical_mean(latlon[groups == group]) for group in range(groups.max() + 1)])
    expected = distance_km(latlon, means[groups])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "_PIECE", piece)
        row, km = farthest_view(latlon, groups, int(groups.max()) + 1)
    assert km == pytest.approx(expected.max(), abs=1e-6)
    assert expected[row] == pytest.approx(km, abs=1e-6)


def test_a_loose_location_is_named_by_its_row_in_the_table(tmp_path: Path) -> None:
    good = np.array([False, True, True])
    apart = ViewPlaces(good, np.array([0, 0]), np.array([[1.0, 2.0], [1.1, 2.0]]), np.array([1]))
    with pytest.raises(ValueError, match=r"t: views .* within 1 km, got 5\.6 km .* location 'row [12]' in row [12]:"):
        require_tight(apart, "t", lambda row: f"row {row}")
    close = ViewPlaces(good, np.array([0, 0]), np.array([[1.0, 2.0], [1.001, 2.0]]), np.array([1]))
    require_tight(close, "t", str)
