import numpy as np
import pandas as pd
import pytest

from geocell.images.sources import FileImages
from geocell.pretraining.caption_set import CaptionSet
from geocell.pretraining.captions import make_captions
from geocell.pretraining.losses import true_captions

FRAME = pd.DataFrame({"image": ["a", "b", "c"], "city": ["Rome", "", "Rome"], "country": ["Italy", "Mali", "Italy"]})
TEMPLATES = ["In {country}[, in {city}].", "In {country}."]


def captions() -> CaptionSet:
    return CaptionSet.from_table(make_captions(FRAME, TEMPLATES).table, FileImages())


def test_captions_belong_to_images() -> None:
    made = captions()
    assert made.references == ("a", "b", "c")
    assert made.captions == ("In Italy, in Rome.", "In Italy.", "In Mali.", "In Italy, in Rome.", "In Italy.")
    assert made.first.tolist() == [0, 2, 3, 5]
    assert made.named.int().tolist() == [[1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]]
    images = [0, 1, 2]
    true = true_captions(made.fields[images], made.named[[0, 2, 4]])
    assert true.int().tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_an_epoch_draws_one_caption_of_every_image() -> None:
    made = captions()
    drawn: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    for number in range(1, 30):
        images, texts = made.epoch(7, number)
        assert sorted(images.tolist()) == [0, 1, 2]
        for image, text in zip(images.tolist(), texts.tolist(), strict=True):
            drawn[image].add(text)
    assert drawn == {0: {0, 1}, 1: {2}, 2: {3, 4}}
    assert np.array_equal(made.epoch(7, 3), made.epoch(7, 3))
    assert len({tuple(made.epoch(7, number)[0].tolist()) for number in range(1, 30)}) > 1


def test_the_hash_is_of_images_captions_and_positives() -> None:
    table = make_captions(FRAME, TEMPLATES).table
    changed = [
        table.assign(image=table["image"].replace("c", "d")),
        table.assign(caption=table["caption"].replace("In Mali.", "In Peru.")),
        table.assign(city=table["city"].replace("Rome", "")),  # images of one city are no negatives of each other
        table.assign(fields=table["fields"].replace("country", "city,country")),
    ]
    hashes = [CaptionSet.from_table(one, FileImages()).sha256 for one in (table, *changed)]
    assert captions().sha256 == hashes[0]
    assert len(set(hashes)) == len(hashes)


def test_tables_that_hold_no_captions() -> None:
    with pytest.raises(ValueError, match=r"got none for caption, fields, region, continent: make them with"):
        CaptionSet.from_table(FRAME, FileImages())
    with pytest.raises(ValueError, match="at least one row"):
        CaptionSet.from_table(make_captions(FRAME).table.iloc[:0], FileImages())
