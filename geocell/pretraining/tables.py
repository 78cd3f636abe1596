"""Tables of captions, and tables of which captions are made on the way."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geocell.evaluation.zero_shot import country_codes
from geocell.files import one_sentence, printable
from geocell.geo.country_names import country_code
from geocell.images.references import is_http, is_url
from geocell.images.sources import FileImages, ImageSource
from geocell.imagetext.templates import FIELDS, STREETCLIP_CAPTION
from geocell.pretraining.captions import make_captions, texts
from geocell.views.columns import ColumnNames
from geocell.views.reading import read_rows

if TYPE_CHECKING:
    import pandas as pd

_LOOKED_FOR = 100  # images of a table before anything is loaded


@dataclass(frozen=True, eq=False)
class CaptionTable:
    """Captions with their images.

    Attributes:
        table: one row per caption, columns `image`, `caption`, `fields` and those of `FIELDS`.
        images: reads the image of a reference.
        source: what was read, for messages.
    """

    table: pd.DataFrame
    images: ImageSource
    source: str

    def places(self) -> pd.DataFrame:
        """Return one row per image: its reference and the names of its place."""
        return self.table[["image", *FIELDS]].drop_duplicates("image", ignore_index=True)

    def without(self, codes: Collection[str]) -> CaptionTable:
        """Return the captions of images in other countries.

        Raises:
            ValueError: when none is left.
        """
        if not codes:
            return self
        kept = ~np.isin(country_codes(self.table["country"].to_numpy(object)), sorted(codes))
        if not kept.any():
            raise ValueError(f"{self.source} must have images outside of the countries that are held out, got none.")
        return replace(self, table=self.table[kept].reset_index(drop=True))


@one_sentence()
def read_captions(
    path: Path | str,
    images: Path | None = None,
    templates: Sequence[str] = (STREETCLIP_CAPTION,),
    columns: ColumnNames = ColumnNames(),
) -> CaptionTable:
    """Read what `geocell captions` wrote; of a table of images without captions they are made.

    Args:
        path: the table; see `read_rows`.
        images: folder that image paths are relative to; that of the table when None.
        templates: of the captions that are made.
        columns: columns that are not spelled as usual.

    Raises:
        FileNotFoundError: when there is no table, or none of the first images is there.
        ValueError: for a table without images, places or coordinates, or without a caption.
    """
    frame, source, name = read_rows(path, columns, root=images)
    if {"caption", "fields", *FIELDS} <= set(frame.columns):
        frame = frame.assign(**{field: texts(frame[field]) for field in FIELDS})
    else:
        frame = make_captions(frame, templates, name, columns).table
    require_images(frame["image"], source, name)
    return CaptionTable(frame, source, name)


def require_images(column: Iterable[object], images: ImageSource, source: str) -> None:
    """Refuse a folder that has none of the first images of a table: it is the wrong one.

    Raises:
        FileNotFoundError: when it is.
    """
    references = [name for name in texts(islice(column, _LOOKED_FOR)) if name]
    if not references:
        return
    if not isinstance(images, FileImages) or is_url(images.root) or any(map(is_http, references)):
        return
    if not any(os.path.isfile(Path(images.root) / name) for name in references):  # noqa: PTH113 - of any name
        raise FileNotFoundError(
            f"the images of {source} must be below {images.root}, and none of the first {len(references)} is "
            f"({printable(references[0][:200])}): pass --images with their folder."
        )


def country_list(text: str) -> dict[str, str]:
    """Return code -> name of countries separated by commas.

    Raises:
        ValueError: for one that is not known.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if not country_code(name)]:
        raise ValueError(f"countries must be English names or alpha-2 codes, got {unknown[0]!r}: correct the spelling.")
    return {country_code(name): name for name in names}
