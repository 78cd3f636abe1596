from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quickstart import (
    COLUMNS,
    ROWS,
    TILE,
    choose_scenes,
    colourfulness,
    page_map,
    processor_s,
    scene_sheet,
    stage_rows,
)

ROOT = Path(__file__).parents[2]


def tiles(sheet: Image.Image) -> np.ndarray:
    """Return (slots, height, width, 3) tiles of a sheet."""
    width, height = TILE
    pixels = np.asarray(sheet.convert("RGB"), dtype=np.float64)
    rows, columns = pixels.shape[0] // height, pixels.shape[1] // width
    return pixels.reshape(rows, height, columns, width, 3).swapaxes(1, 2).reshape(-1, height, width, 3)


def test_every_tile_of_the_published_sheet_is_a_picture() -> None:
    with Image.open(ROOT / "docs" / "images" / "scenes.jpg") as sheet:
        assert sheet.size == (COLUMNS * TILE[0], ROWS * TILE[1])
        shown = tiles(sheet)
    assert len(shown) == COLUMNS * ROWS
    assert shown.mean(axis=(1, 2, 3)).min() > 50
    assert shown.std(axis=(1, 2)).mean(axis=1).min() > 15


def test_no_row_of_the_published_output_repeats_another() -> None:
    lines = (ROOT / "docs" / "quickstart.txt").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    rows = [line for line in lines if "[" in line and "%" not in line]
    scores = [row[row.index(".") - 4 :].split() for row in rows]
    assert len(rows) == 10
    assert len(set(map(tuple, scores))) == len(rows)


def scene(folder: Path, name: str, colour: tuple[int, int, int]) -> Path:
    image = Image.new("RGB", (336, 336), colour)
    image.paste((255, 255, 255), (0, 0, 336, 42))  # cut off, as is as much below
    image.paste((255, 255, 255), (0, 294, 336, 336))
    image.save(folder / name)
    return folder / name


def test_scenes_fill_their_slots_in_order(tmp_path: Path) -> None:
    colours = [(20 * i + 20, 10, 250 - 20 * i) for i in range(10)]
    sheet = scene_sheet([scene(tmp_path, f"{i}.png", colour) for i, colour in enumerate(colours)])
    np.testing.assert_allclose(tiles(sheet).mean(axis=(1, 2)), colours, atol=0.01)


@pytest.mark.parametrize("n", [0, 9])
def test_a_sheet_with_an_empty_slot_is_refused(tmp_path: Path, n: int) -> None:
    with pytest.raises(ValueError, match=f"must be full, got {n} scenes"):
        scene_sheet([scene(tmp_path, f"{i}.png", (1, 2, 3)) for i in range(n)])


def test_each_country_shows_its_most_colourful_image(tmp_path: Path) -> None:
    rows = [("AT", "grey"), ("AT", "red"), ("BE", "grey"), ("CH", "red"), ("CH", "grey")]
    lines = ["file_name,country"]
    for index, (country, kind) in enumerate(rows):
        scene(tmp_path, f"{index}.png", (90, 90, 90) if kind == "grey" else (220, 30, 40))
        lines.append(f"{index}.png,{country}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    assert [path.name for path in choose_scenes(tmp_path, 3)] == ["1.png", "2.png", "3.png"]
    with pytest.raises(ValueError, match="4 countries, got 3"):
        choose_scenes(tmp_path, 4)


def test_colourfulness_of_grey_is_none(tmp_path: Path) -> None:
    assert colourfulness(scene(tmp_path, "a.png", (90, 90, 90))) == pytest.approx(0)


def test_the_map_keeps_rare_colours(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = (rng.integers(200, 240, (500, 1800, 3)) // 8 * 8).astype(np.uint8)
    pixels[100:112, 100:112] = (179, 32, 58)
    Image.fromarray(pixels).save(tmp_path / "map.png")
    small = page_map(tmp_path / "map.png")
    assert small.size == (1344, 373)
    x = round(106 * 1344 / 1800)
    np.testing.assert_allclose(small.convert("RGB").getpixel((x, x)), (179, 32, 58), atol=12)


def test_stages_that_are_shared_take_their_part_of_the_processor_time() -> None:
    rows = stage_rows([1.0, 41.0, 81.5, 90.0, 95.0], 2)
    assert [row["processor_s"] for row in rows] == ["1.0", "40.0", "40.5", "8.5", "5.0"]
    assert [row["idle_s"] for row in rows] == ["1.0", "20.0", "20.2", "8.5", "5.0"]
    assert [row["shared"] for row in rows] == ["no", "yes", "yes", "no", "no"]


def test_processor_time_grows_with_work() -> None:
    before = processor_s()
    np.linalg.inv(np.random.default_rng(0).normal(size=(600, 600)))
    assert processor_s() > before > 0
