"""Images in, places out: every form of input, the encoder at its revision through the local Hub, answers as files."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from geocell.encoders import load_encoder
from geocell.encoding import encode
from geocell.evaluation.combine import combine
from geocell.features import FeatureCache, join_caches
from geocell.geo.geodesy import distance_km
from geocell.heads.calibration import Calibration
from geocell.heads.ensemble import Ensemble
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head, load_head
from geocell.partitioners import KMeansPartitioner
from geocell.prediction.geolocator import Geolocator
from geocell.prediction.predictions import predict_locations
from geocell.publishing.push import pull_head, push_head
from geocell.training.fit import fit_head
from geocell.views import read_views
from tests.local_hub import Hub
from tests.worlds import make_clip, make_image, make_photos

CELLS = 4
UNKNOWN = "cannot identify image file"


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of 12 locations with two views each, a tiny CLIP, a cache, and a head fitted on it."""
    folder = tmp_path_factory.mktemp("road")
    make_photos(folder, 12, 2)
    encoder = load_encoder(str(make_clip(folder / "clip")), device="cpu")
    locations = encode(read_views(folder / "photos.csv"), encoder, folder / "cache", workers=0).locations()
    cells = KMeansPartitioner(k=CELLS, seed=0).fit(locations.latlon, "a test")
    fit_head(locations, None, cells, FitConfig(epochs=3, device="cpu")).save(folder / "head")
    return folder


@pytest.fixture(scope="module")
def locator(road: Path) -> Geolocator:
    return Geolocator.load(road / "head", device="cpu")


def views(road: Path, i: int) -> list[str]:
    return [f"{road}/img/{i:03d}_{v}.jpg" for v in range(2)]


def test_an_image_gets_the_answer_of_the_cache(road: Path, locator: Geolocator) -> None:
    head, locations = locator.head, FeatureCache.open(road / "cache").locations()
    posterior = head.posterior(locations)
    answers = locator.locate([views(road, i) for i in range(12)], top_k=CELLS)
    assert len(answers) == 12
    for answer, row in zip(answers, posterior, strict=True):
        assert [cell.cell for cell in answer.cells] == np.argsort(-row, kind="stable").tolist()
        assert [cell.probability for cell in answer.cells] == pytest.approx(np.sort(row)[::-1].tolist(), abs=1e-6)
        best = answer.cells[0]
        assert (answer.lat, answer.lon) == tuple(head.partition.centroids[best.cell])
        assert best.name == head.partition.names[best.cell]
    assert answers[3].location == ", ".join(views(road, 3))
    assert answers[1:3].items == answers.items[1:3]


def test_offsets_move_the_answer(road: Path, locator: Geolocator, monkeypatch: pytest.MonkeyPatch) -> None:
    locations = FeatureCache.open(road / "cache").locations()
    config = FitConfig(epochs=5, lr=0.05, offsets=1.0, device="cpu")
    head = fit_head(locations, None, locator.head.partition, config)
    answers = Geolocator(head, locator.encoder, "cpu").locate([views(road, i) for i in range(12)], decode="offset")
    expected = predict_locations(head, locations, decode="offset")
    points = np.array([(a.lat, a.lon) for a in answers])
    assert points == pytest.approx(np.array([(a.lat, a.lon) for a in expected]), abs=1e-5)
    assert np.abs(points - [(a.cells[0].lat, a.cells[0].lon) for a in answers]).max() > 0.1
    monkeypatch.setattr("geocell.prediction.geolocator.encode_asked", None)  # refused before it
    with pytest.raises(ValueError, match="decode offset needs offsets above 0"):
        locator.locate(views(road, 0), decode="offset")


def test_images_of_every_kind(road: Path, locator: Geolocator) -> None:
    path = road / "img" / "000_0.jpg"
    expected = locator.locate(str(path))
    with Image.open(path) as opened:
        image = opened.copy()
    pixels = np.asarray(image)
    for one in (path, image, pixels):
        answer = locator.locate(one)
        assert answer.cells == expected.cells
        assert (answer.lat, answer.lon) == (expected.lat, expected.lon)
    several = locator.locate([path, image, pixels, [path, path]])
    assert [a.location for a in several] == [str(path), "image 1", "image 2", f"{path}, {path}"]
    assert {a.cells[0].cell for a in several} == {expected.cells[0].cell}
    stack = locator.locate(np.stack([pixels, pixels]))  # type: ignore[call-overload]
    for one in stack:
        assert [c.cell for c in one.cells] == [c.cell for c in expected.cells]
        assert one.cells[0].probability == pytest.approx(expected.cells[0].probability, abs=1e-6)
    together = locator.locate([path, str(path)], one_location=True)
    assert together.location == f"{path}, {path}"
    assert [c.cell for c in together.cells] == [c.cell for c in several[3].cells]
    assert together.cells[0].probability == pytest.approx(several[3].cells[0].probability, abs=1e-6)
    grey = locator.locate(pixels[:, :, 0])
    assert grey.cells[0].probability > 0


def same(one: object, other: object) -> None:
    """Predictions are equal within what rounding in batches of another size may change."""
    if isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys()
        for key, value in one.items():
            same(value, other[key])
    elif isinstance(one, list):
        assert isinstance(other, list)
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    else:
        assert one == (pytest.approx(other, rel=1e-4, abs=1e-6) if isinstance(one, float) else other)


def test_any_iterable_of_images(road: Path, locator: Geolocator) -> None:
    lists = [views(road, i) for i in range(3)]
    expected = locator.locate(lists).to_dict()
    same(locator.locate(iter(lists)).to_dict(), expected)
    same(locator.locate(tuple(map(tuple, lists))).to_dict(), expected)
    same(locator.locate((str(path) for path in place) for place in lists).to_dict(), expected)
    same(locator.locate(np.array(lists)).to_dict(), expected)
    same(locator.locate(pd.Series(lists)).to_dict(), expected)
    one = locator.locate((Path(path) for path in lists[0]), one_location=True)
    same(one.to_dict(), expected["predictions"][0])
    same(locator.locate(dict.fromkeys(lists[0]).keys()).to_dict(), locator.locate(lists[0]).to_dict())


def test_images_of_a_generator_are_not_kept(road: Path, locator: Geolocator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million images must not lie in memory at once: as many as are encoded together do."""
    monkeypatch.setattr("geocell.prediction.encoding.BATCH_SIZE", 4)
    pixels = np.asarray(Image.open(views(road, 0)[0]))
    made: list[weakref.ref[Image.Image]] = []
    alive: list[int] = []

    def images() -> Iterator[Image.Image]:
        for _ in range(60):
            image = Image.fromarray(pixels)
            made.append(weakref.ref(image))
            alive.append(sum(one() is not None for one in made))
            yield image

    assert len(locator.locate(images())) == 60
    assert 4 <= max(alive) <= 20


@pytest.mark.loopback
def test_an_image_from_an_address(hub: Hub, road: Path, locator: Geolocator) -> None:
    hub.put("you/photos", {"a.jpg": (road / "img" / "000_0.jpg").read_bytes(), "b.jpg": b"broken"})
    address = f"{hub.url}/you/photos/resolve/main"
    answer = locator.locate(f"{address}/a.jpg")
    assert answer.cells == locator.locate(road / "img" / "000_0.jpg").cells
    assert answer.location == f"{address}/a.jpg"
    with pytest.raises(ValueError, match=r"b\.jpg must be a readable image"):
        locator.locate(f"{address}/b.jpg")
    with pytest.raises(ValueError, match=r"none\.jpg must be a readable image, got .*404"):
        locator.locate(f"{address}/none.jpg")


def test_what_is_no_image(road: Path, locator: Geolocator) -> None:
    with pytest.raises(ValueError, match="needs at least one image, got none"):
        locator.locate([])
    with pytest.raises(ValueError, match="a location must be an image or a list of images, got an empty list"):
        locator.locate([[]])
    with pytest.raises(ValueError, match=r"none\.jpg must be a readable image, got no such file"):
        locator.locate("none.jpg")
    with pytest.raises(ValueError, match=r"an array must be an image of bytes, .* got float64 \(8, 8, 3\) as view 1"):
        locator.locate([views(road, 0)[0], np.zeros((8, 8, 3))])
    with pytest.raises(ValueError, match="needs at least one image, got none"):
        locator.locate(iter(()))
    for stranger in (b"bytes", {"a": views(road, 0)[0]}, 3, None, [views(road, 0)[0], 3], [[b"bytes"]]):
        with pytest.raises(ValueError, match="an image must be a path, a URL, a Pillow image or an array, got"):
            locator.locate(stranger)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="a location must be an image or a list of images, got a list inside its list"):
        locator.locate([[[views(road, 0)[0]]]])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="a location must be an image or a list of images, got a list inside its list"):
        locator.locate([views(road, 0)], one_location=True)  # type: ignore[list-item]
    for top_k in (0, 1.5, "3", True):
        with pytest.raises(ValueError, match=f"top_k must be a whole number of at least 1, got {top_k!r}"):
            locator.locate("none.jpg", top_k=top_k)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="decode must be one of"):
        locator.locate("none.jpg", decode="best")


def test_an_unreadable_image_is_a_row_with_its_reason(road: Path, locator: Geolocator, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    good = views(road, 0)
    asked = [good[0], "none.jpg", [*good, str(tmp_path / "broken.jpg")], tmp_path / "broken.jpg"]
    answers = locator.locate(asked, on_error="row")
    assert [a.answered for a in answers] == [True, False, True, False]
    assert [a.problem for a in answers[:2]] == ["", "no such file"]
    assert answers[3].problem.startswith(UNKNOWN)
    assert answers[2].problem.startswith(f"1 of 3 views could not be read, the first {tmp_path}/broken.jpg: {UNKNOWN}")
    same(answers[2].to_dict()["cells"], locator.locate(good, one_location=True).to_dict()["cells"])
    assert locator.locate("none.jpg", on_error="row").cells == ()
    with pytest.raises(ValueError, match=r"broken\.jpg must be a readable image, got cannot identify image file"):
        locator.locate(asked[2:3])
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'row', got 'skip'"):
        locator.locate(good, on_error="skip")  # type: ignore[call-overload]


def test_what_encode_takes_is_answered(road: Path, locator: Geolocator, tmp_path: Path) -> None:
    """A table has its locations and the truth; a folder and shards have one answer per image."""
    expected = locator.locate([views(road, i) for i in range(12)])
    table = pd.read_csv(road / "photos.csv")
    answers = locator.locate_inputs([road / "photos.csv"])
    assert [a.location for a in answers] == [f"loc{i:03d}" for i in range(12)]
    same([a.to_dict()["cells"] for a in answers], [a.to_dict()["cells"] for a in expected])
    assert answers[3].truth == tuple(table.loc[6, ["latitude", "longitude"]])
    assert answers[3].distance_km == pytest.approx(distance_km(answers[3].truth, (answers[3].lat, answers[3].lon)))
    hidden = locator.locate_inputs([road / "photos.csv"], truth=False)
    assert [a.truth for a in hidden] == [None] * 12

    table[["file_name"]].assign(file_name=[f"{road}/{name}" for name in table["file_name"]]).to_parquet(
        tmp_path / "t.parquet"
    )
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        tar.add(views(road, 0)[0], "a.jpg")
        tar.add(views(road, 0)[1], "b.jpg")
    mixed = locator.locate_inputs([tmp_path / "t.parquet", tmp_path / "s.tar", road / "img", views(road, 1)[0]])
    assert len(mixed) == 24 + 2 + 24 + 1
    assert [a.location for a in mixed[24:28]] == ["s.tar::a.jpg", "s.tar::b.jpg", "000_0.jpg", "000_1.jpg"]
    single = locator.locate(views(road, 0)[1]).to_dict()["cells"]
    for row in (1, 25, 27):
        same(mixed[row].to_dict()["cells"], single)
    together = locator.locate_inputs([tmp_path / "s.tar"], one_location=True)
    same([a.to_dict()["cells"] for a in together], [expected[0].to_dict()["cells"]])


def test_the_truth_of_a_photo_is_its_exif_position(locator: Geolocator, tmp_path: Path) -> None:
    make_image(tmp_path / "a.jpg", 1, (48.5, -11.25))
    make_image(tmp_path / "b.jpg", 2)
    a, b = locator.locate_inputs([tmp_path])
    assert a.truth == pytest.approx((48.5, -11.25), abs=1e-6)
    assert b.truth is None
    assert locator.locate(tmp_path / "a.jpg").truth is None  # Python asks for it


def test_a_table_whose_coordinates_are_unusable_is_answered_without_the_truth(
    road: Path, locator: Geolocator, tmp_path: Path
) -> None:
    rows = [
        "image,lat,lon",
        f"{views(road, 0)[0]},,",
        f"{views(road, 1)[0]},95,3",
        f"{views(road, 2)[0]},x,1",
        "gone.jpg,1,2",
    ]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    answers = locator.locate_inputs([tmp_path / "t.csv"])
    assert [a.truth for a in answers] == [None, None, None, (1.0, 2.0)]
    assert [a.problem for a in answers] == ["", "", "", "no such file"]


def test_thumbnails_are_small_upright_and_without_metadata(
    road: Path, locator: Geolocator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # turned by a quarter
    exif[ExifTags.Base.Artist] = "somebody"
    pixels = np.random.default_rng(0).integers(0, 256, (300, 600, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    (answer,) = locator.locate([tmp_path / "a.jpg"])
    (thumbnail,) = answer.thumbnails
    assert len(thumbnail) <= 12_000
    with Image.open(io.BytesIO(thumbnail)) as image:
        assert image.height == 168
        assert image.width == pytest.approx(84, abs=1)
        assert not image.getexif()
    assert b"somebody" not in thumbnail
    monkeypatch.setattr("geocell.prediction.geolocator.MOST_THUMBNAILS", 5)
    several = locator.locate([views(road, i) for i in range(4)])
    assert [len(a.thumbnails) for a in several] == [2, 2, 1, 0]


def test_an_ensemble_is_loaded_by_its_folder(road: Path, locator: Geolocator, tmp_path: Path) -> None:
    Ensemble((load_head(road / "head"), load_head(road / "head"))).save(tmp_path / "both")
    both = Geolocator.load(tmp_path / "both", device="cpu")
    same(both.locate(views(road, 0)[0]).to_dict(), locator.locate(views(road, 0)[0]).to_dict())


def test_the_head_computes_where_it_is_told_to(road: Path, locator: Geolocator) -> None:
    with pytest.raises(ValueError, match="device must be auto"):
        replace(locator, device="tpu").locate(views(road, 0))


def test_it_is_shown_in_a_line(road: Path, locator: Geolocator) -> None:
    assert repr(locator).startswith("<Geolocator of <Head clip D=32 on <Partition kmeans: 4 cells, sha256 ")
    locations = FeatureCache.open(road / "cache").locations()
    assert repr(locations) == "<Locations: 12 with 24 views, clip D=32>"


def test_another_encoder_is_refused(road: Path, locator: Geolocator, tmp_path: Path) -> None:
    other = make_clip(tmp_path / "clip", seed=9)
    with pytest.raises(ValueError, match="must share one encoder"):
        Geolocator.load(road / "head", encoder=str(other), device="cpu")
    with pytest.raises(ValueError, match="the head and the encoder must share one encoder"):
        Geolocator(locator.head, load_encoder(str(other), device="cpu"))


@pytest.mark.loopback
def test_a_combination_is_pushed_pulled_and_asked(hub: Hub, road: Path, tmp_path: Path) -> None:
    locations = FeatureCache.open(road / "cache").locations()
    cells = KMeansPartitioner(k=6, seed=1).fit(locations.latlon)
    other = fit_head(locations, None, cells, FitConfig(epochs=3, device="cpu"))
    learned = Calibration(1.5, {25: 0.2, 200: 0.5, 750: 0.9}, "balscore", {50: 0.5, 90: 2.0})
    made = replace(combine([load_head(road / "head"), other], locations, knn=True), calibration=learned)
    made.save(tmp_path / "both")
    with pytest.raises(ValueError, match="vote in this combination: pass --with-neighbours"):
        push_head(tmp_path / "both", "me/both")
    push_head(tmp_path / "both", "me/both", with_neighbours=True)
    assert {"combination.json", "neighbours.safetensors", "0/model.safetensors", "1/hashes.json"} <= set(
        hub.files("me/both")
    )
    assert b"clip/" not in b"".join(hub.files("me/both").values())  # no path of this machine
    pull_head("me/both", tmp_path / "copy")
    asked = [views(road, i) for i in range(12)]
    answers = {
        name: Geolocator.load(name, encoder=str(road / "clip"), device="cpu").locate(asked, top_k=12)
        for name in ("me/both@main", str(tmp_path / "copy"), str(tmp_path / "both"))
    }
    points = np.concatenate([points for _, _, points in made.answer_chunks(locations, "balscore", "cpu")])
    posterior = made.posterior(locations, "cpu")
    for found in answers.values():
        assert {answer.decoder for answer in found} == {"balscore"}
        assert all(answer.calibrated for answer in found)
        assert np.array([(answer.lat, answer.lon) for answer in found]) == pytest.approx(points, abs=1e-6)
        rows = [[cell.probability for cell in sorted(answer.cells, key=lambda cell: cell.cell)] for answer in found]
        assert np.array(rows) == pytest.approx(posterior, abs=1e-6)
    load_head(road / "head").save(tmp_path / "one")
    push_head(tmp_path / "one", "me/both")  # a head in its place leaves no member behind
    assert set(hub.files("me/both")) == {path.name for path in (tmp_path / "one").iterdir()} | {"partition.png"}


@pytest.mark.loopback
def test_heads_of_two_encoders_are_pushed_pulled_and_asked(hub: Hub, road: Path, tmp_path: Path) -> None:
    second = load_encoder(str(make_clip(road / "other-clip", seed=5)), device="cpu")
    other = encode(read_views(road / "photos.csv"), second, tmp_path / "other", workers=0).locations()
    cells = KMeansPartitioner(k=6, seed=1).fit(other.latlon)
    members = [load_head(road / "head"), fit_head(other, None, cells, FitConfig(epochs=3, device="cpu"))]
    both = join_caches([road / "cache", tmp_path / "other"], tmp_path / "both").locations()
    made = combine(members, both, knn=True)
    alone = [made.member_masses(both, "cpu")[i] for i in range(2)]
    for mass, member, locations in zip(
        alone, members, (FeatureCache.open(road / "cache").locations(), other), strict=True
    ):
        posterior = member.posterior(locations, "cpu")
        cell = member.partition.assign(made.partition.centroids)
        assert mass == pytest.approx(np.stack([posterior[:, c] / (cell == c).sum() for c in cell], axis=1), abs=1e-6)
    with pytest.raises(ValueError, match=r"must share one encoder; the combination: name='clip \+ other-clip'"):
        made.posterior(other)
    made.save(tmp_path / "made")
    push_head(tmp_path / "made", "me/two", with_neighbours=True)
    sources = f"{road / 'clip'} + {road / 'other-clip'}"
    here = Geolocator.load(tmp_path / "made", device="cpu")
    there = Geolocator.load("me/two@main", encoder=sources, device="cpu")
    asked = [views(road, i) for i in range(12)]
    for locator in (here, there):
        answers = locator.locate(asked, top_k=12)
        rows = [[cell.probability for cell in sorted(answer.cells, key=lambda cell: cell.cell)] for answer in answers]
        assert np.array(rows) == pytest.approx(made.posterior(both, "cpu"), abs=1e-6)
    card = hub.files("me/two")["README.md"].decode()
    assert "clip + other-clip" in card


@pytest.mark.slow
@pytest.mark.loopback
def test_fit_push_and_locate_in_another_process(hub: Hub, road: Path, tmp_path: Path) -> None:
    """The head and the encoder come from the Hub, the encoder at the revision that the head was fitted on."""
    commit = hub.put("you/encoder", road / "clip")
    fitted = load_head(road / "head")
    on_hub = replace(fitted.encoder, name="you/encoder", revision=commit, source="you/encoder")
    Head(fitted.module, fitted.partition, on_hub, fitted.config, fitted.training).save(tmp_path / "head")
    card = push_head(tmp_path / "head", "me/head").card
    hub.put("you/encoder", {"model.safetensors": b"another one"})
    lines = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert lines is not None
    assert len([line for line in lines[1].splitlines() if line]) < 6
    photo, locations = tmp_path / "photo.jpg", FeatureCache.open(road / "cache").locations()
    photo.write_bytes((road / "img" / "000_0.jpg").read_bytes())
    everything = [views(road, i) for i in range(12)]
    program = f"""{lines[1]}
import json
answers = locator.locate({everything!r}, top_k={CELLS})
print(json.dumps([[c.probability for c in sorted(a.cells, key=lambda c: c.cell)] for a in answers]))
"""
    run = [sys.executable, "-c", program]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        run, check=False, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.strip().split("\n")
    answer = Geolocator.load(road / "head", device="cpu").locate(photo)
    assert first == f"{answer.lat} {answer.lon} 50 % within {answer.radius_50_km:.0f} km"
    assert np.array(json.loads(last)) == pytest.approx(fitted.posterior(locations), abs=1e-6)
    assert hub.asked(rf"you/encoder/resolve/{commit}/model\.safetensors")
    assert not hub.asked(r"you/encoder/resolve/main/model")
