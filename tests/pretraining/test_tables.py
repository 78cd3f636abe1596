from pathlib import Path

import pandas as pd
import pytest

from geocell.images.sources import FileImages
from geocell.imagetext.templates import STREETCLIP_CAPTION
from geocell.pretraining.tables import country_list, read_captions, require_images
from tests.pretraining.captioned_photos import World


def test_captions_and_the_table_they_are_made_of_are_the_same(world: World, tmp_path: Path) -> None:
    frame = pd.DataFrame({"image_filename": ["0.jpg", "1.jpg"], "city": ["Rome", ""], "country": ["Italy", "Mali"]})
    frame.to_csv(tmp_path / "train.csv", index=False)
    made = read_captions(tmp_path / "train.csv", world.folder)
    assert made.table["caption"].tolist() == [
        "A Street View photo close to the town of Rome in Italy.",
        "A Street View photo in Mali.",
    ]
    made.table.to_parquet(tmp_path / "captions.parquet")
    made.table.to_csv(tmp_path / "captions.csv", index=False)  # where nothing is known, a cell is empty
    for name in ("captions.parquet", "captions.csv"):
        again = read_captions(tmp_path / name, world.folder, ["In {country}."])
        assert again.table.fillna("").to_dict("records") == made.table.to_dict("records")
    assert made.places()[["image", "city", "country"]].to_numpy().tolist() == [
        ["0.jpg", "Rome", "Italy"],
        ["1.jpg", "", "Mali"],
    ]


def test_countries_that_are_held_out(world: World) -> None:
    world.table.to_parquet(world.folder / "held.parquet")
    table = read_captions(world.folder / "held.parquet")
    kept = table.without(["PE"])
    assert set(kept.table["country"]) == {"Italy", "Mali"}
    assert len(kept.places()) == 12
    assert table.without([]) is table
    with pytest.raises(ValueError, match="images outside of the countries that are held out"):
        table.without(["PE", "IT", "ML"])


def test_a_folder_without_the_images(world: World, tmp_path: Path) -> None:
    world.table.to_parquet(tmp_path / "captions.parquet")
    with pytest.raises(FileNotFoundError, match=r"none of the first 36 is \(0.jpg\): pass --images"):
        read_captions(tmp_path / "captions.parquet", templates=[STREETCLIP_CAPTION])


def test_countries_of_a_flag() -> None:
    assert country_list(" Peru,IT ,") == {"PE": "Peru", "IT": "IT"}
    assert country_list("") == {}
    with pytest.raises(ValueError, match="got 'Atlantis'"):
        country_list("Peru,Atlantis")


def test_images_that_are_not_there_are_named_in_one_printable_line(tmp_path: Path) -> None:
    for name in ("a\0b.jpg", "a" * 5000):
        with pytest.raises(FileNotFoundError, match="pass --images with their folder") as caught:
            require_images([name], FileImages(str(tmp_path)), "captions.csv")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500
