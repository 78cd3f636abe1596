import gzip
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import shapely
import shapely.geometry

from geocell.geo.countries import (
    countries_of,
    country_outlines,
    country_shapes,
    valid_country_shapes,
    write_countries,
    write_nuts0,
)
from geocell.geo.geodesy import swap_latlon_to_xy

CITIES = {
    "DE": (48.137, 11.575),
    "NO": (59.913, 10.740),
    "GR": (37.984, 23.728),
    "GB": (51.507, -0.128),
    "PT": (40.211, -8.429),
    "FR": (48.857, 2.352),
    "CY": (35.175, 33.364),
    "XK": (42.663, 21.165),
}


def test_outlines_are_valid_polygons_of_the_world() -> None:
    frame = country_outlines()
    assert list(frame.columns) == ["iso_a2", "name", "continent", "geometry"]
    assert frame.crs.to_epsg() == 4326
    assert len(frame) == 241
    assert frame.geometry.is_valid.all()
    assert set(frame.geom_type) == {"Polygon", "MultiPolygon"}
    assert frame.total_bounds.tolist() == [-180.0, -90.0, 180.0, 83.6]
    assert set(frame["iso_a2"].str.len()) == {0, 2}


def test_shapes_are_those_of_the_file_and_stay_so() -> None:
    text = gzip.decompress(files("geocell.geo.data").joinpath("countries.geojson.gz").read_bytes())
    expected = [shapely.geometry.shape(feature["geometry"]) for feature in json.loads(text)["features"]]
    assert shapely.equals_exact(country_shapes(), expected).all()
    names = [feature["properties"] for feature in json.loads(text)["features"]]
    assert country_outlines()[list(names[0])].to_dict("records") == names
    assert shapely.equals(valid_country_shapes(), shapely.make_valid(expected)).all()
    for shapes in (country_shapes(), valid_country_shapes()):
        with pytest.raises(ValueError, match="read-only"):
            shapes[0] = None


def test_outlines_share_their_borders() -> None:
    shapes = country_outlines().geometry.to_numpy()
    assert shapely.union_all(shapes).area == pytest.approx(shapely.area(shapes).sum(), rel=1e-9)


def test_outlines_are_the_callers_own() -> None:
    country_outlines()["name"] = "x"
    assert set(country_outlines()["name"]) != {"x"}


def test_outlines_file_carries_no_time_and_three_decimals() -> None:
    packed = files("geocell.geo.data").joinpath("countries.geojson.gz").read_bytes()
    assert packed[4:8] == bytes(4)
    assert len(packed) < 600_000
    coordinates = shapely.get_coordinates(country_outlines().geometry.to_numpy())
    assert json.loads(gzip.decompress(packed))["type"] == "FeatureCollection"
    np.testing.assert_allclose(coordinates, coordinates.round(3), rtol=0, atol=0)


@pytest.mark.parametrize("code", CITIES)
def test_country_of_a_city(code: str) -> None:
    frame = country_outlines()
    point = shapely.Point(*swap_latlon_to_xy(CITIES[code]))
    assert frame.loc[frame.contains(point), "iso_a2"].tolist() == [code]


def test_countries_are_a_layer_for_partitions(tmp_path: Path) -> None:
    from geocell.partitioners import PolygonsPartitioner

    layer = write_countries(tmp_path / "countries.geojson")
    places = [[48.137, 11.575], [35.68, 139.69], [-33.87, 151.21], [39.74, -104.99], [48.857, 2.352]]
    partition = PolygonsPartitioner(
        layer, id_column="iso_a2", name_column="name", parent_column="continent", snap_km=0
    ).fit(places)
    assert partition.names == ("AU", "DE", "FR", "JP", "US")
    assert partition.labels[1] == "Germany"
    assert [partition.ancestor_names["parent"][i] for i in partition.ancestors["parent"]] == [
        "OC",
        "EU",
        "EU",
        "AS",
        "NA",
    ]
    assert write_countries(tmp_path / "again.geojson").read_bytes() == layer.read_bytes()


def test_nuts0_file_reads_like_nuts(tmp_path: Path) -> None:
    import geopandas

    frame = geopandas.read_file(write_nuts0(tmp_path / "nuts0.geojson"))
    assert list(frame.columns) == ["NUTS_ID", "LEVL_CODE", "NAME_LATN", "geometry"]
    assert set(frame["LEVL_CODE"]) == {0}
    assert frame["NUTS_ID"].is_monotonic_increasing
    assert frame["NUTS_ID"].is_unique
    assert frame.geometry.is_valid.all()
    assert not {"MA", "TR", "US", ""} & set(frame["NUTS_ID"])
    west, south, east, north = frame.total_bounds
    assert (south >= 34.3, west >= -25, north <= 71.6, east <= 45) == (True,) * 4
    for code, city in CITIES.items():
        point = shapely.Point(*swap_latlon_to_xy(city))
        assert frame.loc[frame.contains(point), "NUTS_ID"].tolist() == [code]


def test_nuts0_clips_to_its_box_and_repeats_its_bytes(tmp_path: Path) -> None:
    first = write_nuts0(tmp_path / "a.geojson", (47.2, 9.0, 49.0, 12.0)).read_bytes()
    second = write_nuts0(tmp_path / "b.geojson", (47.2, 9.0, 49.0, 12.0)).read_bytes()
    assert first == second
    codes = [feature["properties"]["NUTS_ID"] for feature in json.loads(first)["features"]]
    assert codes == ["AT", "CH", "DE", "LI"]


@pytest.mark.parametrize(
    ("bbox", "match"),
    [((9.0, 47.0, 12.0, 47.0), "south, west, north, east"), ((-60.0, -60.0, -50.0, -50.0), "a part of Europe")],
)
def test_nuts0_refuses_a_box_without_europe(
    tmp_path: Path, bbox: tuple[float, float, float, float], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        write_nuts0(tmp_path / "nuts0.geojson", bbox)
    assert list(tmp_path.iterdir()) == []


def test_the_country_of_points_on_land_and_offshore() -> None:
    assert countries_of(np.array(list(CITIES.values()))).tolist() == list(CITIES)
    # off Lisbon, off Fiji across the antimeridian, and far off Iceland
    assert countries_of(np.array([(38.7, -9.8), (-16.8, -179.7), (66.5, -27.0)])).tolist() == ["PT", "FJ", "IS"]
