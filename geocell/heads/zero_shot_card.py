"""The model card of a zero-shot classifier: its encoder, candidates and texts, its scores, and its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from geocell._version import __version__
from geocell.heads.card import calibration_text, card_template, known_license, region_text, shown_scores
from geocell.heads.card_metadata import CardSettings, metadata_yaml, settings_of
from geocell.heads.card_text import CardText, render_card
from geocell.heads.zero_shot import ZeroShot

_TASK = "zero-shot-image-classification"
_OTHER = "other"  # the Hub's word for a licence that is not in its list
_SHOWN = 8


def zero_shot_card(
    model: ZeroShot,
    scores: Mapping[str, Any] | None,
    *,
    address: str = "path/to/this/folder",
    picture: str = "",
    before: CardText | None = None,
    settings: CardSettings | None = None,
) -> str:
    """Return the model card of a zero-shot classifier as Markdown.

    Args:
        model: the classifier.
        scores: the content of its `scores.json`, when it has one.
        address: what a reader loads it by.
        picture: file name of the picture of its cities, when it has one.
        before: the card from before, of which a person's text and settings are kept.
        settings: licence and data sets, instead of those. The licence is at first that of the encoder.
    """
    encoder, cities, asked = model.encoder.to_dict(), model.candidates, model.settings
    of_encoder = known_license(model.encoder.name)
    before = before or CardText()
    settings = (settings or CardSettings()).with_defaults(settings_of(before.metadata))
    settings = settings.with_defaults(CardSettings(license=of_encoder or _OTHER))
    title = f"Zero-shot geolocation: {encoder['name']} over {len(cities):,} cities"
    first = ", ".join(cities.countries[:_SHOWN])
    levels = list(asked.templates)
    body = card_template("zero_shot_card.md").render(
        title=title,
        n_cities=f"{len(cities):,}",
        n_countries=f"{len(cities.countries):,}",
        encoder=encoder,
        text_identity=model.text_identity,
        shown=first if len(cities.countries) <= _SHOWN else f"{first}, …",
        sha=cities.sha256[:12],
        region=region_text(cities.latlon).replace("cells", "cities", 1),
        levels=list(asked.templates.items()),
        descends=", then the ".join([f"the {levels[0]}", *(f"{level} in it" for level in levels[1:])]),
        keep="all" if asked.keep == 0 else f"{asked.keep:,}",
        population_weight=f"{asked.population_weight:g}" if asked.population_weight else "",
        fusion=asked.fusion,
        calibration=calibration_text(None if model.calibration is None else model.calibration.to_dict()),
        calibrated=model.calibration is not None,
        scores=None if scores is None else shown_scores(scores),
        address=address,
        picture=picture,
        version=__version__,
        license=settings.license,
        encoder_license=of_encoder,
        streetclip=encoder["name"] == "geolocal/StreetCLIP",
    )
    metadata = metadata_yaml(title, encoder, scores, settings, before.metadata, _TASK)
    return render_card(metadata, re.sub(r"\n{3,}", "\n\n", body), before.own)
