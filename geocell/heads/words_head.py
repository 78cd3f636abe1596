"""A head from words: the texts of its cells are its weights, without any training location."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.geo.country_names import continent_of, country_names
from geocell.geo.gazetteer import Gazetteer
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.heads.trained_on import TrainedOn, joined_training, location_keys, locations_sha256
from geocell.imagetext.projection import Float32, Projection
from geocell.imagetext.templates import STREETCLIP_CAPTION, CaptionTemplate
from geocell.imagetext.text_cache import embed_texts
from geocell.partitioners.base import OUTSIDE
from geocell.uncertainty.temperature import fit_temperature
from geocell.zeroshot.levels import ensembled

if TYPE_CHECKING:
    from geocell.features.locations import Locations
    from geocell.imagetext.protocol import ImageTextModel
    from geocell.partitioners.base import Partition

Floats = NDArray[np.float64]

_MOST = 2000  # locations, nearly, that two constants or a temperature are fitted to


@dataclass(frozen=True)
class WordsFit:
    """How well LayerNorm and Linear stand for cosines of normalised embeddings, on some features.

    The logit of a cell is `s · t · V x / |V x|`, and a head sees the features x through a LayerNorm, as n with
    x = σ n + μ. It computes `a · t · V n + b · t · V 1`, which is the same but for σ / |V x| and μ / |V x|: these
    differ from image to image and are taken for constants. A temperature of each image is lost, and the order of cells
    hardly changes.

    Attributes:
        a, b: the constants with the least squared error of the logits, each image's mean apart.
        error: root mean square error of the logits, each image's mean apart.
        spread: their root mean square, likewise.
        agreement: share of images whose most probable cell is the same.
    """

    a: float
    b: float
    error: float
    spread: float
    agreement: float


def cell_captions(
    partition: Partition, templates: Sequence[str] = (STREETCLIP_CAPTION,), gazetteer: Gazetteer | None = None
) -> list[list[str]]:
    """Return for each template the (C,) captions of cells, of the nearest town, its region and country.

    Args:
        partition: C cells, whose centroids are named.
        templates: caption templates; see `CaptionTemplate`.
        gazetteer: where names are from; `Gazetteer.load()` when None.

    Raises:
        ValueError: for no template, or one that names what a cell does not have.
        ModuleNotFoundError: when the gazetteer is not installed.
    """
    if not templates:
        raise ValueError("captions need at least one template, got none.")
    parsed = [CaptionTemplate(template) for template in templates]
    towns = [found.town for found in (gazetteer or Gazetteer.load()).nearest(partition.centroids)]
    captions = []
    for template, known in zip(templates, parsed, strict=True):
        texts = []
        for town in towns:
            country = country_names().get(town.country, town.country_name)
            continent = continent_of(town.country)
            caption = known.caption(
                {"city": town.name, "region": town.admin1, "country": country, "continent": continent}
            )
            if caption is None:
                raise ValueError(
                    f"the template {template!r} names what {town.full_name} does not have: put that part of it in "
                    "brackets, which are left out where it is missing."
                )
            texts.append(caption.text)
        captions.append(texts)
    return captions


def head_from_words(
    model: ImageTextModel,
    partition: Partition,
    locations: Locations,
    templates: Sequence[str] = (STREETCLIP_CAPTION,),
    *,
    labelled: Locations | None = None,
    gazetteer: Gazetteer | None = None,
    cache: Path | None = None,
) -> Head:
    """Return a head whose weights are the texts of its cells; `fit_head(init=…)` starts from it.

    Texts are surer of cells than they are right: a fit should start from a head that was scaled to its training
    locations.

    Args:
        model: embeds the captions.
        partition: C cells.
        locations: P >= 1 locations, whose features two numbers are fitted to (`WordsFit`); where they are is not used.
        templates: captions of cells; embeddings of several are averaged.
        labelled: training locations that the head is scaled to (`scaled_to`); the scale is the model's when None.
        gazetteer: where names are from.
        cache: folder of texts that were embedded before; see `embed_texts`.

    Raises:
        ValueError: for features of another encoder, no location, templates that name what a cell does not have, or
            labelled locations of which none is in a cell.
        ModuleNotFoundError: when the gazetteer is not installed.
    """
    model.info.require_same(locations.encoder, "the model", "the locations")
    if len(locations) == 0:
        raise ValueError("a head from words is fitted to the features of at least one location, got none.")
    captions = cell_captions(partition, templates, gazetteer)
    embeddings = embed_texts(model, [text for texts in captions for text in texts], cache)
    texts = ensembled(embeddings, len(templates))
    step = max(1, len(locations) // _MOST)
    features = locations.take(np.arange(0, len(locations), step)).mean_features()
    fit = fit_words(model.projection, texts, features)
    told_apart = len({tuple(named) for named in zip(*captions, strict=True)})
    training = {
        "words": {
            "model": model.text_identity,
            "templates": list(templates),
            "n_captions": told_apart,
            "n_features": len(features),
            "logit_error": fit.error,
            "logit_spread": fit.spread,
            "agreement": fit.agreement,
        }
    }
    nothing = TrainedOn(np.empty(0, dtype=np.uint64))
    module = _module(model.projection, texts, fit)
    head = Head(module, partition, locations.encoder, FitConfig(), training, trained_on=nothing)
    return head if labelled is None else scaled_to(head, labelled)


def scaled_to(head: Head, labelled: Locations, device: str = "auto") -> Head:
    """Return a head from words at the temperature at which the cells of some locations are most likely.

    The order of cells stays. Where the texts say nothing about the locations the temperature is the largest that is
    looked at, and a fit that starts from the head starts from nearly uniform probabilities, as one from zeros does.

    Args:
        head: of `head_from_words`.
        labelled: P >= 1 locations; of some thousand in cells a regular sample is taken. Those that are used count as
            training locations afterwards.
        device: where the head computes.

    Raises:
        ValueError: for features of another encoder, or when no location is in a cell.
    """
    cells = head.partition.assign(labelled.latlon) if len(labelled) else np.empty(0, dtype=np.int64)
    inside = np.flatnonzero(cells != OUTSIDE)
    if len(inside) == 0:
        raise ValueError(
            f"a head from words is scaled to at least one location in a cell, got none of {len(labelled)}: name "
            "another split, or leave it out."
        )
    inside = inside[:: max(1, len(inside) // _MOST)]
    used, plain = labelled.take(inside), replace(head, calibration=None)
    temperature = fit_temperature(plain.posterior(used, device), cells[inside])
    module = deepcopy(head.module)
    state = module.state_dict()
    state |= {name: state[name] / temperature for name in ("head.2.weight", "head.2.bias")}
    module.load_state_dict(state, strict=True)
    scaled = {"temperature": temperature, "n_locations": len(used), "locations_sha256": locations_sha256(used)}
    words = {**head.training["words"], "scaled": scaled}
    for name in ("logit_error", "logit_spread"):
        words[name] /= temperature
    seen = joined_training([head.trained_on, TrainedOn(location_keys(used))])
    return replace(plain, module=module, training={**head.training, "words": words}, trained_on=seen)


def fit_words(projection: Projection, texts: Float32, features: Float32) -> WordsFit:
    """Return the constants by which LayerNorm and Linear stand for the logits of texts; see `WordsFit`.

    Args:
        projection: of the model.
        texts: (C, d) embeddings of the cells.
        features: (P, D).
    """
    exact = _centred(projection.logits(projection(features), texts))
    weight = _weight(projection, texts)
    slope = _centred(_normalised(features) @ weight.T)
    shift = np.broadcast_to(_centred(weight.sum(axis=1)[None]), slope.shape)
    design = np.stack([slope.ravel(), shift.ravel()], axis=1)
    (a, b), *_ = np.linalg.lstsq(design, exact.ravel(), rcond=None)
    found = a * slope + b * shift
    return WordsFit(
        a=float(a),
        b=float(b),
        error=float(np.sqrt(np.mean((found - exact) ** 2))),
        spread=float(np.sqrt(np.mean(exact**2))),
        agreement=float((found.argmax(axis=1) == exact.argmax(axis=1)).mean()),
    )


def _weight(projection: Projection, texts: Float32) -> Floats:
    """Return the (C, D) products of texts and projection."""
    matrix = projection.matrix
    return texts.astype(np.float64) if matrix is None else texts.astype(np.float64) @ matrix.astype(np.float64)


def _normalised(features: Float32, epsilon: float = 1e-5) -> Floats:
    """Return (P, D) features as LayerNorm leaves them."""
    centred = features.astype(np.float64) - features.astype(np.float64).mean(axis=1, keepdims=True)
    return np.asarray(centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon))


def _centred(logits: NDArray[np.floating]) -> Floats:
    """Return (P, C) logits less the mean of each row, which a softmax does not see."""
    values = logits.astype(np.float64)
    return np.asarray(values - values.mean(axis=1, keepdims=True))


def _module(projection: Projection, texts: Float32, fit: WordsFit) -> GeoHead:
    import torch

    weight = _weight(projection, texts)
    module = GeoHead(weight.shape[1], len(weight))
    state = module.state_dict()
    state["head.2.weight"] = torch.from_numpy((fit.a * weight).astype(np.float32))
    state["head.2.bias"] = torch.from_numpy((fit.b * weight.sum(axis=1)).astype(np.float32))
    module.load_state_dict(state, strict=True)
    return module
