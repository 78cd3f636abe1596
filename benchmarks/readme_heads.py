"""The generated parts of the READMEs that are about fits: ablation, search and simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.common import read_results
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


def ablation_in_short() -> str:
    """Return the lines that the interval tells apart from the default, the chosen one and the floor."""
    rows = [row for row in read_results("ablation") if row["folds"] == "location"]
    told = [row for row in rows if verdict(row) in {"helps", "hurts", ""} or row["group"] in {"chosen", "floor"}]
    others = [row["case"] for row in rows if row not in told]
    text = markdown(ABLATION_HEADER, [_ablation_cells(row) for row in told], left=2)
    places = [
        row for row in read_results("ablation") if row["folds"] == "place" and row["group"] in {"default", "chosen"}
    ]
    default, chosen = float(places[0]["balscore"]), float(places[1]["balscore"])
    return (
        f"{text}\n\n{_ablation_note(rows)}\n\nNot told apart from their base: {'; '.join(others)}.\n\nMany of the "
        f"photographs share a place. With all of a place in one fold, where nobody has seen it, the default has "
        f"{default:.1f} and the chosen one {chosen:.1f}."
    )


def search() -> str:
    """Return the best and the default settings of both searches."""
    rows = []
    for features in ("real", "simulated"):
        found = sorted(
            (row for row in read_results("search") if row["features"] == features),
            key=lambda row: -float(row["balscore"]),
        )
        default = next(row for row in found if float(row["difference"]) == 0)
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
