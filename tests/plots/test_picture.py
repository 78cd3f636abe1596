"""Pictures: size, colours, the same bytes; and the geometry and colouring beneath them."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from geocell.geo.geodesy import distance_km
from geocell.partitioners import H3Partitioner, KMeansPartitioner, Partition
from geocell.plots import MapPanel, draw_audits, draw_map, draw_maps
from geocell.plots.audit_chart import KIND_COLOURS
from geocell.plots.history_chart import draw_history
from geocell.plots.panel import ERROR_COLOURS, PREDICTED_COLOUR, SEA, error_class
from geocell.plots.paths import WORLD, extent, great_circle, require_box, split_at_antimeridian
from geocell.plots.rasters import CELL_COLOURS, NO_CELL, Ints, cell_image, colour_cells, pixel_centres

IBERIA = np.array(
    [[38.7, -9.1], [40.4, -3.7], [37.4, -6.0], [41.4, 2.2], [43.3, -8.4], [39.5, -0.4], [41.1, -8.6], [36.7, -4.4]]
)
FARAWAY = IBERIA + np.array([[0.1, 0.1], [1.2, 0], [5.9, 0], [-0.1, 0], [0, 1], [0, -7.5], [0.05, 0], [0, 0.02]])
places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@pytest.fixture(scope="module")
def cells() -> Partition:
    return H3Partitioner(resolution=2, min_count=1).fit(IBERIA)


@pytest.fixture(scope="module")
def centroids_only(cells: Partition, tmp_path_factory: pytest.TempPathFactory) -> Partition:
    folder = tmp_path_factory.mktemp("cells") / "partition"
    cells.save(folder)
    (folder / "partition.json").unlink()
    return Partition.load(folder)


def pixels(picture: Path) -> Ints:
    """(rows, columns, 3) of 0 … 255."""
    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB")).astype(np.int64)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def count(picture: Path, colour: str) -> int:
    return int((pixels(picture) == np.array(rgb(colour))).all(axis=-1).sum())


@pytest.mark.slow
def test_picture_shows_truth_answers_cells_and_sea(cells: Partition, tmp_path: Path) -> None:
    out = draw_map(tmp_path / "new" / "map.png", IBERIA, FARAWAY, cells, "H3", "a subtitle", caption="synthetic")
    assert out == tmp_path / "new" / "map.png"
    height, width, _ = pixels(out).shape
    assert 1000 < width < 1500
    assert 1000 < height < 1500
    assert {int(i) for i in error_class(distance_km(IBERIA, FARAWAY))} == {0, 1, 2}
    for colour in ERROR_COLOURS:
        assert count(out, colour) > 30  # the legend shows every class
    assert count(out, ERROR_COLOURS[0]) > 2 * count(out, ERROR_COLOURS[3])
    assert count(out, PREDICTED_COLOUR) > 100
    assert count(out, SEA) > 10_000
    assert sum(count(out, colour) > 5_000 for colour in CELL_COLOURS) >= 2
    assert [path.name for path in out.parent.iterdir()] == ["map.png"]


@pytest.mark.slow
def test_same_input_same_bytes_whatever_the_style(cells: Partition, tmp_path: Path) -> None:
    first = draw_map(tmp_path / "a.png", IBERIA, FARAWAY, cells, "H3").read_bytes()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        second = draw_map(tmp_path / "a.png", IBERIA, FARAWAY, cells, "H3").read_bytes()
        assert mpl.rcParams["font.size"] == 30
    assert first == second


@pytest.mark.slow
def test_svg_is_the_same_each_time_and_carries_no_date(cells: Partition, tmp_path: Path) -> None:
    first = draw_map(tmp_path / "a.svg", IBERIA, FARAWAY, cells, "Cells & points").read_text()
    assert first == draw_map(tmp_path / "b.SVG", IBERIA, FARAWAY, cells, "Cells & points").read_text()
    assert first.startswith("<?xml")
    assert "Cells &amp; points" in first
    assert "dc:date" not in first


@pytest.mark.slow
def test_panels_share_one_picture(cells: Partition, centroids_only: Partition, tmp_path: Path) -> None:
    panels = [MapPanel(IBERIA, FARAWAY, cells, "assigns"), MapPanel(IBERIA, FARAWAY, centroids_only, "decodes")]
    alone, both, three = (
        pixels(draw_maps(tmp_path / f"{n}.png", [*panels, panels[0]][:n], "Title")) for n in (1, 2, 3)
    )
    assert both.shape[1] == three.shape[1] > 1.2 * alone.shape[1]
    assert three.shape[0] > 1.6 * both.shape[0]
    middle = both.shape[1] // 2
    left, right = (
        {tuple(colour) for colour in half.reshape(-1, 3).tolist()} for half in (both[:, :middle], both[:, middle:])
    )
    pastel = {rgb(colour) for colour in CELL_COLOURS}
    assert pastel & left
    assert not pastel & right  # a partition that only decodes shows no regions


def test_world_map_with_a_line_over_the_antimeridian(cells: Partition, tmp_path: Path) -> None:
    truth = np.array([[-17.0, 179.0], [10.0, 20.0], [10.0, -90.0]])
    predicted = np.array([[-17.0, -160.0], [10.0, 20.0], [10.0, -90.0]])
    out = draw_map(tmp_path / "world.png", truth, predicted, cells, "World")
    image = pixels(out)
    line = 0.6 * np.array(rgb(ERROR_COLOURS[3])) + 0.4 * np.array(rgb(SEA))
    band = image[int(0.3 * len(image)) : int(0.85 * len(image))]
    red = (np.abs(band - line).sum(axis=-1) < 40).any(axis=0)
    width = image.shape[1]
    assert red[int(0.03 * width) : int(0.06 * width)].all()  # from the left edge to the answer
    assert not red[int(0.12 * width) : int(0.9 * width)].any()  # and not across the map


def test_open_sea_and_inland_boxes_are_drawn(cells: Partition, tmp_path: Path) -> None:
    for name, box in {"sea": (-2.0, -30.0, 2.0, -24.0), "land": (47.5, 8.5, 48.5, 10.5)}.items():
        out = draw_map(tmp_path / f"{name}.png", IBERIA, IBERIA, cells, name, bbox=box)
        assert (count(out, SEA) > 10_000) == (name == "sea")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": Path("map.jpg")}, r"must be written to a \.png or \.svg file, got 'map\.jpg'"),
        ({"predicted": IBERIA[:3]}, "got 8 true and 3 predicted"),
        ({"truth": np.empty((0, 2)), "predicted": np.empty((0, 2))}, "got 0 true and 0 predicted"),
        ({"truth": IBERIA[:, ::-1] * 40}, "truth must be degrees"),
        ({"bbox": (-9.0, 36.0, 3.0, 30.0)}, r"bbox must be degrees \(south, west, north, east\)"),
    ],
)
def test_bad_input_is_refused(change: dict[str, object], message: str, cells: Partition, tmp_path: Path) -> None:
    arguments = {
        "out": Path("map.png"),
        "truth": IBERIA,
        "predicted": FARAWAY,
        "partition": cells,
        "title": "x",
    } | change
    arguments["out"] = tmp_path / str(arguments["out"])
    with pytest.raises(ValueError, match=message):
        draw_map(**arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_no_panels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one panel"):
        draw_maps(tmp_path / "map.png", [])


def test_audits_are_drawn_by_kind(tmp_path: Path) -> None:
    rows = [
        {"partition": f"cells/{kind}{n}", "kind": kind, "n_cells": n, "balscore": 1 - size / n}
        for size, kind in enumerate(("h3", "kmeans"), 1)
        for n in (10, 100, 1000, 1001)
    ]
    out = draw_audits(tmp_path / "audits.png", rows, "Ceilings", "synthetic")
    first = out.read_bytes()
    assert pixels(out).shape == (800, 1280, 3)
    assert all(count(out, colour) > 200 for colour in KIND_COLOURS[:2])
    assert not any(count(out, colour) > 50 for colour in KIND_COLOURS[2:5])
    assert draw_audits(tmp_path / "audits.png", rows[::-1], "Ceilings", "synthetic").read_bytes() == first
    assert "kmeans1000" in draw_audits(tmp_path / "audits.svg", rows).read_text()
    with pytest.raises(ValueError, match="at least one row"):
        draw_audits(out, [])
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        draw_audits(tmp_path / "audits.jpg", rows)


def test_missing_matplotlib_names_the_extra(cells: Partition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "geocell-heads\[maps\]"'):
        draw_map(tmp_path / "map.png", IBERIA, FARAWAY, cells, "x")


def test_error_classes_include_their_upper_end() -> None:
    assert error_class([0, 25, 25.01, 200, 750, 750.1, 20_000]).tolist() == [0, 0, 1, 1, 2, 3, 3]


@settings(max_examples=60, deadline=None)
@given(places, places)
def test_great_circle_is_the_shortest_path(a: tuple[float, float], b: tuple[float, float]) -> None:
    path = great_circle(a, b)
    steps = distance_km(path[:-1], path[1:])
    assert path[0].tolist() == list(a)
    assert path[-1].tolist() == list(b)
    assert steps.max() <= 50.0 + 1e-6
    assert steps.sum() == pytest.approx(float(distance_km(a, b)), abs=1e-3)


def test_great_circle_between_antipodes_and_at_one_point() -> None:
    assert distance_km(*great_circle([90, 0], [-90, 0])[[0, -1]]) == pytest.approx(20015.1, abs=0.1)
    assert np.isfinite(great_circle([0, 0], [0, 180])).all()
    assert great_circle([5, 6], [5, 6]).tolist() == [[5, 6], [5, 6]]


def test_a_path_over_the_antimeridian_is_cut_there() -> None:
    east, west = split_at_antimeridian([[10.0, 170.0], [20.0, -170.0], [20.0, -160.0]])
    assert east.tolist() == [[10.0, 170.0], [15.0, 180.0]]
    assert west.tolist() == [[15.0, -180.0], [20.0, -170.0], [20.0, -160.0]]


def test_a_path_is_cut_in_both_directions_as_often_as_it_crosses() -> None:
    pieces = split_at_antimeridian([[0.0, -179.0], [4.0, 179.0], [0.0, -179.0]])
    assert [piece.tolist() for piece in pieces] == [
        [[0.0, -179.0], [2.0, -180.0]],
        [[2.0, 180.0], [4.0, 179.0], [2.0, 180.0]],
        [[2.0, -180.0], [0.0, -179.0]],
    ]


def test_a_path_that_stays_on_one_side_is_one_piece() -> None:
    path = [[0.0, -90.0], [10.0, 90.0], [0.0, 0.0]]
    assert [piece.tolist() for piece in split_at_antimeridian(path)] == [path]
    assert len(split_at_antimeridian([[1.0, 180.0], [1.0, -180.0]])) == 2


@settings(max_examples=60, deadline=None)
@given(places, places)
def test_no_piece_runs_across_the_map(a: tuple[float, float], b: tuple[float, float]) -> None:
    pieces = split_at_antimeridian(great_circle(a, b))
    assert all((np.abs(np.diff(piece[:, 1])) <= 180).all() for piece in pieces)
    for before, after in pairwise(pieces):
        assert before[-1, 0] == after[0, 0]
        assert abs(before[-1, 1]) == 180
        assert before[-1, 1] == -after[0, 1]


def test_extent() -> None:
    assert extent([[40.0, 0.0], [50.0, 20.0]], margin=0.1) == (38.0, -2.0, 52.0, 22.0)
    assert extent([[10.0, 10.0]]) == (9.5, 9.5, 10.5, 10.5)
    assert extent([[89.9, 179.9], [80.0, 100.0]])[2:] == (90.0, 180.0)
    assert extent([[0.0, -100.0], [0.0, 0.0], [0.0, 100.0]]) == WORLD
    assert require_box(WORLD) == WORLD
    assert require_box((-20.0, 170.0, 10.0, 190.0)) == (-20.0, 170.0, 10.0, 190.0)
    for box in ((-20.0, 170.0, 10.0, 531.0), (-20.0, 190.0, 10.0, 200.0), (-20.0, 170.0, 10.0, -170.0)):
        with pytest.raises(ValueError, match="has an east above 180"):
            require_box(box)


def test_a_map_past_the_antimeridian_is_the_same_map_elsewhere(tmp_path: Path) -> None:
    """Points in the open sea and cells of one layout, 70° apart: the pictures differ in nothing but the coast."""
    truth = np.array([[40.0, 178.5], [41.0, -179.0], [42.5, -177.5], [41.5, 179.5]])
    predicted = np.array([[42.0, -178.5], [41.0, 179.2], [40.5, -178.0], [41.5, 179.5]])
    drawn = []
    for turn in (0.0, 40.0):
        places = [np.add(points, [0.0, turn]) for points in (truth, predicted)]
        for points in places:
            points[:, 1] = (points[:, 1] + 180.0) % 360.0 - 180.0
        cells = KMeansPartitioner(k=3, min_count=1).fit(np.vstack(places))
        box = extent(np.vstack(places))
        assert (box[3] > 180.0) == (turn == 0.0)
        image = pixels(draw_map(tmp_path / "map.png", *places, cells, "Sea"))
        assert np.array_equal(image, pixels(draw_map(tmp_path / "map.png", *places, cells, "Sea", bbox=box)))
        drawn.append(image.astype(np.int64))
    assert drawn[0].shape == drawn[1].shape
    assert (np.abs(drawn[0] - drawn[1]).max(axis=-1) > 60).mean() < 1e-3


def test_neighbouring_cells_differ_in_colour() -> None:
    rng = np.random.default_rng(0)
    seeds = rng.random((120, 2)) * 100
    grid = np.stack(np.meshgrid(np.arange(100), np.arange(100), indexing="ij"), axis=-1)
    raster = np.linalg.norm(grid[..., None, :] - seeds, axis=-1).argmin(axis=-1)
    raster[:10] = NO_CELL
    colours = colour_cells(raster)
    assert set(colours) == set(raster[raster >= 0].tolist())
    assert set(colours.values()) == set(range(len(CELL_COLOURS)))
    for left, right in ((raster[:, :-1], raster[:, 1:]), (raster[:-1], raster[1:])):
        for a, b in zip(left.ravel().tolist(), right.ravel().tolist(), strict=True):
            assert a == b or NO_CELL in (a, b) or colours[a] != colours[b]
    assert colours == colour_cells(raster)


def test_more_touching_cells_than_colours_still_get_one() -> None:
    n = len(CELL_COLOURS) + 2
    everyone_touches = np.array([[i, j] for i in range(n) for j in range(n)]).reshape(n, -1)
    assert set(colour_cells(everyone_touches)) == set(range(n))
    assert colour_cells(np.full((3, 3), NO_CELL)) == {}


def test_cell_image_is_transparent_without_a_cell_and_pale_by_fallback() -> None:
    raster = np.array([[0, 0, 0, 0, NO_CELL], [0, 0, 0, 0, NO_CELL]])
    fallback = np.array([[False, True, False, False, False]] * 2)
    image = cell_image(raster, fallback)
    assert image[0, :, 3].tolist() == [1, 1, 1, 1, 0]
    assert (image[0, 1, :3] > image[0, 0, :3]).all()
    assert image[0, 3, :3].tolist() == [1, 1, 1]  # the border


def test_pixel_centres_run_from_north_west() -> None:
    lat, lon = pixel_centres((40.0, 10.0, 44.0, 12.0), (2, 4))
    assert lat.tolist() == [43.0, 41.0]
    assert lon.tolist() == [10.25, 10.75, 11.25, 11.75]


def test_the_history_of_a_fit_is_drawn(tmp_path: Path) -> None:
    nan = float("nan")
    history = [
        {"epoch": e, "lr": 0.1 / (e + 1), "train_loss": nan if e == 0 else 3.0 / e, "val_balscore": 0.1 * e,
         "val_median_km": 90.0 - e, "val_mean_km": 99.0}
        for e in range(6)
    ]  # fmt: skip
    out = draw_history(tmp_path / "history.png", history, 4, "A fit")
    first = out.read_bytes()
    assert draw_history(out, history, 4, "A fit").read_bytes() == first
    assert draw_history(out, history, 3, "A fit").read_bytes() != first
    bare = [{**row, "val_balscore": nan, "val_median_km": nan} for row in history]
    assert "kept: epoch 5" in draw_history(tmp_path / "bare.svg", bare, 5, "No validation").read_text()
    with pytest.raises(ValueError, match="needs its history, and this head has none"):
        draw_history(out, [], 0, "A fit")
