"""How a model in training is scored after an epoch: zero-shot, which country and which city."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from geocell.evaluation.zero_shot import NO_CITY, PlaceTruth, named_truth, place_hits
from geocell.geo.country_names import continent_of, country_code, folded
from geocell.imagetext.projection import Float32, Projection
from geocell.imagetext.tokens import batches
from geocell.pretraining.image_embeddings import embedded_images
from geocell.zeroshot.candidates import PER_COUNTRY, Candidate, Cities
from geocell.zeroshot.levels import city_probabilities, descend, level_texts, levels_of
from geocell.zeroshot.settings import ZeroShotSettings

if TYPE_CHECKING:
    import pandas as pd

    from geocell.pretraining.clip_model import ClipModel
    from geocell.pretraining.tables import CaptionTable

_CHUNK = 1 << 22  # probabilities in memory


def cities_of(places: Iterable[pd.DataFrame], per_country: int = PER_COUNTRY) -> Cities:
    """Return the cities that tables name most often, as candidates.

    Args:
        places: tables with the columns `city` and `country`, "" where one is not known.
        per_country: how many cities of a country at most.

    Raises:
        ValueError: when no row has both, or for a country that nobody knows.
    """
    counts: dict[str, Counter[tuple[str, str]]] = {}
    names: dict[tuple[str, str], Candidate] = {}
    for table in places:
        for city, country in zip(table["city"].tolist(), table["country"].tolist(), strict=True):
            code = country_code(country)
            if city and country:
                key = (code or country, folded(city))
                names.setdefault(key, Candidate(country, city, continent=continent_of(code) if code else ""))
                counts.setdefault(key[0], Counter())[key] += 1
    if not names:
        raise ValueError(
            "validation needs candidate cities, and no row of the tables has both a country and a city: pass "
            "--candidates FILE, or leave --val out."
        )
    most = [
        key
        for counter in counts.values()
        for key, _ in sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:per_country]
    ]
    return Cities(tuple(names[key] for key in most))


@dataclass(frozen=True, eq=False)
class ZeroShotValidation:
    """Country and city accuracy of a model on the images of a table.

    Attributes:
        table: the images and their places.
        cities: the candidates.
        settings: how they are asked for.
        held_out: alpha-2 codes of the countries that are not trained on; they are candidates all the same.
        workers: processes that decode images; see `embedded_images`.
        image_timeout: seconds that one image may take.
    """

    table: CaptionTable
    cities: Cities
    settings: ZeroShotSettings = ZeroShotSettings()
    held_out: Collection[str] = ()
    workers: int | None = None
    image_timeout: float = 60.0

    def __post_init__(self) -> None:
        """Check that there is something to score.

        Raises:
            ValueError: when no image has a known country, or with countries held out none of them or nothing else.
        """
        codes = self._truth(self.table.places()).codes
        if not (codes != "").any():
            raise ValueError(f"{self.table.source} must name a country that is known, got none: check its spelling.")
        unseen = np.isin(codes, sorted(self.held_out))
        if self.held_out and not (unseen.any() and (~unseen & (codes != "")).any()):
            raise ValueError(
                f"{self.table.source} must have images of the countries that are held out and of others, got only "
                f"{'them' if unseen.any() else 'others'}: hold out countries that it has."
            )

    def _truth(self, places: pd.DataFrame) -> PlaceTruth:
        columns = (places[name].to_numpy(object) for name in ("country", "city", "region"))
        return named_truth(self.cities, *columns)

    def __call__(self, clip: ClipModel) -> Mapping[str, float]:
        """Return `country` and `city` (country and city are right), shares of the images whose country is known.

        With countries held out also `country_seen` and `country_unseen`, of the images in countries that are trained
        on and of those that are not, all countries being candidates of both, and their harmonic mean
        `country_harmonic`: the generalised zero-shot protocol (Xian et al. 2019).
        """
        places = self.table.places()

        def embed(pixels: NDArray[Any]) -> Float32:
            return np.asarray(clip.embed_images(clip.normalised(pixels)).float().cpu().numpy())

        def embed_texts(texts: Iterable[str]) -> Float32:
            device = clip.model.device
            found = [
                clip.embed_captions({name: value.to(device) for name, value in clip.tokenize(part).items()})
                for part in batches(list(texts))
            ]
            return np.asarray(torch.cat(found).float().cpu().numpy())

        rows, images, _ = embedded_images(
            places["image"].tolist(), self.table.images, clip.processor.transform, embed,
            workers=self.workers, image_timeout=self.image_timeout,
        )  # fmt: skip
        texts = level_texts(self.cities, self.settings, embed_texts)
        projection = Projection(None, float(clip.model.logit_scale.detach().float().exp()))
        found = found_cities(self.cities, self.settings, texts, projection, images)
        truth = self._truth(places.iloc[rows])
        known = truth.codes != ""
        _, country, city = place_hits(self.cities, found, truth).T
        scores = {"country": _share(country[known])}
        if (truth.cities != NO_CITY).any():
            scores["city"] = _share(city[known])
        if self.held_out:
            unseen = np.isin(truth.codes, sorted(self.held_out))
            seen_share, unseen_share = _share(country[known & ~unseen]), _share(country[known & unseen])
            total = seen_share + unseen_share
            harmonic = 2 * seen_share * unseen_share / total if total else 0.0
            scores |= {"country_seen": seen_share, "country_unseen": unseen_share, "country_harmonic": harmonic}
        return scores


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else 0.0


def found_cities(
    cities: Cities,
    settings: ZeroShotSettings,
    texts: tuple[Float32, ...],
    projection: Projection,
    images: Float32,
) -> NDArray[np.int64]:
    """Return the (P,) cities that are found level by level, of the (P, d) embeddings of images; see `descend`."""
    levels = levels_of(cities, list(settings.templates))
    found = np.empty(len(images), dtype=np.int64)
    chunk = max(1, _CHUNK // len(cities))
    for start in range(0, len(images), chunk):
        part = slice(start, start + chunk)
        logits = [projection.logits(images[part], level) for level in texts]
        found[part] = descend(levels, city_probabilities(levels, cities, settings, logits))
    return found
