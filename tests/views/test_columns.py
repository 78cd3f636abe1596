"""Finding the columns of a table."""

from pathlib import Path

import pytest

from geocell.images.sources import FileImages
from geocell.views import ColumnNames, read_views
from tests.worlds import write_csv


@pytest.mark.parametrize(
    "header",
    ["image,lat,lon", "file_name,latitude,longitude", "path,LAT,LON", "image_path,lat,lng", "FILE_NAME,Lat,Long"],
)
def test_usual_spellings_are_found(tmp_path: Path, header: str) -> None:
    table = read_views(write_csv(tmp_path / "t.csv", f"{header},note\na.jpg,1.5,2.5,hello\n"))
    assert table.frame.iloc[0].to_dict() == {
        "image": "a.jpg",
        "location": "1.500000,2.500000",
        "lat": 1.5,
        "lon": 2.5,
        "problem": "",
        "note": "hello",
    }
    assert table.images == FileImages(str(tmp_path))


def test_explicit_columns_win(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", "image,lat,lon,lat2,shot\na.jpg,1,2,9,b.jpg\n")
    table = read_views(path, ColumnNames(lat_column="lat2", image_column="shot"))
    assert table.frame["lat"].tolist() == [9.0]
    assert table.frame["image"].tolist() == ["b.jpg"]
    with pytest.raises(ValueError, match="must have the column 'nope' for lon"):
        read_views(path, ColumnNames(lon_column="nope"))
