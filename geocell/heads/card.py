"""The model card of a head: what a reader of its folder has to know, generated from the files beside it.

The template is `card.md` beside this file. What it makes stands between marks; text that a person wrote elsewhere is
kept, and so are keys of the YAML block that a head does not decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from geocell.encoders.joined import AND
from geocell.files import counted
from geocell.heads.card_metadata import CardSettings, metadata_yaml, settings_of
from geocell.heads.card_text import CardText, render_card
from geocell.heads.markdown import code, fenced, text
from geocell.metrics.clusters import clusters_text
from geocell.metrics.scores import BALSCORE_TEXT, flat_scores, score_label, score_unit, shared_coordinates_text
from geocell.metrics.trust import trust_sentences

if TYPE_CHECKING:
    from jinja2 import Template

    from geocell.geo.geodesy import Floats

_LICENCES = {
    "geolocal/StreetCLIP": "cc-by-nc-4.0",
    "facebook/dinov2": "apache-2.0",
    "google/siglip": "apache-2.0",
    "efficientnet-lite0": "apache-2.0",
}
"""Start of an encoder's name -> licence of its weights, where its authors state one."""


def head_card(  # noqa: PLR0913 - all that a card says
    config: Mapping[str, Any],
    partition: Mapping[str, Any],
    scores: Mapping[str, Any] | None,
    *,
    address: str = "path/to/this/folder",
    picture: str = "",
    trained_on: bool = False,
    calibration: Mapping[str, Any] | None = None,
    region: Mapping[str, float] | None = None,
    before: CardText | None = None,
    settings: CardSettings | None = None,
) -> str:
    """Return the model card of a head as Markdown.

    Args:
        config: the content of its `config.json`.
        partition: the content of its `partition.json`, and `centroids` (C, 2).
        scores: the content of its `scores.json`, when it has one.
        address: what a reader loads it by.
        picture: file name of the picture of its cells, when it has one.
        trained_on: whether it has hashes of its training locations.
        calibration: the content of its `calibration.json`, when it has one.
        region: the facts of what tells locations outside its region apart, when it has that.
        before: the card from before, of which a person's text and settings are kept.
        settings: licence and data sets, instead of those.
    """
    encoder, training = config["encoder"], config["training"]
    seen, origin = training.get("refit") or training, training.get("origin")
    first = CardSettings(license="mit" if origin is None else origin["license"])
    before = before or CardText()
    settings = (settings or CardSettings()).with_defaults(settings_of(before.metadata)).with_defaults(first)
    n_cells = f"{config['n_cells']:,}"
    combined = _combined(config.get("combined"))
    title = f"Geocell head: {encoder['name']} on {n_cells} cells ({partition['kind']})"
    if combined is not None:
        title = f"Geocell heads: {len(combined['members'])} on {encoder['name']}, combined on {n_cells} candidates"
    body = card_template("card.md").render(
        title=title,
        n_cells=n_cells,
        encoder=encoder,
        kind=partition["kind"],
        parameters="".join(f", {key} {value}" for key, value in partition["parameters"].items()),
        sha=config["partition_sha256"][:12],
        region=region_text(partition["centroids"]),
        outside_rule=partition["outside_rule"],
        fusion=config["fusion"],
        fitted_on=_fitted_on(seen if combined is None else config["combined"]),
        training=_training(training),
        recipe=_toml(config["fit"]),
        version=config["version"],
        origin=None if origin is None else {**origin, "published": _published(origin["published"])},
        scores=None if scores is None else shown_scores(scores),
        address=address,
        picture=picture,
        trained_on=trained_on,
        calibration=calibration_text(calibration),
        calibrated=calibration is not None,
        outside=None if region is None else {**region, "rate": f"{100 * region['false_alarms']:g} %"},
        combined=combined,
        license=settings.license,
        encoder_license=" ".join(encoder_license(name) for name in encoder["name"].split(AND)),
        streetclip="geolocal/StreetCLIP" in encoder["name"].split(AND),
    )
    metadata = metadata_yaml(title, encoder, scores, settings, before.metadata)
    return render_card(metadata, re.sub(r"\n{3,}", "\n\n", body), before.own)


@cache
def card_template(name: str) -> Template:
    """Return a template of a card, by the name of its file beside this one; it may include others there."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - Markdown, not HTML
        loader=FunctionLoader(lambda file: files("geocell.heads").joinpath(file).read_text(encoding="utf-8")),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"text": text, "code": code, "fenced": fenced}
    return environment.get_template(name)


def _form(name: str, value: float | None) -> str:
    if value is None:
        return "not known"
    unit = score_unit(name)
    return f"{100 * value:.1f} %" if unit == "%" else f"{value:,.1f}" if unit == "points" else f"{value:.1f} km"


def _interval(name: str, ends: Sequence[float] | None) -> str:
    return " – ".join(_form(name, end) for end in ends or ())


def shown_scores(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows of scores."""
    split = f"the split {code(scores['split'])}" if scores["split"] else "an unnamed split"
    intervals = scores["intervals"]
    rows = [
        (score_label(name), _form(name, value), _interval(name, intervals.get(name)))
        for name, value in flat_scores(scores).items()
    ]
    drawn = text(clusters_text(scores.get("clustered_by"), scores.get("n_clusters")))
    further = {"geoscore": scores.get("geoscore"), "country_accuracy": scores.get("country_accuracy")}
    further["macro_country_accuracy"] = (scores.get("macro") or {}).get("country_accuracy")
    rows += [
        (score_label(name), _form(name, value), _interval(name, intervals.get(name)))
        for name, value in further.items()
        if value is not None
    ]
    for name, found in (scores.get("baselines") or {}).items():
        interval = _interval("balscore", found["intervals"]["balscore"])
        rows.append((f"balscore of {name}", _form("balscore", found["balscore"]), interval))
    countries = scores["countries"]
    columns: Sequence[str] = list(next(iter(countries.values()), ()))
    return {
        "where": f"{scores['n_locations']:,} locations of {split}, decoder {code(scores['decoder'])}; intervals are "
        f"over {drawn}.",
        "balscore": BALSCORE_TEXT,
        "trained_on": scores.get("n_trained_on"),
        "shared": shared_coordinates_text(scores),
        "n_locations": scores["n_locations"],
        "trust": trust_sentences(scores.get("trust")),
        "rows": rows,
        "country_columns": ["locations" if name == "n_locations" else score_label(name) for name in columns],
        "countries": [
            (country, [_cell(name, values[name]) for name in columns]) for country, values in countries.items()
        ],
    }


def _published(scores: Mapping[str, Any]) -> dict[str, str]:
    """Return label -> number of scores that others published, in percent and km as they print them."""
    cells = {"cells": f"{scores['cells']:,}"} if "cells" in scores else {}
    return {**cells, **{score_label(n): f"{value:,} {score_unit(n)}" for n, value in flat_scores(scores).items()}}


def _cell(name: str, value: float | None) -> str:
    return f"{value:,}" if name == "n_locations" and value is not None else _form(name, value)


def _fitted_on(seen: Mapping[str, Any]) -> str:
    """Return on how many locations it was fitted, for a combination on how many different ones its members were."""
    if "n_train" not in seen:
        return "not known"
    return f"{'' if seen.get('complete', True) else 'at least '}{seen['n_train']:,} locations"


def _training(training: Mapping[str, Any]) -> str:
    """Return how the fit went, in one line."""
    if "n_train" not in training:
        return "How it was fitted is not known."
    parts = [f"{training['n_train']:,} training and {training.get('n_val', 0):,} validation locations"]
    if "best_epoch" in training:
        parts.append(f"epoch {training['best_epoch']} of {training['epochs_run']} kept")
    if refit := training.get("refit"):
        parts.append(f"fitted again on {refit['n_train']:,} of both together for {counted(refit['epochs'], 'epoch')}")
    if n := training.get("n_val_at_training_coordinates"):
        parts.append(f"{counted(n, 'validation location')} at coordinates of training locations")
    if training.get("n_train_outside"):
        parts.append(f"{training['n_train_outside']:,} locations outside every cell left out")
    if training.get("init"):
        parts.append("started from another head's weights")
    return "; ".join(parts) + "."


def calibration_text(calibration: Mapping[str, Any] | None) -> str:
    """Return whether its probabilities are calibrated, and on what."""
    if calibration is None:
        return "not calibrated"
    record, errors = calibration["record"], ""
    where = f" on {record['n_locations']:,} locations" if isinstance(record.get("n_locations"), int) else ""
    before, after = (record.get(name) for name in ("before", "after"))
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        ece = [value["ece"] for value in (before, after) if isinstance(value.get("ece"), float)]
        if len(ece) == 2:
            errors = f", calibration error {100 * ece[0]:.1f} % before and {100 * ece[1]:.1f} % after"
    return f"temperature {calibration['temperature']:.2f}{where}{errors}; decoder {calibration['decoder']}"


def _combined(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what the template shows of a combination of heads; None for one head."""
    if value is None:
        return None
    rule = "linear" if value["pool"] == "linear" else "log-linear"
    how = f"{rule}, weights {', '.join(f'{weight:.2f}' for weight in value['weights'])}"
    if value["knn"] is not None:
        how += f"; the {value['knn']['k']} nearest training features vote"
    n = value.get("n_locations")
    chosen = "Their weights are equal."
    if isinstance(n, int):
        split = f" of the split {value['split']}" if value.get("split") else ""
        chosen = f"Rule and weights were chosen on {n:,} locations{split}."
    return {"members": value["members"], "how": how, "chosen": chosen, "zero_shot": value.get("zero_shot", False)}


def _toml(settings: Mapping[str, Any]) -> list[str]:
    def literal(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else f"{value}"

    return [f"{key} = {literal(value)}" for key, value in settings.items()]


def region_text(centroids: Floats) -> str:
    """Return the box around the cells, in words."""
    from geocell.geo.geodesy import as_latlon

    degrees = as_latlon(centroids)
    (south, west), (north, east) = degrees.min(axis=0), degrees.max(axis=0)
    lat = [f"{abs(value):.1f}° {'N' if value >= 0 else 'S'}" for value in (south, north)]
    lon = [f"{abs(value):.1f}° {'E' if value >= 0 else 'W'}" for value in (west, east)]
    return f"cells from {lat[0]} to {lat[1]} and from {lon[0]} to {lon[1]}"


def known_license(encoder: str) -> str | None:
    """Return the licence of an encoder's weights by its name, None where its authors state none that is known."""
    return next((value for name, value in _LICENCES.items() if encoder.startswith(name)), None)


def encoder_license(encoder: str) -> str:
    """Return what a user of the head has to know about the licence of its encoder."""
    license_ = known_license(encoder)
    if license_ is None:
        return f"The weights of its encoder, {code(encoder)}, have a licence of their own: read it before you use them."
    sentence = f"The weights of its encoder, {code(encoder)}, are under {code(license_)}"
    if "-nc" in license_:
        return (
            f"{sentence}: **no commercial use**. The head is of no use without them, so that binds whoever uses both."
        )
    return f"{sentence}."
