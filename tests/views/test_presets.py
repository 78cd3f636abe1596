"""Small files in the shapes that the data sets are published in."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from geocell.views import ColumnNames, ViewTable, read_views
from geocell.views.columns import PresetName
from geocell.views.presets import PRESETS, image_paths, land_share

# rows of im2gps_places365.csv as it circulates: headed LON,LAT, its values are latitude, longitude
IM2GPS = """IMG_ID,AUTHOR,LON,LAT,S3_Label,S16_Label,S365_Label,Prob_indoor,Prob_natural,Prob_urban
104123223_7410c654ba_19_19355699@N00.jpg,19355699@N00,-16.663606,145.563537,1,8,150,0.003,0.778,0.219
1185597181_0158ab4213_1311_43616936@N00.jpg,43616936@N00,42.346571,-71.097228,2,12,312,0.0,0.0,1.0
Athens_00016_516320955_2f7c0642b4_212_36764971@N00.jpg,2f7c0642b4_212_36764971@N00,37.971102,23.726767,2,15,348,0,0,1
"""


def read(folder: Path, preset: str, text: str, name: str = "t.csv", images: tuple[str, ...] = ()) -> ViewTable:
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).write_bytes(image.encode())
    (folder / name).write_text(text)
    return read_views(folder / name, ColumnNames(preset=preset))


def found(table: ViewTable) -> list[str]:
    """Return the content of every image: the path it was written to."""
    return [read_or(table, image) for image in table.frame["image"].tolist()]


def read_or(table: ViewTable, image: str) -> str:
    try:
        return table.images.read(image).decode()
    except FileNotFoundError:
        return "none"


def test_osv5m(tmp_path: Path) -> None:
    text = (
        "id,latitude,longitude,thumb_original_url,country,sequence,captured_at,lon_bin,lat_bin,cell,region,sub-region,"
        "city,land_cover,road_index,drive_side,climate,soil,dist_sea\n"
        '3859149887465501,-43.80,-176.61,,NA,8,0,1,2,"(0, 8)",r,s,c,1,2,3,4,5,6\n'
        '859149887465502,10.5,20.5,,TD,8,0,1,2,"(0, 8)",r,s,c,1,2,3,4,5,6\n'
        '1,10.5,20.5,,TD,8,0,1,2,"(0, 8)",r,s,c,1,2,3,4,5,6\n'
    )
    images = ("images/train/07/3859149887465501.jpg", "images/train/31/859149887465502.jpg")
    table = read(tmp_path, "osv5m", text, "train.csv", images)
    assert found(table) == [*images, "none"]
    assert table.frame["id"].tolist() == ["3859149887465501", "859149887465502", "1"]
    assert table.frame["country"].tolist()[0] == "NA"
    assert table.frame["lat"].tolist() == [-43.8, 10.5, 10.5]


@pytest.mark.parametrize("preset", ["mp16", "yfcc4k", "yfcc26k"])
@pytest.mark.parametrize("identity", ["e8/3b/3351949394.jpg", "e8_3b_3351949394.jpg", "3351949394.jpg"])
def test_flickr_tables(tmp_path: Path, preset: str, identity: str) -> None:
    text = f"IMG_ID,AUTHOR,LAT,LON,S3_Label,S16_Label,S365_Label\n{identity},1@N00,48.8,2.3,1,2,3\n"
    for n, image in enumerate(("mp16/e8/3b/3351949394.jpg", "e8_3b_3351949394.jpg", "3351949394.jpg")):
        folder = tmp_path / str(n)
        assert found(read(folder, preset, text, images=(image, "other/e9_3b_5.jpg"))) == [image]


def test_im2gps_with_exchanged_headings(tmp_path: Path) -> None:
    images = (
        "imgs/Queensland_00011_104123223_7410c654ba_19_19355699@N00.jpg",
        "imgs/1185597181_0158ab4213_1311_43616936@N00.jpg",
        "imgs/Athens_00016_516320955_2f7c0642b4_212_36764971@N00.jpg",
    )
    table = read(tmp_path, "im2gps", IM2GPS, images=images)
    assert table.frame["lat"].tolist() == [-16.663606, 42.346571, 37.971102]
    assert found(table) == list(images)
    assert len(table.remarks) == 1
    assert "exchanged" in table.remarks[0]
    right = read(tmp_path, "im2gps", IM2GPS.replace("LON,LAT", "LAT,LON"), images=images)
    assert right.frame["lat"].tolist() == table.frame["lat"].tolist()
    assert right.remarks == ()


def test_exchanged_headings_without_proof_are_a_remark(tmp_path: Path) -> None:
    rows = [line for line in IM2GPS.splitlines() if "145.56" not in line]
    table = read(
        tmp_path, "im2gps", "\n".join([*rows, *(f"{i}.jpg,a,{-20 - i},{-50 - i},1,1,1,0,0,1" for i in range(5))])
    )
    assert table.frame["lat"].tolist()[0] == -71.097228
    assert "may be exchanged" in table.remarks[0]


def test_without_the_preset_exchanged_headings_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(IM2GPS)
    with pytest.raises(ValueError, match=r"look swapped: 'LAT' and 'LON' .* --lat-column LON --lon-column LAT"):
        read_views(tmp_path / "t.csv", ColumnNames(image_column="IMG_ID"))


def test_land_is_where_people_take_pictures() -> None:
    cities = np.array([[48.1, 11.6], [41.9, -87.9], [-33.5, -70.7], [36.2, 138.2], [-1.3, 36.8]])
    assert land_share(cities) == 1.0
    assert land_share(np.array([[0.0, -30.0], [48.1, 11.6]])) == 0.5


def test_yfcc_has_no_header_and_many_rows_without_a_position(tmp_path: Path) -> None:
    def row(identity: int, lat: str, lon: str) -> str:
        fields = [
            "0",
            str(identity),
            "hash",
            "1@N00",
            'a "nick',
            "2010",
            "1",
            "Canon",
            "title",
            "",
            "tag,tag",
            "",
            lon,
            lat,
        ]
        fields += [
            "16",
            "http://page",
            f"http://host/{identity}.jpg",
            "CC",
            "http://cc",
            "1",
            "2",
            "s",
            "o",
            "jpg",
            "0",
        ]
        return "\t".join(fields)  # fmt: skip

    table = read(tmp_path, "yfcc", row(1, "52.5", "13.4") + "\n" + row(2, "", "") + "\n", "yfcc100m_dataset.txt")
    assert table.frame["image"].tolist() == ["http://host/1.jpg", "http://host/2.jpg"]
    assert table.frame["problem"].tolist() == ["", "no position"]
    assert table.frame["unickname"].tolist()[0] == 'a "nick'
    assert table.frame[["lat", "lon"]].to_numpy().tolist()[0] == [52.5, 13.4]


def test_mapillary(tmp_path: Path) -> None:
    records = [
        {"id": "1", "geometry": {"type": "Point", "coordinates": [10.0, 50.0]}, "compass_angle": 90.0,
         "computed_geometry": {"type": "Point", "coordinates": [10.5, 50.5]}, "computed_compass_angle": 91.5,
         "thumb_2048_url": "https://host/2048", "sequence": "s"},
        {"id": "2", "geometry": {"type": "Point", "coordinates": [11.0, 51.0]}, "thumb_2048_url": "https://host/2"},
        {"id": "3", "thumb_2048_url": "https://host/3"},
    ]  # fmt: skip
    table = read(tmp_path, "mapillary", "\n".join(map(json.dumps, records)), "images.jsonl")
    assert table.frame["lat"].tolist()[:2] == [50.5, 51.0]
    assert table.frame["lon"].tolist()[:2] == [10.5, 11.0]
    assert table.frame["image"].tolist() == ["https://host/2048", "https://host/2", "https://host/3"]
    assert table.frame["problem"].tolist() == ["", "", "no position"]
    assert table.frame["heading"].tolist()[0] == 91.5


def test_msls(tmp_path: Path) -> None:
    text = ",key,lon,lat,ca,captured_at,pano\n0,AbC_1,12.5,55.6,270.0,2018-01-01,False\n"
    table = read(tmp_path, "msls", text, "raw.csv", ("images/AbC_1.jpg",))
    assert found(table) == ["images/AbC_1.jpg"]
    assert table.frame[["lat", "lon", "heading"]].to_numpy().tolist() == [[55.6, 12.5, 270.0]]


def test_kartaview(tmp_path: Path) -> None:
    record = {"id": "7", "lat": "44.1", "lng": "26.2", "heading": "74.00", "fileurlProc": "https://host/proc/7.jpg"}
    table = read(tmp_path, "kartaview", json.dumps(record), "photos.jsonl")
    assert table.frame[["image", "lat", "lon"]].to_numpy().tolist() == [["https://host/proc/7.jpg", 44.1, 26.2]]


def test_google_landmarks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="published without coordinates: join those of your landmark_id"):
        read(tmp_path, "google-landmarks", "id,url,landmark_id\n97c0a12e07ae8dd5,http://u,6347\n", "train.csv")
    text = "id,url,landmark_id,lat,lon\n97c0a12e07ae8dd5,http://u,6347,48.8,2.3\n"
    assert found(read(tmp_path, "google-landmarks", text, "train.csv", ("9/7/c/97c0a12e07ae8dd5.jpg",))) == [
        "9/7/c/97c0a12e07ae8dd5.jpg"
    ]


def test_names_that_are_given_win_and_unknown_presets_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("IMG_ID,LAT,LON,mylat\n3351949394.jpg,1,2,3\n")
    names = ColumnNames(preset="mp16", lat_column="mylat")
    assert read_views(tmp_path / "t.csv", names).frame["lat"].tolist() == [3.0]
    with pytest.raises(ValueError, match="preset must be one of osv5m, mp16"):
        read_views(tmp_path / "t.csv", ColumnNames(preset="imagenet"))
    assert get_args(PresetName) == tuple(PRESETS)


def test_the_documentation_names_every_preset_and_its_columns() -> None:
    page = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for name, preset in PRESETS.items():
        row = next(line for line in rows if f"`{name}`" in line.split("|")[1])
        named = [preset.columns.lat_column, preset.columns.lon_column, preset.columns.image_column]
        assert preset.prepare is not None or all(f"`{column}`" in row for column in named if column), name


def test_a_name_that_no_file_can_have_is_not_there(tmp_path: Path) -> None:
    for name in ("a" * 5000, "a\0b"):
        assert len(image_paths([name], PRESETS["im2gps3k"], tmp_path)) == 1
