"""A folder of photographs with captions, and a small random CLIP to train on them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from geocell.images.sources import FileImages
from geocell.pretraining.caption_set import CaptionSet
from geocell.pretraining.captions import make_captions
from geocell.pretraining.clip_model import ClipModel
from tests.imagetext.models import make_image_text
from tests.worlds import make_image


class World(NamedTuple):
    """Images with captions, and a model.

    Attributes:
        folder: holds `0.jpg` … and the model in `clip`.
        table: their captions.
    """

    folder: Path
    table: pd.DataFrame

    def clip(self) -> ClipModel:
        """Load the model anew."""
        return ClipModel.load(str(self.folder / "clip"))

    def captions(self) -> CaptionSet:
        """Return the captions, with the images of the folder."""
        return CaptionSet.from_table(self.table, FileImages(str(self.folder)))


def make_world(folder: Path, n: int = 18) -> World:
    """Write n images of noise, of six towns in three countries, and a small CLIP."""
    for number in range(n):
        make_image(folder / f"{number}.jpg", number)
    frame = pd.DataFrame(
        {
            "image": [f"{number}.jpg" for number in range(n)],
            "city": [f"Town{number % 6}" for number in range(n)],
            "country": [("Italy", "Mali", "Peru")[number % 3] for number in range(n)],
        }
    )
    table = make_captions(frame, ["A photo[ close to {city}] in {country}.", "A photo in {country}."]).table
    make_image_text(folder / "clip")
    return World(folder, table)
