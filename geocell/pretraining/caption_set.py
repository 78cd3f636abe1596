"""Images with captions, in the order in which they are trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocell.imagetext.templates import FIELDS
from geocell.pretraining.captions import texts

if TYPE_CHECKING:
    import pandas as pd

    from geocell.images.sources import ImageSource


@dataclass(frozen=True, eq=False)
class CaptionSet:
    """N images with one or more captions each.

    Attributes:
        references: (N,) of the images.
        captions: (M,) captions; those of an image are neighbours.
        first: (N + 1,) which captions are those of image i: `first[i]` to `first[i + 1]`.
        fields: (N, F) codes of the fields of every image, -1 where one is not known.
        named: (M, F) whether a caption names a field.
        images: reads the image of a reference.
    """

    references: tuple[str, ...]
    captions: tuple[str, ...]
    first: NDArray[np.int64]
    fields: Tensor
    named: Tensor
    images: ImageSource

    @classmethod
    def from_table(cls, table: pd.DataFrame, images: ImageSource) -> CaptionSet:
        """Return the images of what `make_captions` returns.

        Raises:
            ValueError: for a table without its columns, or without a row.
        """
        needed = ["image", "caption", "fields", *FIELDS]
        if missing := [name for name in needed if name not in table.columns]:
            raise ValueError(
                f"captions must have the columns {', '.join(needed)}, got none for {', '.join(missing)}: make them "
                "with `geocell captions`."
            )
        if table.empty:
            raise ValueError("captions must have at least one row, got none.")
        captions = texts(table["caption"])
        if "" in captions:
            raise ValueError(
                f"every caption must have a word, got an empty one in row {captions.index('') + 1}: remove it, or make "
                "them with `geocell captions`."
            )
        references = np.array(texts(table["image"]), dtype=object)
        starts = np.flatnonzero(np.concatenate(([True], references[1:] != references[:-1])))
        codes = [_codes(np.array(texts(table[field]), dtype=object)[starts]) for field in FIELDS]
        says = [set(names.split(",")) for names in texts(table["fields"])]
        return cls(
            references=tuple(references[starts].tolist()),
            captions=tuple(captions),
            first=np.append(starts, len(table)),
            fields=torch.from_numpy(np.stack(codes, axis=1)),
            named=torch.tensor([[field in names for field in FIELDS] for names in says]),
            images=images,
        )

    def __len__(self) -> int:
        """Return N."""
        return len(self.references)

    @property
    def sha256(self) -> str:
        """Hash of images, captions and what decides which are positives: an interrupted training knows them by it."""
        digest = hashlib.sha256(self.first.tobytes())
        for names in (self.references, self.captions):
            digest.update("\x1f".join(names).encode("utf-8", "surrogateescape") + b"\x1e")
        for codes in (self.fields, self.named):
            digest.update(codes.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def epoch(self, seed: int, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the (N,) images of an epoch in random order, and the (N,) captions drawn for them.

        Args:
            seed: of the training.
            number: of the epoch; each has an order of its own that depends on nothing else.
        """
        random = np.random.default_rng((seed, number))
        order = random.permutation(len(self))
        counts = np.diff(self.first)[order]
        drawn = self.first[order] + (random.random(len(order)) * counts).astype(np.int64)
        return order, drawn


def _codes(names: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return a number for every name, -1 for none."""
    _, codes = np.unique(names, return_inverse=True)
    return np.where(names == "", -1, codes)
