"""The generated parts of the documentation that are about intervals: how often they hold the truth."""

from __future__ import annotations

from benchmarks.common import read_results
from geocell.reports.tables import markdown


def intervals() -> str:
    """Return how often intervals hold the truth, over locations, over clusters, and by other methods."""
    shares = ("within_25", "within_200", "within_750")
    header = ["locations", "drawn", "of", "equal", "alike", "over locations", "bootstrap", "robust t"]
    header += ["balscore", "shares", "median", "mean", "GeoScore", "Δ balscore", "Δ shares", "Δ mean", "Δ GeoScore"]
    results = read_results("intervals")
    lines = []
    for row in (row for row in results if row["method"] == "geocell"):
        keys = ("locations", "groups", "clusters", "alike", "balscore")
        other = {r["method"]: r for r in results if all(r[key] == row[key] for key in keys)}
        alike = f"{float(row['alike']):.0%}".replace("%", " %") if row["alike"] else "real"
        line = [row["locations"], f"{row['clusters']} {row['groups']}", f"{int(row['mean_locations']):,}"]
        line += [row["equal_clusters"], alike]
        line += [_held(other[name], "balscore") for name in ("over locations", "bootstrap of clusters", "robust t")]
        for part in ("", "difference_"):
            found = [float(row[f"{part}{name}_held"]) for name in shares]
            line.append(_held(row, f"{part}balscore"))
            line.append(f"{min(found):.0f}–{max(found):.0f}")
            line += [_held(row, f"{part}{name}") for name in ("median_km", "mean_km", "geoscore")[part != "" :]]
        lines.append(line)
    note = (
        f"Percent of {results[0]['simulations']} simulations. Of: mean number of locations. Equal: as many clusters of "
        "one size would tell as much if all of a cluster were alike (Kish). Alike: share of the variance of "
        "log-distances that is of the cluster; real: the answers of a head and a nearest neighbour. The three columns "
        "after it are of balscore by other methods; Δ: differences of two answers."
    )
    few = [row for row in results if row["method"] == "geocell" and not row["alike"] and row["groups"] != "locations"]
    held = sorted(float(row["difference_within_1_held"]) for row in few)
    note += (
        f" Shares within 1 km, of which a place or two decide on the shared features: their differences are held in "
        f"{held[0]:.0f}–{held[-1]:.0f} %, since most samples are without these places."
    )
    return f"{markdown(header, lines, left=2)}\n\n{note}"


def _held(row: dict[str, str], name: str) -> str:
    return f"{float(row[f'{name}_held']):.0f}"


def coverage() -> str:
    """Return how often the intervals of differences in the benchmarks hold the truth, beside other methods."""
    header = ["difference", "folds by", "places", "repeats", "places and repeats", "places alone", "bootstrap"]
    found = [row for row in read_results("coverage") if not row["alike"]]
    lines = []
    for case in dict.fromkeys(_case(row) for row in found):
        by = {row["method"]: row for row in found if _case(row) == case}
        texts = [
            f"{float(by[name]['held']):.0f} ({float(by[name]['width']):.1f})"
            for name in ("places and repeats", "places", "bootstrap")
        ]
        lines.append([*case, *texts])
    note = (
        f"Percent of {found[0]['simulations']} simulations in which nominal 95 % hold the difference of balscores; in "
        "brackets the mean width in points."
    )
    return f"{markdown(header, lines, left=2)}\n\n{note}"


def _case(row: dict[str, str]) -> tuple[str, ...]:
    return row["what"], row["folds"], row["places"], row["repeats"]


def coverage_of_areas() -> str:
    """Return how often the intervals of AURC and AUGRC hold the truth."""
    header = ["places", "alike", "AURC", "held", "AUGRC", "held"]
    found = [row for row in read_results("coverage") if row["alike"]]
    lines = []
    for size in dict.fromkeys((row["places"], row["alike"]) for row in found):
        by = {row["what"]: row for row in found if (row["places"], row["alike"]) == size}
        numbers = [
            text
            for name in ("AURC", "AUGRC")
            for text in (f"{float(by[name]['truth']):.1f}", f"{float(by[name]['held']):.0f}")
        ]
        lines.append([size[0], f"{100 * float(size[1]):.0f} %", *numbers])
    note = f"Percent of {found[0]['simulations']} simulations in which nominal 95 % hold the area."
    return f"{markdown(header, lines, left=0)}\n\n{note}"
