"""What a head learned on validation locations after its fit, `calibration.json` in its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.balscore import shares_problem
from geocell.decoders.table import parse_decoder
from geocell.display import share_text
from geocell.files import FORMAT, DamagedFileError, canonical_json, read_json, require_types
from geocell.uncertainty.cell_sets import METHODS, Method
from geocell.uncertainty.temperature import RANGE, scaled

CALIBRATION_FILE = "calibration.json"
COVERAGES = (50, 90)
"""The shares, in percent, that the radii of answers hold."""

_MAX_BYTES = 1 << 23
_MOST_BIAS = 50.0
_TYPES: dict[str, type | tuple[type, ...]] = {
    "temperature": float,
    "shares": dict,
    "decoder": str,
    "radius_factors": dict,
    "record": dict,
}
_LATER_TYPES: dict[str, type | tuple[type, ...]] = {"bias": list, "set_thresholds": dict, "abstain_below": float}
"""Keys that a file may lack."""


@dataclass(frozen=True)
class Calibration:
    """What was learned on validation locations.

    Attributes:
        temperature: T, by which logits are divided: the posterior of the head is calibrated by it.
        shares: radius in km -> share of locations within it, of the decoder `balscore` at that temperature.
        decoder: the decoder that the radii are for, which commands decode with where none is typed.
        radius_factors: coverage in percent -> q of `geocell.uncertainty.conformal`.
        record: which locations, how they were split, when, and how well it did on them; JSON.
        bias: (C,) nats that are added to the logits after their division by T: vector scaling; None for temperature
            scaling.
        set_thresholds: method of `geocell.uncertainty.cell_sets` -> coverage in percent -> threshold of its sets; None
            in files of earlier versions.
        abstain_below: the confidence below which an answer is withheld; None where no error was asked for.
    """

    temperature: float
    shares: Mapping[int, float]
    decoder: str
    radius_factors: Mapping[int, float]
    record: Mapping[str, Any] = field(default_factory=dict)
    bias: tuple[float, ...] | None = None
    set_thresholds: Mapping[Method, Mapping[int, float]] | None = None
    abstain_below: float | None = None

    def __repr__(self) -> str:
        """Return the temperature and decoder, and what the calibration error became."""
        errors = [self.record.get(when) for when in ("before", "after")]
        found = [of["ece"] for of in errors if isinstance(of, Mapping) and isinstance(of.get("ece"), float)]
        error = f", ECE {share_text(found[0])} -> {share_text(found[1])}" if len(found) == 2 else ""
        return f"<Calibration: temperature {self.temperature:.3g}, decoder {self.decoder}{error}>"

    def __post_init__(self) -> None:
        """Check the range of every number."""
        if not RANGE[0] <= self.temperature <= RANGE[1]:
            raise ValueError(f"temperature must be from {RANGE[0]:g} to {RANGE[1]:g}, got {self.temperature:g}.")
        if problem := shares_problem(self.shares):
            raise ValueError(f"shares {problem}.")
        if tuple(self.radius_factors) != COVERAGES or not all(0 <= q < 1e6 for q in self.radius_factors.values()):
            raise ValueError(
                f"radius_factors must be of {' and '.join(map(str, COVERAGES))} %, from 0 on, got "
                f"{dict(self.radius_factors)}."
            )
        parse_decoder(self.decoder)
        if self.bias is not None and not all(abs(b) <= _MOST_BIAS for b in self.bias):
            raise ValueError(f"bias must be one number per cell from -{_MOST_BIAS:g} to {_MOST_BIAS:g}.")
        if self.set_thresholds is not None and (
            tuple(self.set_thresholds) != METHODS
            or any(tuple(qs) != COVERAGES for qs in self.set_thresholds.values())
            or not all(0 <= q <= 1 for qs in self.set_thresholds.values() for q in qs.values())
        ):
            raise ValueError(
                f"set_thresholds must be of {', '.join(METHODS)}, for {' and '.join(map(str, COVERAGES))} % each, and "
                "from 0 to 1."
            )
        if self.abstain_below is not None and not 0 <= self.abstain_below <= 1:
            raise ValueError(f"abstain_below must be from 0 to 1, got {self.abstain_below:g}.")

    def require_for(self, n_cells: int) -> None:
        """Raise ValueError unless it is of a head on so many cells."""
        if self.bias is not None and len(self.bias) != n_cells:
            raise ValueError(
                f"a calibration must have one bias for each of the {n_cells:,} cells, got {len(self.bias):,}: it is of "
                "another head; calibrate this one."
            )

    @property
    def sha256(self) -> str:
        """Hash of all that answers depend on, which is all but the record."""
        value = self.to_dict()
        del value["record"]
        return hashlib.sha256(canonical_json(value).encode()).hexdigest()

    @property
    def scales(self) -> bool:
        """Whether it changes probabilities at all."""
        return (self.temperature, self.bias) != (1.0, None)

    def applied(self, posterior: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (P, C) calibrated probabilities, ``softmax(log p / T + b)``."""
        return scaled(posterior, self.temperature, self.bias) if self.scales else posterior

    def undone(self, posterior: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (P, C) probabilities from before `applied`, up to rounding: ``softmax(T (log q - b))``."""
        if not self.scales:
            return posterior
        bias = None if self.bias is None else -self.temperature * np.asarray(self.bias)
        return scaled(posterior, 1.0 / self.temperature, bias)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `calibration.json`; what was not learned is left out."""
        value = {
            "format": FORMAT,
            "temperature": self.temperature,
            "shares": {str(radius): share for radius, share in self.shares.items()},
            "decoder": self.decoder,
            "radius_factors": {str(coverage): q for coverage, q in self.radius_factors.items()},
            "record": dict(self.record),
        }
        if self.bias is not None:
            value["bias"] = list(self.bias)
        if self.set_thresholds is not None:
            value["set_thresholds"] = {
                method: {str(coverage): q for coverage, q in qs.items()} for method, qs in self.set_thresholds.items()
            }
        if self.abstain_below is not None:
            value["abstain_below"] = self.abstain_below
        return value


def read_calibration(folder: Path) -> Calibration | None:
    """Read the calibration in the folder of a head, None where there is none.

    Raises:
        ValueError: when the file is damaged.
    """
    path = folder / CALIBRATION_FILE
    if not path.is_file():
        return None
    value = read_json(path, "a calibration", max_bytes=_MAX_BYTES)
    require_types(value, _TYPES, str(path))
    shares = {key: value["shares"].get(str(key), -1.0) for key in (25, 200, 750)}
    factors = {key: value["radius_factors"].get(str(key), -1.0) for key in COVERAGES}
    for name, numbers in (("shares", shares), ("radius_factors", factors)):
        require_types({str(k): v for k, v in numbers.items()}, {str(k): float for k in numbers}, f"{path} {name}")
    later = _later_fields(value, str(path))
    try:
        return Calibration(value["temperature"], shares, value["decoder"], factors, value["record"], **later)
    except ValueError as error:
        raise DamagedFileError(f"{path}: {str(error).removesuffix('.')}: calibrate the head again.") from error


def _later_fields(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the fields of a calibration that its file may lack, checked for their types."""
    require_types(value, {name: kind for name, kind in _LATER_TYPES.items() if name in value}, where)
    fields = {name: value[name] for name in _LATER_TYPES if name in value}
    if "bias" in fields:
        numbers = {str(cell): number for cell, number in enumerate(fields["bias"])}
        require_types(numbers, dict.fromkeys(numbers, float), f"{where} bias")
        fields["bias"] = tuple(fields["bias"])
    if "set_thresholds" in fields:
        of = {method: fields["set_thresholds"].get(method, {}) for method in METHODS}
        require_types(of, dict.fromkeys(METHODS, dict), f"{where} set_thresholds")
        fields["set_thresholds"] = {m: {c: qs.get(str(c), -1.0) for c in COVERAGES} for m, qs in of.items()}
        for method, qs in fields["set_thresholds"].items():
            numbers = {str(coverage): q for coverage, q in qs.items()}
            require_types(numbers, dict.fromkeys(numbers, float), f"{where} set_thresholds {method}")
    return fields
