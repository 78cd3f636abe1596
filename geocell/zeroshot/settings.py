"""How a zero-shot classifier asks: the texts of its levels, and how their answers become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from geocell.files import DamagedFileError
from geocell.imagetext.templates import CaptionTemplate

COUNTRY, REGION, CITY = "country", "region", "city"
Fusion = Literal["feature", "logit"]

STREETCLIP_COUNTRY = "A Street View photo in {country}."
STREETCLIP_CITY = "A Street View photo from {city}."
"""The prompts of StreetCLIP's published zero-shot protocol (Haas et al. 2023)."""

_MOST_TEMPLATES = 1000


@dataclass(frozen=True)
class ZeroShotSettings:
    """How candidates are asked for; the defaults are the published protocol.

    Attributes:
        country_templates: texts of a country; their embeddings are averaged. With none, all cities are asked at once.
        region_templates: texts of a state or province, a level between; with none, there is no such level.
        city_templates: texts of a city.
        keep: how many of the most probable countries keep their probability, 1 as published; 0 for all of them.
        population_weight: w of `log p + w · log population`, by which cities of a country are ordered; 0 as published.
        fusion: `feature` embeds the mean of a location's views, `logit` averages the logits of its views.
    """

    country_templates: tuple[str, ...] = (STREETCLIP_COUNTRY,)
    region_templates: tuple[str, ...] = ()
    city_templates: tuple[str, ...] = (STREETCLIP_CITY,)
    keep: int = 1
    population_weight: float = 0.0
    fusion: Fusion = "feature"

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ValueError: for a template with an unknown field or without one, a level that names no place of it, or a
                number out of range.
        """
        if not self.city_templates:
            raise ValueError("city_templates must have at least one text, got none.")
        for level, templates in self.templates.items():
            if len(templates) > _MOST_TEMPLATES:
                raise ValueError(f"{level}_templates must be at most {_MOST_TEMPLATES:,}, got {len(templates):,}.")
            for template in templates:
                if level not in CaptionTemplate(template).fields:
                    raise ValueError(f"a template of the level {level} must name {{{level}}}, got {template!r}.")
        if self.keep < 0:
            raise ValueError(f"keep must be a number of countries, or 0 for all, got {self.keep}.")
        if not 0 <= self.population_weight <= 10:
            raise ValueError(f"population_weight must be from 0 to 10, got {self.population_weight:g}.")
        if self.fusion not in get_args(Fusion):
            raise ValueError(f"fusion must be one of {', '.join(get_args(Fusion))}, got {self.fusion!r}.")

    @property
    def templates(self) -> dict[str, tuple[str, ...]]:
        """Level -> its texts, from the coarsest level; levels without texts are left out."""
        every = {COUNTRY: self.country_templates, REGION: self.region_templates, CITY: self.city_templates}
        return {level: texts for level, texts in every.items() if texts}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], where: str) -> ZeroShotSettings:
        """Read the JSON form; `where` names its place in an error message."""
        names = {field.name for field in fields(cls)}
        if not isinstance(value, Mapping) or set(value) != names:
            raise DamagedFileError(f"{where} must have the keys {', '.join(sorted(names))}: make the folder again.")
        texts = {key: item for key, item in value.items() if key.endswith("_templates")}
        if not all(isinstance(t, list) and all(isinstance(text, str) for text in t) for t in texts.values()):
            raise DamagedFileError(f"{where} must have lists of texts as templates: make the folder again.")
        numbers = isinstance(value["keep"], int) and isinstance(value["population_weight"], int | float)
        if not numbers or isinstance(value["keep"], bool) or isinstance(value["population_weight"], bool):
            raise DamagedFileError(f"{where} must have numbers as keep and population_weight: make the folder again.")
        try:
            return cls(**{**value, **{key: tuple(item) for key, item in texts.items()}})
        except ValueError as error:
            raise DamagedFileError(f"{where}: {error}") from error
