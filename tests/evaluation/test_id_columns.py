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


def test_ids_that_repeat_in_the_truth_are_named(tmp_path: Path) -> None:
    t = table(tmp_path / "t.csv", image=A, location=["k", "k", "l", "l"])
    p = tmp_path / "p.csv"
    p.write_text("location,lat,lon\nl,48,2\nk,52,13\n")
    message = r"t.csv: the id 'k' of the column location, which has the ids of .*p.csv, is there more than once: keep"
    with pytest.raises(ValueError, match=message):
        gc.score_predictions(p, t)
