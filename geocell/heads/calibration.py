"""What a head learned on validation locations after its fit, `calibration.json` in its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geocell.decoders.balscore import shares_problem
from geocell.decoders.table import parse_decoder
from geocell.files import FORMAT, DamagedFileError, canonical_json, read_json, require_types
from geocell.uncertainty.temperature import RANGE

CALIBRATION_FILE = "calibration.json"
COVERAGES = (50, 90)
"""The shares, in percent, that the radii of answers hold."""

_MAX_BYTES = 1 << 20
_TYPES: dict[str, type | tuple[type, ...]] = {
    "temperature": float,
    "shares": dict,
    "decoder": str,
    "radius_factors": dict,
    "record": dict,
}


@dataclass(frozen=True)
class Calibration:
    """What was learned on validation locations.

    Attributes:
        temperature: T, by which logits are divided: the posterior of the head is calibrated by it.
        shares: radius in km -> share of locations within it, of the decoder `balscore` at that temperature.
        decoder: the decoder that the radii are for, which commands decode with where none is typed.
        radius_factors: coverage in percent -> q of `geocell.uncertainty.conformal`.
        record: which locations, how they were split, when, and how well it did on them; JSON.
    """

    temperature: float
    shares: Mapping[int, float]
    decoder: str
    radius_factors: Mapping[int, float]
    record: Mapping[str, Any] = field(default_factory=dict)

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

    @property
    def sha256(self) -> str:
        """Hash of all that answers depend on, which is all but the record."""
        value = self.to_dict()
        del value["record"]
        return hashlib.sha256(canonical_json(value).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `calibration.json`."""
        return {
            "format": FORMAT,
            "temperature": self.temperature,
            "shares": {str(radius): share for radius, share in self.shares.items()},
            "decoder": self.decoder,
            "radius_factors": {str(coverage): q for coverage, q in self.radius_factors.items()},
            "record": dict(self.record),
        }


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
    try:
        return Calibration(value["temperature"], shares, value["decoder"], factors, value["record"])
    except ValueError as error:
        raise DamagedFileError(f"{path}: {str(error).removesuffix('.')}: calibrate the head again.") from error
