"""The generated parts of the READMEs that are about fits: defaults, epochs, shots, ablation, search, simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.common import read_results
from geocell.heads.fit_config import FitConfig
from geocell.reports.tables import markdown

Line = Mapping[str, str]


def _signed(value: str, factor: float = 1.0) -> str:
    return f"{factor * float(value):+.1f}".replace("-", "−")


def _interval(row: Line, name: str = "difference", factor: float = 1.0) -> str:
    return f"[{_signed(row[f'{name}_low'], factor)}, {_signed(row[f'{name}_high'], factor)}]"


def verdict(row: Line) -> str:
    """Return what the interval of a difference says."""
    if row["case"] == row["base"]:
        return ""
    low, high = float(row["difference_low"]), float(row["difference_high"])
    return "helps" if low > 0 else "hurts" if high < 0 else "not told apart"


def _ablation_cells(row: Line) -> list[str]:
    base = row["case"] == row["base"]
    difference = "" if base else _signed(row["difference"])
    shares = [f"{float(row[f'within_{radius}']):.1f}" for radius in (25, 200, 750)]
    against = "" if base or row["base"] == "default" else row["base"]
    interval = "" if base else _interval(row)
    return [row["case"], against, *shares, f"{float(row['balscore']):.1f}", difference, interval, verdict(row)]


ABLATION_HEADER = ("case", "against", "≤25 km", "≤200 km", "≤750 km", "balscore", "difference", "95 %", "verdict")


def _ablation_note(rows: Sequence[Line]) -> str:
    chosen = next(row["chosen"] for row in rows if row["chosen"])
    return (
        f"Percent; {rows[0]['repeats']} repeats of five folds. Difference to the default, or to what stands under "
        "against; its 95 % interval is over places and over repeats, which have other folds and other seeds of the "
        f"fit. Chosen by fold: {chosen}."
    )


def ablation(folds: str) -> str:
    """Return the whole table of one way to deal folds, "location" or "place"."""
    rows = [row for row in read_results("ablation") if row["folds"] == folds]
    lines = markdown(ABLATION_HEADER, [_ablation_cells(row) for row in rows], left=2)
    return f"{lines}\n\n{_ablation_note(rows)}"


def _has_defaults(row: Line) -> bool:
    """Return whether the searched settings of a row are those of a fit; batches are not searched on few locations."""
    settings = FitConfig()
    return all(row[key] in ("", str(getattr(settings, key))) for key in ("lr", "weight_decay", "dropout", "batch_size"))


def search() -> str:
    """Return the best and the default settings of both searches."""
    rows = []
    for features in ("real", "simulated"):
        found = sorted(
            (row for row in read_results("search") if row["features"] == features),
            key=lambda row: -float(row["balscore"]),
        )
        default = next(row for row in found if _has_defaults(row))
        for rank, row in enumerate(found):
            if rank < 4 or row is default or row is found[-1]:
                name = f"{rank + 1} of {len(found)}" + (", the defaults" if row is default else "")
                settings = [row[key] or "–" for key in ("lr", "weight_decay", "dropout", "batch_size")]
                against = ["", ""] if row is default else [_signed(row["difference"]), _interval(row)]
                numbers = [f"{float(row['balscore']):.1f}", *against]
                rows.append([features, name, *settings, *numbers])
    header = ("features", "rank", "lr", "weight decay", "dropout", "batch", "balscore", "less the defaults'", "95 %")
    return markdown(header, rows, left=2)


def simulation() -> str:
    """Return the stages on simulated features beside what was published."""
    rows = []
    found = read_results("simulation")
    start = found[0]
    for row in found:
        published = ["", ""]
        if row["published_balscore"]:
            less = float(row["published_balscore"]) - float(start["published_balscore"])
            published = [f"{float(row['published_balscore']):.1f}", _signed(str(less)) if row is not start else ""]
        shares = [f"{100 * float(row[key]):.1f}" for key in ("top1", "top5")]
        km = [f"{float(row[key]):.1f}" for key in ("median_km", "mean_km")]
        difference = "" if row is start else _signed(row["balscore_less_plain"], 100)
        interval = "" if row is start else _interval(row, "balscore", 100)
        rows.append(
            [row["stage"], *shares, *km, f"{100 * float(row['balscore']):.1f}", difference, interval, *published]
        )
    header = (
        "stage", "top-1", "top-5", "median km", "mean km", "balscore", "difference", "95 %", "published", "difference",
    )  # fmt: skip
    size = f"{int(start['n_train']):,} training locations, {int(start['n_cells']):,} cells"
    return f"{markdown(header, rows)}\n\n{size}, decoder `centroid`, test split; differences to the plain head."


def _difference(row: Line) -> str:
    """Return a difference with its interval; nothing for what is compared with itself."""
    return "" if row["case"] == row["base"] else f"{_signed(row['difference'])} {_interval(row)}"


def defaults() -> str:
    """Return every case of the defaults, by location and by place, beside the base it differs from."""
    found: dict[tuple[str, str, str], dict[str, Line]] = {}
    for row in read_results("defaults"):
        if row["group"] != "against":
            found.setdefault((row["group"], row["case"], row["base"]), {})[row["folds"]] = row
    rows = []
    for (_, case, base), by in found.items():
        numbers = [text for row in by.values() for text in (f"{float(row['balscore']):.1f}", _difference(row))]
        rows.append([case, "" if case == base else base, *numbers])
    header = ("case", "against", "balscore by location", "difference", "by place", "difference")
    first = read_results("defaults")[0]
    counts = "; ".join(
        f"by {folds}: {next(r['chosen'] for r in read_results('defaults') if r['folds'] == folds and r['chosen'])}"
        for folds in ("location", "place")
    )
    note = (
        f"Percent; {first['repeats']} repeats of five folds; in brackets 95 % intervals over places and repeats. "
        "Cases without refit train on seven eighths of the training folds and validate on the rest, all others train "
        "on all of them; 64 K-Means cells unless said otherwise. Chosen on the other folds, by fold: "
        f"{counts}."
    )
    return f"{markdown(header, rows, left=2)}\n\n{note}"


def defaults_in_short() -> str:
    """Return the defaults, with refit too, and the best candidate by the other folds, beside every floor."""
    rows = [row for row in read_results("defaults") if row["group"] == "against"]
    scores = {(row["folds"], row["case"]): float(row["balscore"]) for row in read_results("defaults")}
    cases = list(dict.fromkeys(row["case"] for row in rows))
    bases = list(dict.fromkeys(row["base"] for row in rows))
    header = ["folds", "less", *(f"{_NAMES.get(case, case)}" for case in cases)]
    lines = []
    for folds in ("location", "place"):
        own = [f"{scores[folds, case]:.1f}" for case in cases]
        lines.append([f"by {folds}", "", *own])
        for base in bases:
            by = {row["case"]: row for row in rows if row["folds"] == folds and row["base"] == base}
            lines.append(
                [f"by {folds}", f"{base} ({scores[folds, base]:.1f})", *(_difference(by[case]) for case in cases)]
            )
    note = (
        f"Balscore in percent, and how much more it is than each of the others, with 95 % intervals over places and "
        f"repeats; {rows[0]['repeats']} repeats of five folds."
    )
    return f"{markdown(header, lines, left=2)}\n\n{note}"


_NAMES = {
    "chosen on the other folds": "best candidate, chosen on the other folds",
    "last of 20 epochs": "default (last of 20 epochs)",
    "last of 20 epochs, refit": "default with `--refit`",
}


def kept_epoch() -> str:
    """Return what each rule has over the best of 80 epochs, by the number of validation locations."""
    found = read_results("kept_epoch")
    numbers = list(dict.fromkeys(row["n_val"] for row in found))
    rows = []
    for size in dict.fromkeys((row["n_train"], row["n_cells"], row["keep"], row["epochs"]) for row in found):
        by = {
            row["n_val"]: row for row in found if (row["n_train"], row["n_cells"], row["keep"], row["epochs"]) == size
        }
        start = (size[2], size[3]) == ("best", "80")
        differences = [
            f"{float(by[n]['balscore']):.1f}" if start else f"{_signed(by[n]['difference'])} {_interval(by[n])}"
            for n in numbers
        ]
        rows.append([f"{size[2]} of {size[3]} epochs", f"{int(size[0]):,}", f"{int(size[1]):,}", *differences])
    header = ("kept", "training locations", "cells", *(f"{int(n):,} to validate" for n in numbers))
    note = (
        "Percent. Test balscore of the best of 80 epochs by so many validation locations, and what the other rules "
        "have more or less, with 95 % intervals over test locations and repeats."
    )
    return f"{markdown(header, rows)}\n\n{note}"


def kept_epoch_few() -> str:
    """Return what each rule has over the last epoch, by training locations, noise and validation locations."""
    found = read_results("kept_epoch_few")
    numbers = list(dict.fromkeys(row["n_val"] for row in found))
    rows = []
    for key in dict.fromkeys((row["n_train"], row["noise"], row["rule"]) for row in found):
        by = {row["n_val"]: row for row in found if (row["n_train"], row["noise"], row["rule"]) == key}
        n_train, noise, rule = key
        texts = [
            f"{float(row['balscore']):.1f}" if rule == "last" else f"{_signed(row['difference'])} {_interval(row)}"
            for row in (by[n] for n in numbers)
        ]
        rows.append([rule, f"{int(n_train):,}", noise, *texts])
    header = ("kept", "training locations", "noise", *(f"{int(n):,} to validate" for n in numbers))
    note = (
        f"Percent; {found[0]['epochs']} epochs. Test balscore of the last epoch, and what the others have more or "
        "less, with 95 % intervals over test locations."
    )
    return f"{markdown(header, rows)}\n\n{note}"


def shots() -> str:
    """Return the balscore of a fit from zeros by the photographs of a cell, and what words add to it."""
    results = read_results("shots")
    found = {(row["folds"], row["shots"], row["case"]): row for row in results}
    header = ["folds", "shots", "locations", *_SHOTS.values(), "mean km, scaled", "nats, scaled"]
    lines = []
    for folds, count in dict.fromkeys((row["folds"], row["shots"]) for row in results if row["shots"] != "0"):
        by = {case: found[folds, count, case] for case in _SHOTS}
        scaled = by["from words, scaled"]
        texts = [
            f"{float(row['balscore']):.1f}" if row["case"] == row["base"] else _difference(row) for row in by.values()
        ]
        km = "{:+,.0f} [{:+,.0f}, {:+,.0f}]".format(*_ends(scaled, "km_difference")).replace("-", "−")
        nats = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*_ends(scaled, "nats_difference")).replace("-", "−")
        lines.append([f"by {folds}", count, scaled["locations"], *texts, km, nats])
    alone = "; ".join(
        f"by {folds} {float(found[folds, '0', 'words alone']['balscore']):.1f} and "
        f"{float(found[folds, '0', 'majority cell']['balscore']):.1f}"
        for folds in ("location", "place")
    )
    temperatures = [float(row["chosen"]) for row in results if row["case"] == "from words, scaled"]
    note = (
        f"Balscore in percent of a fit from zeros, and how much more the others have, with 95 % intervals over places "
        f"and repeats; the last two columns are the mean distance and the negative log-likelihood of the true cell, "
        f"scaled words less zeros. {results[0]['repeats']} repeats of five folds with their own draws of shots. Words "
        f"alone and the majority cell, without a photograph: {alone}. Temperatures of the scaled words, median over "
        f"folds: {min(temperatures):.1f} to {max(temperatures):.1f}."
    )
    return f"{markdown(header, lines)}\n\n{note}"


_SHOTS = {
    "from zeros": "from zeros",
    "1-NN, centred": "1-NN, centred",
    "from words": "from words",
    "from words, scaled": "from words, scaled",
    "WiSE-FT, words and from words": "scaled, WiSE-FT",
    "words and from zeros, averaged": "zeros, averaged with words",
}
"""Cases of `shots.csv` -> what the table calls them."""


def _ends(row: Line, name: str) -> list[float]:
    return [float(row[f"{name}{end}"]) for end in ("", "_low", "_high")]
