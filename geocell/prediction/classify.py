"""Any set of labels: how probable each is for an image, by a model of images and texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.encoders import STREETCLIP, Encoder, encoder_for
from geocell.files import csv_text, write_text
from geocell.imagetext import ImageTextModel, load_image_text
from geocell.imagetext.projection import Float32, unit_rows
from geocell.imagetext.text_cache import embed_texts
from geocell.prediction.encoding import encode_asked
from geocell.prediction.inputs import ImageLike, asked_images, asked_inputs, is_image, items_of

if TYPE_CHECKING:
    from geocell.features.locations import Locations

LABEL = "{label}"
_MOST = 10_000  # labels


@dataclass(frozen=True)
class Classified:
    """The answer for one image, or one location.

    Attributes:
        image: its name, or the id of the location.
        probabilities: one per label; empty where it could not be read.
        problem: why it could not be read, "" when it could.
    """

    image: str
    probabilities: tuple[float, ...]
    problem: str = ""

    def best(self, labels: Sequence[str], k: int) -> list[tuple[str, float]]:
        """Return the k most probable labels with their probabilities."""
        order = np.argsort(-np.array(self.probabilities), kind="stable")[:k]
        return [(labels[i], self.probabilities[i]) for i in order.tolist()]


@dataclass(frozen=True)
class Classification:
    """Probabilities of labels for some images.

    Attributes:
        labels: the labels.
        items: one per image, in their order.
        independent: whether each label is a yes or no of its own (SigLIP), so that probabilities do not add up to 1.
    """

    labels: tuple[str, ...]
    items: tuple[Classified, ...]
    independent: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "labels": list(self.labels),
            "independent": self.independent,
            "images": [
                {
                    "image": item.image,
                    "probabilities": dict(zip(self.labels, item.probabilities, strict=False)),
                    "problem": item.problem,
                }
                for item in self.items
            ],
        }

    def save(self, path: str | Path) -> Path:
        """Write a CSV file: a row per image with its best label, and a column per label."""
        rows = [
            {
                "image": item.image,
                "best": item.best(self.labels, 1)[0][0] if item.probabilities else "",
                "problem": item.problem,
                **{f"p: {label}": p for label, p in zip(self.labels, item.probabilities, strict=False)},
            }
            for item in self.items
        ]
        columns = ["image", "best", "problem", *(f"p: {label}" for label in self.labels)]
        write_text(Path(path), csv_text(rows, columns))
        return Path(path)


def label_embeddings(
    model: ImageTextModel, labels: Sequence[str], templates: Sequence[str] = (LABEL,), cache: Path | None = None
) -> Float32:
    """Return the (n, d) embeddings of n labels: the mean direction over templates.

    Raises:
        ValueError: for fewer than two labels, equal ones, an empty one, or a template that does not say {label}.
    """
    require_labels(labels, templates)
    texts = [template.replace(LABEL, label) for template in templates for label in labels]
    embeddings = embed_texts(model, texts, cache).reshape(len(templates), len(labels), -1)
    return unit_rows(embeddings.astype(np.float64).mean(axis=0), "embeddings of texts")


def require_labels(labels: Sequence[str], templates: Sequence[str]) -> None:
    """Raise ValueError for labels and templates that cannot be asked about; see `label_embeddings`."""
    if isinstance(labels, str) or isinstance(templates, str):
        raise TypeError("labels and templates must be lists of texts, got one text: put it in a list.")
    if not 2 <= len(labels) <= _MOST:
        raise ValueError(f"labels must be from 2 to {_MOST:,}, got {len(labels):,}: name what is told apart.")
    if empty := [n for n, label in enumerate(labels, start=1) if not label.strip()]:
        raise ValueError(f"every label must be a text, got an empty one at position {empty[0]}.")
    if len(set(labels)) < len(labels):
        ((twice, _),) = Counter(labels).most_common(1)
        raise ValueError(f"every label must come once, got {twice!r} twice.")
    if not templates:
        raise ValueError(f"templates must be at least one text with {LABEL}, got none.")
    for template in templates:
        fields = re.findall(r"\{[^{}]*\}", template)
        if fields != [LABEL] or "{" in template.replace(LABEL, "") or "}" in template.replace(LABEL, ""):
            raise ValueError(f"a template must say {LABEL} once and no other field, got {template!r}.")


def classify_features(model: ImageTextModel, pooled: NDArray[np.floating], labels: Float32) -> Float32:
    """Return (N, n) probabilities of labels, of (N, D) cached features and the labels' `label_embeddings`."""
    return model.projection.probabilities(model.project(pooled), labels)


def classify_locations(
    model: ImageTextModel,
    locations: Locations,
    labels: Sequence[str],
    templates: Sequence[str] = (LABEL,),
    cache: Path | None = None,
) -> Classification:
    """Return the probabilities of labels for locations of a cache, of the mean of their views.

    Raises:
        ValueError: for features of another encoder, and what `label_embeddings` refuses.
    """
    model.info.require_same(locations.encoder, "the model", "the locations")
    texts = label_embeddings(model, labels, templates, cache)
    found = classify_features(model, locations.mean_features(), texts) if len(locations) else np.empty((0, len(labels)))
    items = [Classified(str(name), tuple(map(float, row))) for name, row in zip(locations.ids, found, strict=True)]
    return Classification(tuple(labels), tuple(items), model.projection.independent)


def classify(
    images: ImageLike | Iterable[ImageLike],
    labels: Sequence[str],
    *,
    templates: Sequence[str] = (LABEL,),
    model: ImageTextModel | str = STREETCLIP,
    encoder: Encoder | None = None,
    device: str = "auto",
    cache: Path | None = None,
) -> Classification:
    """Return how probable each label is for images, as the model cards of CLIP and StreetCLIP show it.

    Args:
        images: one image or several: paths, URLs, Pillow images or arrays.
        labels: two or more texts.
        templates: texts that say {label} once; embeddings of several are averaged.
        model: Hub id or folder of a CLIP or SigLIP model, `efficientnet-lite0`, or a model that is loaded.
        encoder: its encoder of images, where that is loaded already.
        device: where both compute.
        cache: folder of texts that were embedded before; see `embed_texts`.

    Returns:
        One item per image; one that cannot be read has its reason.

    Raises:
        ValueError: for no image, labels or templates that cannot be asked about, or a model without a text tower.
        OSError: when the weights can't be loaded.
    """
    asked = asked_images([images] if is_image(images) else items_of(images))
    return _classify(asked, labels, templates, model, encoder, device, cache)


def classify_inputs(
    inputs: Sequence[str | Path],
    labels: Sequence[str],
    *,
    templates: Sequence[str] = (LABEL,),
    model: ImageTextModel | str = STREETCLIP,
    device: str = "auto",
    cache: Path | None = None,
) -> Classification:
    """Return what `classify` does, for images, folders, tables, shards and URLs; views of a location are joined."""
    return _classify(asked_inputs(inputs), labels, templates, model, None, device, cache)


def _classify(
    asked: Iterable[Any],
    labels: Sequence[str],
    templates: Sequence[str],
    model: ImageTextModel | str,
    encoder: Encoder | None,
    device: str,
    cache: Path | None,
) -> Classification:
    require_labels(labels, templates)
    loaded = load_image_text(model, device=device) if isinstance(model, str) else model
    texts = label_embeddings(loaded, labels, templates, cache)
    looks = encoder_for(loaded.info, device) if encoder is None else encoder
    loaded.info.require_same(looks.info, "the model", "the encoder")
    items = []
    for place, features in encode_asked(asked, looks, thumbnails=0, exif=False):
        problem = next((view.problem for view in place.views if view.problem), "")
        row: tuple[float, ...] = ()
        if len(features):
            row = tuple(map(float, classify_features(loaded, features.mean(axis=0, keepdims=True), texts)[0]))
        items.append(Classified(place.location, row, problem))
    if not items:
        raise ValueError("classify needs at least one image, got none.")
    return Classification(tuple(labels), tuple(items), loaded.projection.independent)
