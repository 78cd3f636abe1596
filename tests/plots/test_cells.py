"""Maps of cells: pictures and pages coloured by count, the same bytes each time, nothing fetched from anywhere."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image

from geocell.geo.geodesy import distance_km, latlon_from_unit
from geocell.partitioners import H3Partitioner, KMeansPartitioner, Partition
from geocell.partitioners.cell_polygons import class_polygons
from geocell.plots import draw_cells
from geocell.plots.cells import COLOURS, box_of, count_range
from geocell.plots.panel import SEA

RNG = np.random.default_rng(0)
IBERIA = np.concatenate((RNG.uniform([37, -8], [43, 0], (300, 2)), RNG.normal([40.4, -3.7], 0.01, (500, 2))))
WORLD = latlon_from_unit(RNG.normal(size=(400, 3)))


@pytest.fixture(scope="module")
def hexagons() -> Partition:
    return H3Partitioner(resolution=3).fit(IBERIA, source="a test")


@pytest.fixture(scope="module")
def everywhere() -> Partition:
    return KMeansPartitioner(k=40).fit(WORLD)


def pixels(picture: Path) -> np.ndarray:
    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB")).astype(np.int64)


def data_of(page: Path) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found
    value = json.loads(found[1])
    assert isinstance(value, dict)
    return value


def test_picture_is_coloured_by_count(hexagons: Partition, tmp_path: Path) -> None:
    out = draw_cells(tmp_path / "new" / "cells.png", hexagons, "Cells")
    image = pixels(out)
    assert image.shape[1] > 1000
    first = out.read_bytes()
    assert draw_cells(out, hexagons, "Cells").read_bytes() == first
    for colour in (COLOURS[-1], SEA):
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(image - rgb).sum(axis=-1) < 6).sum() > 500, colour  # the fullest cell, and the sea
    assert [path.name for path in out.parent.iterdir()] == ["cells.png"]
    svg = draw_cells(tmp_path / "cells.svg", hexagons, "Cells & more").read_text()
    assert "Cells &amp; more" in svg
    assert "800 training locations from a test" in svg


def test_world_of_voronoi_cells_is_drawn(everywhere: Partition, tmp_path: Path) -> None:
    image = pixels(draw_cells(tmp_path / "cells.png", everywhere))
    assert image.shape[1] > 1.6 * image.shape[0]


def test_page_holds_every_cell_and_needs_no_network(hexagons: Partition, tmp_path: Path) -> None:
    out = draw_cells(tmp_path / "cells.html", hexagons, "A <b> & c", caption="</script> locations")
    text = out.read_text(encoding="utf-8")
    assert "<h1>A &lt;b&gt; &amp; c</h1>" in text
    assert "&lt;/script&gt; locations" in text
    assert not re.search(
        r"https?://|//cdn|@import|\bsrc=(?!\"data:)|\bhref=(?!\"data:)|fetch\(|XMLHttpRequest|url\(", text
    )
    assert "{{" not in text.replace("({...", "")
    data = data_of(out)
    assert data["names"] == list(hexagons.names)
    assert data["counts"] == hexagons.counts.tolist()
    assert data["labels"] == []
    np.testing.assert_allclose(np.array(data["centroids"]), hexagons.centroids, atol=1e-4)
    for rings, polygon in zip(data["cells"], class_polygons(hexagons), strict=True):  # type: ignore[call-overload]
        corners = [np.cumsum(np.array(ring).reshape(-1, 2), axis=0) / data["units"] for ring in rings]  # type: ignore[operator]
        drawn = shapely.Polygon(corners[0])
        assert drawn.symmetric_difference(polygon).area < 0.03 * polygon.area
    assert draw_cells(tmp_path / "again.html", hexagons, "A <b> & c", caption="</script> locations").read_text() == text


def test_cells_over_the_antimeridian_have_two_rings(everywhere: Partition, tmp_path: Path) -> None:
    data = data_of(draw_cells(tmp_path / "cells.htm", everywhere))
    parts = shapely.get_num_geometries(class_polygons(everywhere))
    assert [len(rings) for rings in data["cells"]] == parts.tolist()  # type: ignore[attr-defined]
    assert parts.max() >= 2
    assert data["box"] == [-90.0, -180.0, 90.0, 180.0]  # points lie around both poles


def test_a_name_cannot_end_the_script(tmp_path: Path) -> None:
    from shapely.geometry import box

    from geocell.partitioners import NUTSPartitioner
    from tests.partitioners.conftest import write_regions

    layer = write_regions(tmp_path / "one.geojson", {"</script><i>": box(-5, 38, 0, 42)})
    partition = NUTSPartitioner(layer).fit(IBERIA)
    out = draw_cells(tmp_path / "cells.html", partition)
    assert "</script><i>" not in out.read_text()
    assert data_of(out)["names"] == ["</script><i>"]
    assert data_of(out)["labels"] == ["Region </script><i>"]


def test_bad_input_is_refused(hexagons: Partition, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.png, \.svg or \.html file, got 'cells\.jpg'"):
        draw_cells(tmp_path / "cells.jpg", hexagons)
    with pytest.raises(ValueError, match="latitude comes first"):
        draw_cells(tmp_path / "cells.html", hexagons, bbox=(50, 0, 40, 10))
    hexagons.save(tmp_path / "cells")
    (tmp_path / "cells/partition.json").unlink()
    with pytest.raises(ValueError, match="can only decode"):
        draw_cells(tmp_path / "cells.png", Partition.load(tmp_path / "cells"))
    assert [path.name for path in tmp_path.iterdir()] == ["cells"]


def test_a_box_around_cells_of_unknown_radius_is_that_around_their_centroids(hexagons: Partition) -> None:
    south, west, north, east = box_of(replace(hexagons, radius_km=np.full(len(hexagons), np.nan)))
    lat, lon = hexagons.centroids.T
    assert (south <= lat.min(), west <= lon.min(), north >= lat.max(), east >= lon.max()) == (True,) * 4
    assert north - south < box_of(hexagons)[2] - box_of(hexagons)[0]


def test_the_box_reaches_as_far_as_the_radius() -> None:
    one = replace(H3Partitioner(resolution=3).fit([[0.0, 0.0]]), radius_km=np.array([500.0]))
    degrees = 500.0 / distance_km([0.0, 0.0], [1.0, 0.0]) + 0.5  # the margin is at least half a degree
    np.testing.assert_allclose(box_of(one), [-degrees, -degrees, degrees, degrees], rtol=1e-9)


def test_the_box_holds_the_locations(hexagons: Partition) -> None:
    south, west, north, east = box_of(hexagons)
    low, high = IBERIA.min(axis=0), IBERIA.max(axis=0)
    assert south < low[0] < high[0] < north
    assert west < low[1] < high[1] < east
    assert north - south < 12


def test_nearly_equal_counts_get_no_opposite_colours() -> None:
    assert count_range(np.array([20, 40])) == (20, 80, False)
    assert count_range(np.array([0, 1000])) == (1, 1000, False)


def test_a_few_full_cells_take_the_colours_from_no_other() -> None:
    assert count_range(np.array([*range(1, 201), 9_000])) == (1, 199, True)
    assert count_range(np.array([7, 40]), np.array([5, 300]), np.array([6])) == (5, 300, False)
