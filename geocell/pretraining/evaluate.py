"""A model of images and texts on a table of images: country, city, and distances where it has coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.encoders import encoder_for
from geocell.evaluation.zero_shot import PlaceAccuracy, ZeroShotScores, named_truth, place_accuracy, score_zero_shot
from geocell.features.locations import Locations
from geocell.heads.zero_shot import ZeroShot
from geocell.imagetext.text_cache import embed_texts
from geocell.pretraining.captions import coordinates, place_columns, texts
from geocell.pretraining.image_embeddings import embedded_images
from geocell.pretraining.validation import found_cities
from geocell.views.columns import ColumnNames
from geocell.zeroshot.candidates import Candidates, Cities
from geocell.zeroshot.levels import level_texts
from geocell.zeroshot.settings import ZeroShotSettings

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from geocell.images.sources import ImageSource
    from geocell.imagetext import ImageTextModel


@dataclass(frozen=True)
class Evaluation:
    """What a model reaches on images.

    Attributes:
        n_images: images that could be read.
        problems: reference -> why an image could not be read.
        accuracy: country and city accuracy; with coordinates the distances as well.
    """

    n_images: int
    problems: Mapping[str, str]
    accuracy: PlaceAccuracy | ZeroShotScores

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        value = self.accuracy.to_dict()
        if not isinstance(self.accuracy, ZeroShotScores):
            value = {"zero_shot": value}
        return {"n_images": self.n_images, "problems": dict(self.problems), **value}


def has_coordinates(frame: pd.DataFrame, source: str, columns: ColumnNames = ColumnNames()) -> bool:
    """Return whether every row of a table of images has coordinates.

    Raises:
        ValueError: when it has neither those nor countries.
    """
    latlon = coordinates(frame, source, columns)
    if latlon is not None and np.isfinite(latlon).all():
        return True
    if "country" not in place_columns(frame):
        raise ValueError(
            f"{source} must have a column country or coordinates (lat, lon) in every row, got the columns "
            f"{', '.join(map(str, frame.columns))}."
        )
    return False


def evaluate(
    model: ImageTextModel,
    frame: pd.DataFrame,
    images: ImageSource,
    cities: Cities,
    settings: ZeroShotSettings = ZeroShotSettings(),
    columns: ColumnNames = ColumnNames(),
    *,
    device: str = "auto",
    cache: Path | None = None,
) -> Evaluation:
    """Score a model by zero-shot on a table of images, whose encoder it runs.

    Args:
        model: the model.
        frame: one row per image with the column `image`, and columns of places or of coordinates.
        images: reads them.
        cities: the candidates; with coordinates (`Candidates`), distances are scored too.
        settings: how they are asked for.
        columns: names of the columns of coordinates that are not spelled as usual.
        device: where the images are encoded.
        cache: folder of texts that were embedded before; see `embed_texts`.

    Raises:
        ValueError: when no image can be read, or no country is known and there are no coordinates.
    """
    encoder = encoder_for(model.info, device)
    model.info.require_same(encoder.info, "the model", "the encoder")
    references = texts(frame["image"])
    rows, features, problems = embedded_images(references, images, encoder.preprocess, encoder)
    part = frame.iloc[rows]
    names = {field: np.array(texts(part[name]), dtype=object) for field, name in place_columns(part).items()}
    latlon = coordinates(part, "the table", columns)
    if latlon is not None and np.isfinite(latlon).all() and isinstance(cities, Candidates):
        numbers = np.arange(len(rows), dtype=np.int64)
        ids = np.array([str(row) for row in rows.tolist()], dtype=object)
        offsets = np.append(numbers, len(rows))
        locations = Locations(ids, latlon, features, numbers, offsets, encoder.info, names)
        found = ZeroShot.from_model(model, cities, settings, cache)
        return Evaluation(len(rows), problems, score_zero_shot(found, locations))
    nothing = np.full(len(rows), "", dtype=object)
    truth = named_truth(cities, names.get("country", nothing), names.get("city", nothing), names.get("region"))
    if not (truth.codes != "").any():
        raise ValueError("the images must have a country that is known, got none: check its spelling.")
    embedded = level_texts(cities, settings, lambda said: embed_texts(model, said, cache))
    answers = found_cities(cities, settings, embedded, model.projection, model.project(features))
    return Evaluation(len(rows), problems, place_accuracy(cities, answers, truth))
