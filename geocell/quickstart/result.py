"""What the quickstart returns and prints at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.files import csv_text, write_text

if TYPE_CHECKING:
    from geocell.prediction.records import Prediction
    from geocell.quickstart.streetclip_result import StreetClipResult

CAPTION = "Synthetic street scenes at real places (GeoNames, CC BY 4.0); outlines: Natural Earth."

_ROWS = """\
train: fitted on the training locations.
train + val: fitted again on both, on the same cells, with as many epochs as the first fit kept (`--refit`).
majority cell: the centroid of the cell with the most locations, for every image.
1-NN: the location whose feature, less the mean over locations, has the highest cosine with that of the test location.
Several locations share a town: half of the test locations have a training or validation location within
{nearest_km:.1f} km. Towns that no head has seen are much harder."""

_SYNTHETIC = """\
Synthetic: the street scenes are drawn by a program in which climate and country are visible. The scores show that the
pipeline works, and say nothing about photographs.
Real: the places and their coordinates (GeoNames, CC BY 4.0), the JPEG files with EXIF GPS, the pretrained encoder, and
every step after it."""

_OWN_IMAGES = """\
The same on your own images, with StreetCLIP (a table with columns image, latitude, longitude):
  geocell encode photos.csv --out cache && geocell split cache --out splits.json
  geocell partition h3 --resolution 4 --min-count 5 --cache cache --splits splits.json --out partition
  geocell fit-head --cache cache --splits splits.json --partition partition --out head"""


@dataclass(frozen=True)
class QuickstartResult:
    """What the quickstart made.

    Attributes:
        folder: of every artefact.
        rows: one mapping per head and baseline: head, fit, partition and scores on the test locations.
        prediction: of one test location with its truth, by a head whose partition was chosen on the validation
            locations.
        truth_place: the nearest town of the truth, in words.
        images: the image files of that location.
        head: folder of the head that answered.
        picture: the map.
        nearest_km: median distance of the test locations to their nearest training or validation location.
        streetclip: the small CLIP that was trained on captions, None unless asked for.
    """

    folder: Path
    rows: tuple[dict[str, Any], ...]
    prediction: Prediction
    truth_place: str
    images: tuple[Path, ...]
    head: Path
    picture: Path
    nearest_km: float
    streetclip: StreetClipResult | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "folder": str(self.folder),
            "synthetic": CAPTION,
            "scores": list(self.rows),
            "prediction": self._prediction(),
            "images": [str(image) for image in self.images],
            "head": str(self.head),
            "picture": str(self.picture),
            "nearest_km": self.nearest_km,
            **({} if self.streetclip is None else {"streetclip": self.streetclip.to_dict()}),
        }

    def text(self) -> str:
        """Return what the terminal shows at the end."""
        from geocell.reports.predictions import prediction_text
        from geocell.reports.text import score_table

        answer = self._prediction()
        answer["location"] = f"{self.prediction.location} ({len(self.images)} views, {self.images[0]} …)"
        parts = [
            score_table([{key: value for key, value in row.items() if key != "decoder"} for row in self.rows]),
            _ROWS.format(nearest_km=self.nearest_km),
            f"The test location with the median error ({self.truth_place}), asked of {self.head}:\n"
            f"{prediction_text(answer)}",
            *([] if self.streetclip is None else [self.streetclip.text()]),
            _SYNTHETIC,
            f"Everything is in {self.folder}: world (images), cache, splits.json, partitions, heads, scores.csv\n"
            f"Map: {self.picture}",
            _OWN_IMAGES,
        ]
        return "\n\n".join(parts)

    def _prediction(self) -> dict[str, Any]:
        value = self.prediction.to_dict()
        return {**value, "truth": {**value["truth"], "place": self.truth_place}}


def write_scores(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one CSV line per row; `within` becomes columns, and intervals and countries stay in the scores.json."""
    flat = [
        {key: value for key, value in row.items() if not isinstance(value, Mapping)}
        | {f"within_{km}": share for km, share in row["within"].items()}
        for row in rows
    ]
    write_text(path, csv_text(flat))
