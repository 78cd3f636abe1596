"""Which columns of two tables hold the same ids: one pair is chosen and told, and nothing is guessed."""

import json
from pathlib import Path

import pytest

import geocell as gc
from geocell.cli.app import main

POINTS = [(48.0, 2.0), (52.0, 13.0), (41.0, 12.0), (40.0, -4.0)]


def table(path: Path, **columns: list[str]) -> Path:
    """Write a table of the points with columns of ids."""
    rows = [[*ids, f"{lat}", f"{lon}"] for *ids, (lat, lon) in zip(*columns.values(), POINTS, strict=True)]
    path.write_text("\n".join(map(",".join, [[*columns, "lat", "lon"], *rows])) + "\n")
    return path


A, B, NUMBERS = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], ["k", "l", "m", "n"], ["1", "2", "3", "4"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_one_pair_that_fits_is_taken_and_told(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    p = table(tmp_path / "p.csv", location=A)
    t = table(tmp_path / "t.csv", id=NUMBERS, file_name=A[::-1], location=B)
    if kind == "parquet":
        import pandas as pd

        t = t.with_suffix(".parquet")
        pd.read_csv(tmp_path / "t.csv").to_parquet(t)
    with pytest.warns(UserWarning, match="column location are those of the column file_name of .*by which rows are"):
        scores = gc.score_predictions(p, t)
    assert scores.id_columns == {"predictions": "location", "truth": "file_name"}
    assert scores.within[1] == 0.0  # the truth is in another order
    assert gc.Scores.from_dict(json.loads(json.dumps(scores.to_dict()))) == scores
    assert main(["score", "--predictions", str(p), "--truth", str(t), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["id_columns"] == {"predictions": "location", "truth": "file_name"}
    assert said.err == (
        f"{p}: the ids of its column location are those of the column file_name of {t}, by which rows are matched; its "
        "column location has none of the column id.\n"
    )
    assert main(["compare", "--predictions", str(p), str(p), "--truth", str(t), "--json"]) == 0
    assert capsys.readouterr().err.count("by which rows are matched") == 2


def test_missing_answers_are_named_by_the_chosen_column(tmp_path: Path) -> None:
    t = table(tmp_path / "t.csv", id=NUMBERS, image=A)
    p = tmp_path / "p.csv"
    p.write_text("location,lat,lon\na.jpg,48,2\n")
    with (
        pytest.warns(UserWarning, match="by which rows are matched"),
        pytest.raises(ValueError, match=r"3 of 4 locations have no prediction, 'b.jpg' first"),
    ):
        gc.score_predictions(p, t)


def test_the_usual_columns_stay_as_soon_as_they_have_an_id_in_common(tmp_path: Path) -> None:
    p = table(tmp_path / "p.csv", id=["1", "2", "3", "9"], image=A)
    t = table(tmp_path / "t.csv", id=NUMBERS, image=A)
    with pytest.raises(ValueError, match="1 of 4 ids, of the column id, are not in the column id of the truth, '9'"):
        gc.score_predictions(p, t)
    p = table(tmp_path / "p.csv", id=NUMBERS, image=A[::-1])
    scores = gc.score_predictions(p, t)
    assert scores.id_columns == {"predictions": "id", "truth": "id"}
    assert scores.within[1] == 1.0


def test_nothing_is_guessed_between_two_that_mean_other_rows(tmp_path: Path) -> None:
    t = table(tmp_path / "t.csv", id=NUMBERS, image=A, location=A[::-1])
    p = table(tmp_path / "p.csv", location=A)
    with pytest.raises(ValueError, match=r"4 of 4 ids, of the column location, are not in the column id of the truth"):
        gc.score_predictions(p, t)
    t = table(tmp_path / "t.csv", id=NUMBERS, image=A, file_name=A)
    with pytest.warns(UserWarning, match="of the column image of"):
        assert gc.score_predictions(p, t).within[1] == 1.0


@pytest.mark.parametrize("ids", [["a.jpg", "b.jpg", "c.jpg", "x.jpg"], ["x", "y", "z", "w"]])
def test_a_column_that_fits_in_part_is_not_taken(ids: list[str], tmp_path: Path) -> None:
    t = table(tmp_path / "t.csv", id=NUMBERS, image=ids)
    with pytest.raises(ValueError, match="4 of 4 ids, of the column location, are not in the column id of the truth"):
        gc.score_predictions(table(tmp_path / "p.csv", location=A), t)


def views(tmp_path: Path, other: str = "2") -> tuple[Path, Path]:
    """Write a truth of two views per location, and answers for the locations."""
    rows = ["a.jpg,48,2,k,FR", f"b.jpg,48,{other},k,FR", "c.jpg,52,13,l,DE", "d.jpg,52,13,l,DE", "e.jpg,41,12,m,IT"]
    (tmp_path / "t.csv").write_text("image,lat,lon,location,country\n" + "\n".join(rows) + "\n")
    (tmp_path / "p.csv").write_text("location,lat,lon\nm,41,12\nl,52,13\nk,0,0\n")
    return tmp_path / "p.csv", tmp_path / "t.csv"


def test_views_of_one_place_are_one_location(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p, t = views(tmp_path)
    with pytest.warns(UserWarning, match="the column location of .*by which rows are matched, 5 as 3 locations; its"):
        scores = gc.score_predictions(p, t)
    (tmp_path / "one.csv").write_text("id,lat,lon,country\nk,48,2,FR\nl,52,13,DE\nm,41,12,IT\n")
    expected = gc.score_predictions(p, tmp_path / "one.csv")
    assert (scores.n_locations, scores.n_clusters, scores.within[1]) == (3, 3, 2 / 3)
    assert (scores.mean_km, scores.intervals, scores.countries) == (
        expected.mean_km,
        expected.intervals,
        expected.countries,
    )
    assert main(["compare", "--predictions", str(p), str(p), "--truth", str(t), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_locations"] == 3


def test_views_of_one_id_at_different_places_are_named(tmp_path: Path) -> None:
    message = (
        r"t.csv: the id 'k' of the column location, which has the ids of .*p.csv, is there more than once, at diff"
    )
    with pytest.raises(ValueError, match=message):
        gc.score_predictions(*views(tmp_path, other="3"))


def test_answers_by_views_and_by_locations_are_not_compared(tmp_path: Path) -> None:
    p, t = views(tmp_path)
    (tmp_path / "v.csv").write_text("image,lat,lon\n" + "".join(f"{name}.jpg,0,0\n" for name in "abcde"))
    with (
        pytest.warns(UserWarning, match="5 as 3 locations"),
        pytest.raises(
            ValueError, match=r"must have ids of the same rows of .*, got those of its columns image and loc"
        ),
    ):
        gc.compare_predictions(tmp_path / "v.csv", p, t)
