"""What a notebook shows of a head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geocell.display import Display, TextTable
from geocell.features.locations import encoder_text
from geocell.files import counted
from geocell.heads.calibration import Calibration
from geocell.heads.fit_config import FitConfig
from geocell.heads.folder import HeadParts
from geocell.metrics.scores import score_label, score_text
from geocell.partitioners.notebook import partition_map


def head_display(parts: HeadParts) -> Display:
    """Return encoder, cells and fit of a head, and a map of its cells."""
    partition, training = parts.partition, parts.training
    learned = {"offsets": parts.config.offsets > 0, "region": parts.region, "training places": parts.places}
    facts = [
        ("cells", f"{len(partition):,}, {partition.kind}, sha256 {partition.sha256[:12]}"),
        ("encoder", encoder_text(parts.encoder)),
        ("fitted on", _fitted_on(training)),
        ("settings", settings_text(parts.config)),
        ("calibration", calibration_text(parts.calibration)),
        ("neighbours", "" if parts.neighbours is None else f"{len(parts.neighbours):,} training locations"),
        ("also has", ", ".join(name for name, part in learned.items() if part)),
        ("sha256", parts.sha256[:12]),
    ]
    found = training.get("val")
    values = found if isinstance(found, Mapping) else {}
    known = [(n, values[n]) for n in ("balscore", "top1", "median_km", "mean_km") if isinstance(values.get(n), float)]
    rows = [(score_label(name), score_text(name, value)) for name, value in known]
    table = TextTable(("on validation locations", ""), rows)
    title = f"Head on {counted(len(partition), 'cell')}"
    return Display(title, facts, [table], partition_map(partition))


def _fitted_on(training: Mapping[str, Any]) -> str:
    if "n_train" not in training:
        return "unknown"
    refit = training.get("refit")
    again = f", then {refit['n_train']:,} of both" if refit else ""
    return f"{training['n_train']:,} training and {training.get('n_val', 0):,} validation locations{again}"


def settings_text(config: FitConfig) -> str:
    """Return the settings of a fit that are not the defaults."""
    usual = vars(FitConfig())
    changed = {name: value for name, value in vars(config).items() if value != usual[name]}
    return ", ".join(f"{name} {value}" for name, value in changed.items()) or "defaults"


def calibration_text(calibration: Calibration | None) -> str:
    """Return temperature and decoder of a calibration, or that there is none."""
    if calibration is None:
        return "none"
    return f"temperature {calibration.temperature:.3g}, decoder {calibration.decoder}"
