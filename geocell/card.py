"""The model card of a head: what a reader of its folder has to know, generated from the files beside it.

The template is `card.md` beside this file. Text that a person wrote between the two marks is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

    from geocell.geodesy import Floats

OWN_START = "<!-- Your own text goes between these two lines: it is kept whenever this card is written anew. -->"
OWN_END = "<!-- End of your own text. -->"
UNPUBLISHED = "unpublished"
"""What stands for the data set of scores whose locations are not on the Hub."""

_LICENCES = {
    "geolocal/StreetCLIP": "cc-by-nc-4.0",
    "facebook/dinov2": "apache-2.0",
    "google/siglip": "apache-2.0",
    "efficientnet-lite0": "apache-2.0",
}
"""Start of an encoder's name -> licence of its weights, where its authors state one."""

_NAMES = {"balscore": "balscore", "top1": "top-1", "top5": "top-5", "median_km": "median", "mean_km": "mean"}


@dataclass(frozen=True)
class CardSettings:
    """What a card says that no file of the head knows. Empty fields are those of the card from before.

    Attributes:
        license: licence of the head as the Hub spells it, mit at first; that of the encoder is added.
        datasets: data sets on the Hub that it was trained on.
        benchmark: data set on the Hub that scores.json was measured on, user/data or user/data:task.
    """

    license: str = ""
    datasets: tuple[str, ...] = ()
    benchmark: str = ""

    def over(self, earlier: CardSettings) -> CardSettings:
        """Return these settings, with those of an earlier card where they are empty."""
        return CardSettings(
            self.license or earlier.license, self.datasets or earlier.datasets, self.benchmark or earlier.benchmark
        )


def settings_of(card: str) -> CardSettings:
    """Return the settings that an earlier card states."""
    from huggingface_hub import ModelCard

    if not card:
        return CardSettings()
    try:
        data = ModelCard(card).data
    except Exception:  # a card that a person broke has nothing to say
        return CardSettings()
    tested = {result.dataset_type for result in data.get("eval_results") or []} - {UNPUBLISHED}
    datasets = data.get("datasets") or ()
    return CardSettings(
        str(data.get("license") or ""),
        (datasets,) if isinstance(datasets, str) else tuple(datasets),
        min(tested, default=""),
    )


def own_text(card: str) -> str:
    """Return what a person wrote between the marks of a card."""
    found = re.search(f"{re.escape(OWN_START)}\n(.*?)\n?{re.escape(OWN_END)}", card, re.DOTALL)
    return found[1].strip() if found else ""


def head_card(
    config: Mapping[str, Any],
    partition: Mapping[str, Any],
    scores: Mapping[str, Any] | None,
    *,
    address: str = "path/to/this/folder",
    picture: str = "",
    own: str = "",
    settings: CardSettings | None = None,
) -> str:
    """Return the model card of a head as Markdown.

    Args:
        config: the content of its `config.json`.
        partition: the content of its `partition.json`, and `centroids` (C, 2).
        scores: the content of its `scores.json`, when it has one.
        address: what a reader loads it by.
        picture: file name of the picture of its cells, when it has one.
        own: what a person wrote.
        settings: licence and data sets.
    """
    from jinja2 import Environment, StrictUndefined

    encoder, training = config["encoder"], config["training"]
    origin = training.get("origin")
    first = CardSettings(license="mit" if origin is None else origin["license"])
    settings = (settings or CardSettings()).over(first)
    n_cells = f"{config['n_cells']:,}"
    title = f"Geocell head: {encoder['name']} on {n_cells} cells ({partition['kind']})"
    environment = Environment(  # noqa: S701 - Markdown, not HTML
        trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    template = environment.from_string(files("geocell").joinpath("card.md").read_text(encoding="utf-8"))
    text = template.render(
        metadata=_metadata(title, encoder, scores, settings),
        title=title,
        n_cells=n_cells,
        encoder=encoder,
        kind=partition["kind"],
        parameters="".join(f", {key} {value}" for key, value in partition["parameters"].items()),
        sha=config["partition_sha256"][:12],
        region=_region(partition["centroids"]),
        outside_rule=partition["outside_rule"],
        fusion=config["fusion"],
        fitted_on=f"{training['n_train']:,} locations" if "n_train" in training else "not known",
        training=_training(training),
        recipe=_toml(config["fit"]),
        version=config["version"],
        origin=None if origin is None else {**origin, "published": _published(origin["published"])},
        scores=None if scores is None else _scores(scores),
        address=address,
        picture=picture,
        license=settings.license,
        encoder_license=_encoder_license(encoder["name"]),
        streetclip=encoder["name"] == "geolocal/StreetCLIP",
        own_start=OWN_START,
        own_end=OWN_END,
    )
    text = re.sub(r"\n{3,}", "\n\n", text)
    return text.replace(f"{OWN_START}\n", f"{OWN_START}\n{own}", 1)


def _metadata(title: str, encoder: Mapping[str, Any], scores: Mapping[str, Any] | None, settings: CardSettings) -> str:
    """Return the YAML block, made and checked by huggingface_hub."""
    from huggingface_hub import ModelCardData

    on_hub = encoder["name"].count("/") == 1 and not encoder["revision"].startswith("sha256:")
    data = ModelCardData(
        license=settings.license,
        library_name="geocell",
        pipeline_tag="image-classification",
        tags=["image-geolocation", "geolocation", "geocell", "street-view"],
        base_model=encoder["name"] if on_hub else None,
        datasets=list(settings.datasets) or None,
        model_name=title,
        eval_results=None if scores is None else eval_results(scores, settings),
    )
    if scores is None:
        data.pop("model_name")
    return data.to_yaml()


def eval_results(scores: Mapping[str, Any], settings: CardSettings) -> list[EvalResult]:
    """Return scores as the entries of a model-index: percent and km, as people quote them."""
    from huggingface_hub import EvalResult

    dataset = settings.benchmark or UNPUBLISHED
    shared = EvalResult(
        task_type="image-classification",
        task_name="Image geolocation",
        dataset_type=dataset,
        dataset_name=f"{dataset}, {scores['n_locations']} locations",
        dataset_split=scores["split"] or None,
        metric_type="",
        metric_value=None,
        metric_args={"decoder": scores["decoder"]},
    )
    return [
        replace(
            shared,
            metric_type=name,
            metric_name=f"{_label(name)} ({'km' if name.endswith('_km') else '%'})",
            metric_value=round(value if name.endswith("_km") else 100 * value, 2),
        )
        for name, value in _values(scores).items()
        if value is not None
    ]


def eval_file(scores: Mapping[str, Any], settings: CardSettings) -> tuple[str, str]:
    """Return name and content of the file by which the Hub shows scores beside others on one benchmark.

    Only the balscore goes there: a benchmark ranks by one number.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    dataset, _, task = settings.benchmark.partition(":")
    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=task or "default",
        value=round(100 * scores["balscore"], 2),
        notes=f"balscore in %, decoder {scores['decoder']}, {scores['n_locations']} locations",
    )
    return f".eval_results/{dataset.replace('/', '--')}.yaml", yaml.safe_dump(
        eval_result_entries_to_yaml([entry]), sort_keys=False
    )


def _values(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """Return score name -> value, under the names that intervals have."""
    within = {f"within_{radius}": share for radius, share in scores["within"].items()}
    names = ("balscore", "top1", "top5")
    return {**{name: scores[name] for name in names}, **within, **{n: scores[n] for n in ("median_km", "mean_km")}}


def _label(name: str) -> str:
    return _NAMES.get(name, f"within {name.removeprefix('within_')} km")


def _form(name: str, value: float | None) -> str:
    if value is None:
        return "not known"
    return f"{value:.1f} km" if name.endswith("_km") else f"{100 * value:.1f} %"


def _scores(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows of scores."""
    split = f"the split `{scores['split']}`" if scores["split"] else "an unnamed split"
    intervals = scores["intervals"]
    rows = [
        (_label(name), _form(name, value), " – ".join(_form(name, end) for end in intervals.get(name) or ()))
        for name, value in _values(scores).items()
    ]
    countries = scores["countries"]
    columns: Sequence[str] = list(next(iter(countries.values()), ()))
    return {
        "where": f"{scores['n_locations']:,} locations of {split}, decoder `{scores['decoder']}`; intervals are over "
        "locations.",
        "rows": rows,
        "country_columns": ["locations" if name == "n_locations" else _label(name) for name in columns],
        "countries": [
            (country, [_cell(name, values[name]) for name in columns]) for country, values in countries.items()
        ],
    }


def _published(scores: Mapping[str, Any]) -> dict[str, str]:
    """Return label -> number of scores that others published, in percent and km as they print them."""
    flat = {name: value for name, value in scores.items() if name != "within"}
    flat |= {f"within_{radius}": value for radius, value in scores.get("within", {}).items()}
    units = {name: "" if name == "cells" else " km" if name.endswith("_km") else " %" for name in flat}
    return {"cells" if name == "cells" else _label(name): f"{value:,}{units[name]}" for name, value in flat.items()}


def _cell(name: str, value: float | None) -> str:
    return f"{value:,}" if name == "n_locations" and value is not None else _form(name, value)


def _training(training: Mapping[str, Any]) -> str:
    """Return how the fit went, in one line."""
    if "n_train" not in training:
        return "How it was fitted is not known."
    parts = [f"{training['n_train']:,} training and {training.get('n_val', 0):,} validation locations"]
    if "best_epoch" in training:
        parts.append(f"epoch {training['best_epoch']} of {training['epochs_run']} kept")
    if training.get("n_train_outside"):
        parts.append(f"{training['n_train_outside']:,} locations outside every cell left out")
    if training.get("init"):
        parts.append("started from another head's weights")
    return "; ".join(parts) + "."


def _toml(settings: Mapping[str, Any]) -> list[str]:
    def text(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else f"{value}"

    return [f"{key} = {text(value)}" for key, value in settings.items()]


def _region(centroids: Floats) -> str:
    """Return the box around the cells, in words."""
    from geocell.geodesy import as_latlon

    degrees = as_latlon(centroids)
    (south, west), (north, east) = degrees.min(axis=0), degrees.max(axis=0)
    lat = [f"{abs(value):.1f}° {'N' if value >= 0 else 'S'}" for value in (south, north)]
    lon = [f"{abs(value):.1f}° {'E' if value >= 0 else 'W'}" for value in (west, east)]
    return f"cells from {lat[0]} to {lat[1]} and from {lon[0]} to {lon[1]}"


def _encoder_license(encoder: str) -> str:
    """Return what a user of the head has to know about the licence of its encoder."""
    license_ = next((value for name, value in _LICENCES.items() if encoder.startswith(name)), None)
    if license_ is None:
        return f"The weights of its encoder, `{encoder}`, have a licence of their own: read it before you use them."
    text = f"The weights of its encoder, `{encoder}`, are under `{license_}`"
    if "-nc" in license_:
        return f"{text}: **no commercial use**. The head is of no use without them, so that binds whoever uses both."
    return f"{text}."
