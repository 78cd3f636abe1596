"""The levels that zero-shot descends: countries, regions where asked for, cities; and probabilities over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geocell.geo.country_names import folded
from geocell.imagetext.projection import Float32, unit_rows
from geocell.imagetext.templates import FIELDS, CaptionTemplate
from geocell.zeroshot.candidates import Candidate, Cities
from geocell.zeroshot.settings import CITY, COUNTRY, ZeroShotSettings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Level:
    """One level of C candidates: G groups, each of which is in one group of the level above.

    Attributes:
        name: country, region or city.
        groups: (C,) group of each candidate; groups are numbered in the order in which they first come.
        first: (G,) first candidate of each group.
        parents: (G,) group of the level above, 0 on the first level.
    """

    name: str
    groups: Ints
    first: Ints
    parents: Ints

    def __len__(self) -> int:
        """Return G."""
        return len(self.first)

    @cached_property
    def _by_parent(self) -> tuple[Ints, Ints, Ints]:
        """The groups sorted by parent, where each parent starts among them, and the rank of each group's parent."""
        order = np.argsort(self.parents, kind="stable")
        _, starts, rank = np.unique(self.parents[order], return_index=True, return_inverse=True)
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[order] = rank
        return order, starts, ranks

    def conditional(self, logits: Floats) -> Floats:
        """Return (P, G) log-probabilities of the groups given their parents, of (P, G) logits."""
        order, starts, ranks = self._by_parent
        top = np.maximum.reduceat(logits[:, order], starts, axis=1)
        shifted = logits - top[:, ranks]
        total = np.add.reduceat(np.exp(shifted[:, order]), starts, axis=1)
        return np.asarray(shifted - np.log(total)[:, ranks])

    def masses(self, posterior: NDArray[np.floating]) -> Floats:
        """Return (P, G) probabilities of the groups, of (P, C) of the candidates."""
        order = np.argsort(self.groups, kind="stable")
        starts = np.searchsorted(self.groups[order], np.arange(len(self)))
        return np.asarray(np.add.reduceat(posterior[:, order].astype(np.float64), starts, axis=1))


def levels_of(candidates: Cities, names: Sequence[str]) -> tuple[Level, ...]:
    """Return the levels of candidates, from the coarsest; the last one has a group for each.

    Args:
        candidates: C cities.
        names: of country, region and city, those that are asked for, in this order.
    """
    levels: list[Level] = []
    for name in names:
        keys = [
            (code, *_key(item, name, row))
            for row, (code, item) in enumerate(zip(candidates.codes.tolist(), candidates.items, strict=True))
        ]
        number = {key: group for group, key in enumerate(dict.fromkeys(keys))}
        groups = np.array([number[key] for key in keys], dtype=np.int64)
        first = np.unique(groups, return_index=True)[1].astype(np.int64)
        parents = levels[-1].groups[first] if levels else np.zeros(len(first), dtype=np.int64)
        levels.append(Level(name, groups, first, parents))
    return tuple(levels)


def _key(item: Candidate, level: str, row: int) -> tuple[object, ...]:
    if level == COUNTRY:
        return ()
    return (row,) if level == CITY else (folded(item.region),)


def texts_of(level: Level, candidates: Cities, templates: Sequence[str]) -> list[str]:
    """Return the texts of a level: for each template, one per group.

    Raises:
        ValueError: when a template names what a candidate does not have; put that part in brackets.
    """
    texts = []
    for template in templates:
        parsed = CaptionTemplate(template)
        for row in level.first.tolist():
            item = candidates.items[row]
            place = {field: str(getattr(item, field)) for field in FIELDS}
            caption = parsed.caption(place)
            if caption is None:
                lacking = next(field for field in parsed.fields if not place[field])
                raise ValueError(
                    f"the template {template!r} names the {lacking}, and {item.label} has none: add it, or put that "
                    "part of the template in brackets, which are left out where it is missing."
                )
            texts.append(caption.text)
    return texts


def level_texts(
    candidates: Cities, settings: ZeroShotSettings, embed: Callable[[Sequence[str]], Float32]
) -> tuple[Float32, ...]:
    """Return the (G, d) embeddings of the texts of each level, all embedded in one pass.

    Args:
        candidates: C cities.
        settings: their texts.
        embed: (n,) texts -> (n, d) embeddings of norm 1.

    Raises:
        ValueError: when a template names what a candidate does not have.
    """
    levels = levels_of(candidates, list(settings.templates))
    parts = [texts_of(level, candidates, settings.templates[level.name]) for level in levels]
    embeddings = embed([text for part in parts for text in part])
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return tuple(
        ensembled(part, len(settings.templates[level.name]))
        for level, part in zip(levels, np.split(embeddings, ends), strict=True)
    )


def ensembled(embeddings: Float32, n_templates: int) -> Float32:
    """Return the (G, d) embeddings of groups, of (n_templates · G, d) of their texts: the mean direction."""
    stacked = embeddings.reshape(n_templates, -1, embeddings.shape[1])
    return unit_rows(stacked.astype(np.float64).mean(axis=0), "embeddings of texts")


def city_probabilities(
    levels: Sequence[Level], candidates: Cities, settings: ZeroShotSettings, logits: Sequence[NDArray[np.floating]]
) -> NDArray[np.float32]:
    """Return the (P, C) probabilities of cities, of the (P, G) logits of each level; see `joint`."""
    values = [part.astype(np.float64) for part in logits]
    if weight := settings.population_weight:
        values[-1] += weight * np.log([max(item.population, 1) for item in candidates.items])
    return np.asarray(joint(levels, values, settings.keep), dtype=np.float32)


def joint(levels: Sequence[Level], logits: Sequence[Floats], keep: int) -> Floats:
    """Return the (P, C) probabilities of candidates: p(country) · p(region | country) · p(city | region).

    The probability of a country is that of its own text, however many cities it has.

    Args:
        levels: from the coarsest.
        logits: (P, G) of each level.
        keep: how many groups of the first of several levels keep their probability; 0 for all.
    """
    total = levels[0].conditional(logits[0])
    if keep and len(levels) > 1 and keep < total.shape[1]:
        order = np.argsort(-total, axis=1, kind="stable")
        kept = np.full_like(total, -np.inf)
        np.put_along_axis(kept, order[:, :keep], np.take_along_axis(total, order[:, :keep], axis=1), axis=1)
        total = kept - np.log(np.exp(kept).sum(axis=1, keepdims=True))
    for level, values in zip(levels[1:], logits[1:], strict=True):
        total = total[:, level.parents] + level.conditional(values)
    return np.exp(total[:, levels[-1].groups])


def descend(levels: Sequence[Level], posterior: NDArray[np.floating]) -> Ints:
    """Return the (P,) candidate found level by level: the most probable country, then what is most probable in it.

    The most probable candidate of all is another one: countries with few cities would win, since theirs have larger
    shares of the country's probability.

    Args:
        levels: from the coarsest.
        posterior: (P, C) probabilities.
    """
    allowed = np.ones(posterior.shape, dtype=bool)
    for level in levels:
        masses = level.masses(np.where(allowed, posterior, 0.0))
        chosen = masses.argmax(axis=1)
        allowed = level.groups[None, :] == chosen[:, None]
    return np.asarray(allowed.argmax(axis=1), dtype=np.int64)
