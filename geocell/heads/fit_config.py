"""What a fit is made of: `FitConfig`, and the TOML recipes that state what differs from its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from geocell.compute.seeds import MAX_SEED
from geocell.decoders.table import parse_decoder
from geocell.files import one_sentence, read_recipe_tables

Fusion = Literal["feature", "logit", "attention"]
"""How the views of a location become one: mean of their features, mean of their logits, or a learned weighted mean."""

Precision = Literal["auto", "float32", "bfloat16"]
"""Of the matrix products of a fit; everything else is float32."""

Keep = Literal["auto", "best", "last"]
"""Which epoch of a fit is kept."""

FEW_VALIDATION_LOCATIONS = 500
FEW_TRAINING_LOCATIONS = 10_000
"""Below so many of both, `keep` auto is last: the best epoch is a matter of chance, and the last does not overfit."""

VERY_FEW_VALIDATION_LOCATIONS = 20
"""Below so many, `keep` auto is last on any number of training locations."""

SECTIONS = ("head", "fit", "published")
"""The tables a head's recipe may have: what it is fitted on, its `FitConfig`, and numbers copied from its authors."""

HEAD_KEYS = ("partition", "init")
"""Keys of `[head]`: the folder in partitions/ that the head is fitted on, the folder in heads/ it starts from."""


@dataclass(frozen=True)
class FitConfig:
    """Settings of one fit. Flag, TOML key, JSON key and field share one name.

    Attributes:
        epochs: passes over the training locations, at most.
        batch_size: training locations per step, at most; an epoch has about 8 steps or more.
        lr: peak learning rate of AdamW; cosine decay to 0 over all epochs.
        weight_decay: decoupled weight decay of the Linear's weight; biases and the norm have none.
        dropout: share of the normalised features set to 0 while training.
        label_smoothing: share of the target spread evenly over all cells.
        haversine: λ, the weight per km of the distance from the posterior mean to the true point.
        expected_distance: weight per km of the expected distance of the posterior from the true point.
        smoothing_km: targets fall off with the distance of a cell, by a factor e per so many km; 0 for one true cell.
        smoothing_normalized: whether those targets sum to 1 for every location, or as published do not.
        hierarchy: weight of the log-loss of the posterior summed over the cells of each coarser level.
        hierarchy_decay: weight of a level relative to the next finer one; 1 weighs all levels equally.
        offsets: weight of the regression of where in its true cell a location lies, for decode offset; 0 for none.
        weight_exponent: class weights are cell frequency to the power of minus this; 0 none, 1 inverse frequency.
        weight_cap: largest class weight, relative to the mean weight over training locations.
        warmup_epochs: epochs of linear warm-up of the learning rate, at most half of the fit.
        keep: the epoch that is kept: best (highest validation balscore), last (in which the learning rate has
            annealed), or auto: last with fewer than 20 validation locations, and with fewer than 500 where there are
            fewer than 10,000 training locations; best otherwise.
        patience: epochs without a better validation score before a fit that keeps the best epoch stops.
        refit: fit again on training and validation locations together, from the same start and with as many epochs as
            were kept, and keep that head; no location is left then that could validate it.
        fusion: how views of a location are joined, feature (mean of features), logit (mean of logits) or attention
            (mean of logits with learned weights).
        view_dropout: share of the views left out of a batch, at random; of every location one stays.
        ema: decay per step of a running mean of the weights, which is what is scored and kept; 0 for none.
        decode: decoder of the validation score that selects the epoch.
        stream: training locations in a block, two of which are in memory, one of them being read; 0 for all at once.
        seed: seed of the order, the dropout and the views left out.
        device: auto, cpu, cuda, cuda:0 or mps; auto takes the first accelerator there is.
        precision: of the matrix products, auto, float32 or bfloat16; auto takes bfloat16 where it is faster.
    """

    epochs: int = 20
    batch_size: int = 512
    lr: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.3
    label_smoothing: float = 0.1
    haversine: float = 0.0
    expected_distance: float = 0.0
    smoothing_km: float = 0.0
    smoothing_normalized: bool = True
    hierarchy: float = 0.0
    offsets: float = 0.0
    hierarchy_decay: float = 1.0
    weight_exponent: float = 1.0
    weight_cap: float = 2.0
    warmup_epochs: int = 1
    keep: Keep = "auto"
    patience: int = 15
    refit: bool = False
    fusion: Fusion = "feature"
    view_dropout: float = 0.0
    ema: float = 0.0
    decode: str = "centroid"
    stream: int = 0
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Check every field; whole numbers given for a float field become floats."""
        for name, least in {
            "epochs": 1,
            "batch_size": 1,
            "warmup_epochs": 0,
            "patience": 1,
            "stream": 0,
            "seed": 0,
        }.items():
            _require_integer(name, getattr(self, name), least)
        if self.seed > MAX_SEED:
            raise ValueError(f"seed must be at most {MAX_SEED}, got {self.seed}.")
        for name, (low, high, meaning) in _RANGES.items():
            object.__setattr__(self, name, _require_number(name, getattr(self, name), low, high, meaning))
        for name, choices in {
            "fusion": get_args(Fusion),
            "precision": get_args(Precision),
            "keep": get_args(Keep),
        }.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}.")
        for name in ("smoothing_normalized", "refit"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(  # noqa: TRY004 - every field that is wrong is one kind of error
                    f"{name} must be true or false, got {getattr(self, name)!r}."
                )
        decoder = parse_decoder(self.decode)
        object.__setattr__(self, "decode", decoder.spec)
        decoder.require(frozenset({"features", "offsets"} if self.offsets else {"features"}))
        kind, _, number = str(self.device).partition(":")
        if kind not in {"auto", "cpu", "cuda", "mps"} or (number and not number.isdigit()):
            raise ValueError(f"device must be auto, cpu, cuda, cuda:0 or mps, got {self.device!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


_LARGEST = 1e9
_RANGES: dict[str, tuple[float, float, str]] = {
    "lr": (1e-12, _LARGEST, "a positive number"),
    "weight_decay": (0.0, _LARGEST, "a number of at least 0"),
    "dropout": (0.0, 1.0 - 1e-9, "a number from 0 to below 1"),
    "view_dropout": (0.0, 1.0 - 1e-9, "a number from 0 to below 1"),
    "ema": (0.0, 1.0 - 1e-9, "a number from 0 (no running mean) to below 1"),
    "label_smoothing": (0.0, 1.0 - 1e-9, "a number from 0 to below 1"),
    "haversine": (0.0, _LARGEST, "a number per km of at least 0"),
    "expected_distance": (0.0, _LARGEST, "a number per km of at least 0"),
    "smoothing_km": (0.0, _LARGEST, "a number of kilometres of at least 0"),
    "hierarchy": (0.0, _LARGEST, "a number of at least 0"),
    "hierarchy_decay": (1e-3, 1e3, "a number from 0.001 (the finest level alone, nearly) to 1000 (the coarsest)"),
    "offsets": (0.0, _LARGEST, "a number of at least 0"),
    "weight_exponent": (0.0, 2.0, "a number from 0 (no weights) to 2, 1 being inverse frequency"),
    "weight_cap": (1.0, _LARGEST, "a number of at least 1"),
}


def _require_integer(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")


def _require_number(name: str, value: object, low: float, high: float, meaning: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be {meaning}, got {value!r}.")
    return float(value)


def stored_settings(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a file records, with what was the case before a setting existed or had its default.

    `keep` and `refit` came later than format 1, which kept the best epoch; the epochs of an imported head are not
    known, and format 1 gave them its default.
    """
    return {"epochs": 80, "keep": "best", "refit": False, **value}


@one_sentence()
def fit_config_from_dict(value: dict[str, Any], where: str) -> FitConfig:
    """Return the config that `value` states, defaults for the rest.

    Args:
        value: field name -> value.
        where: its place, for error messages.

    Raises:
        ValueError: for an unknown key, with the known ones, or a value that its field refuses.
    """
    known = [field.name for field in fields(FitConfig)]
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a table of settings, got {value!r}.")  # noqa: TRY004 - one kind of error
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise ValueError(f"{where} must have keys among {', '.join(known)}, got {', '.join(unknown)}.")
    try:
        return FitConfig(**value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


@one_sentence()
def read_recipe(path: Path) -> dict[str, dict[str, Any]]:
    """Read a recipe: a TOML file of tables that states only what differs from the defaults.

    Args:
        path: the file.

    Returns:
        Table name -> its keys and values, for the tables that are present. `[published]` holds numbers copied from
        their authors; nothing is fitted by them.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is not TOML, or has an unknown table or an unknown key in `[head]` or `[fit]`.
    """
    path = Path(path)
    recipe = read_recipe_tables(path, SECTIONS)
    strangers = sorted(set(recipe.get("head", {})) - set(HEAD_KEYS))
    if strangers:
        raise ValueError(f"{path} [head] must have keys among {', '.join(HEAD_KEYS)}, got {', '.join(strangers)}.")
    fit_config_from_dict(recipe.get("fit", {}), f"{path} [fit]")
    return recipe
