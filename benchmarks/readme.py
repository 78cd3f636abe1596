"""Write the generated parts of the READMEs from the files they come from, or check that they agree.

Run: python -m benchmarks.readme [--check]
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import (
    readme_answers,
    readme_heads,
    readme_intervals,
    readme_kills,
    readme_pretraining,
    readme_scale,
    readme_speeds,
)
from benchmarks.common import read_results
from geocell.evaluation.published import published_scores
from geocell.heads.fit_config import read_recipe
from geocell.metrics.outcomes import RADII_KM
from geocell.reports.tables import markdown

ROOT = Path(__file__).resolve().parents[1]


def _real_features() -> str:
    header = ["answer", "≤25 km", "≤200 km", "≤750 km", "≤2500 km", "balscore"]
    lines = []
    for row in read_results("real_features"):
        spread = f" ± {float(row['balscore_sd']):.1f}" if row["balscore_sd"] else ""
        shares = [f"{float(row[f'within_{km}']):.1f}" for km in (25, 200, 750, 2500)]
        lines.append([row["answer"], *shares, f"{float(row['balscore']):.1f}{spread}"])
    seeds = max(int(row["seeds"]) for row in read_results("real_features"))
    note = f"Percent of locations, mean over five folds; ± standard deviation over {seeds} seeds of the fit."
    return f"{markdown(header, lines)}\n\n{note}"


def _answer() -> str:
    (row,) = read_results("answer_picture")
    km, half = float(row["distance_km"]), float(row["radius_50_km"])
    return (
        f"*A real photograph, asked of a head that was fitted on {int(row['training_locations'])} locations of other "
        f"collections, with a small encoder. It is {km:,.0f} km off,\nand says how sure it is: half of such answers "
        f"lie within {half:,.0f} km, and this one is right within 200 km with probability "
        f"{100 * float(row['confidence']):.0f} %.\nPhotograph: Global Streetscapes, from Mapillary or KartaView, "
        "[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/).*"
    )


def _published() -> str:
    rows = published_scores("im2gps3k")
    header = ["model", *(f"≤{radius} km" for radius in RADII_KM), "source"]
    lines = [
        [row.model, *(f"{100 * row.within[r]:.1f}" if r in row.within else "–" for r in RADII_KM), row.source]
        for row in rows
    ]
    return f"{markdown(header, lines)}\n\nPercent of 2,997 photographs, as published."


def _quickstart() -> str:
    text = (ROOT / "docs" / "quickstart.txt").read_text(encoding="utf-8")
    return "```\n" + text.split("\n\nSynthetic:", maxsplit=1)[0].strip() + "\n```"


def _recipes() -> str:
    header = ["partition", "recipe", "locations", "published cells", "cells here", "fewest", "median", "most"]
    lines = []
    for row in read_results("partition_recipes"):
        numbers = [row[key] for key in ("published_cells", "n_cells", "count_min", "count_median", "count_max")]
        texts = [f"{float(number):,g}" if number else "–" for number in numbers]
        recipe = f"`{row['kind']}` {row['parameters']}".strip()
        lines.append([row["partition"], recipe, row["region"], *texts])
    sizes = {row["region"]: f"{int(row['n_locations']):,}" for row in read_results("partition_recipes")}
    note = f"Cells here: on {sizes['Europe']} street-view locations in Europe and {sizes['world']} worldwide."
    return f"{markdown(header, lines, left=2)}\n\n{note}"


def one_of_each_kind(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return of the audits of each kind the one with nearest to a thousand cells, in the order of the kinds."""
    return [
        min((row for row in rows if row["kind"] == kind), key=lambda row: abs(math.log(int(row["n_cells"]) / 1000)))
        for kind in dict.fromkeys(row["kind"] for row in rows)
    ]


def _audits(rows: Sequence[Mapping[str, Any]]) -> str:
    header = ["partition", "cells", "fewest", "median", "most", "≤1 km", "≤25 km", "≤200 km", "≤750 km", "median km"]
    lines = []
    for row in rows:
        kind, *numbers = row["partition"].split(" ", 1)
        counts = [f"{float(row[key]):,g}" for key in ("n_cells", "count_min", "count_median", "count_max")]
        keys = (*(f"within_{km}" for km in (1, 25, 200, 750)), "balscore", "fallback", "outside")
        shares = [f"{100 * float(row[key]):.1f}" for key in keys]
        shares[4] += " [{:.1f}, {:.1f}]".format(*(100 * float(row[f"balscore_{end}"]) for end in ("low", "high")))
        texts = [" ".join([f"`{kind}`", *numbers]), *counts, *shares[:4], f"{float(row['median_km']):.1f}", *shares[4:]]
        lines.append(texts)
    note = (
        f"The oracle on {int(rows[0]['n_locations']):,} street-view locations in Europe, a random fifth; the "
        "partitions saw the others.\nShares in percent; in brackets the 95 % interval of the balscore over places.\n"
        "Fewest, median and most: training locations in a cell."
    )
    return f"{markdown([*header, 'balscore', 'fallback', 'outside'], lines)}\n\n{note}"


def _heads() -> str:
    header = ["head", "partition", "starts from", "settings", "cells", "top-1", "balscore"]
    recipes = {path.parent.name: read_recipe(path) for path in (ROOT / "heads").glob("*/recipe.toml")}
    rows = sorted(recipes.items(), key=lambda item: (-item[1]["published"]["balscore"], item[0]))
    lines = []
    for name, recipe in rows:
        head, published = recipe["head"], recipe["published"]
        settings = ", ".join(f"{key} {value}" for key, value in recipe.get("fit", {}).items()) or "–"
        numbers = [f"{published['cells']:,}", f"{published['top1']:.1f}", f"{published['balscore']:.1f}"]
        lines.append([name, head["partition"], head.get("init", "–"), settings, *numbers])
    note = (
        "Published by their authors on their own test split, top-1 and balscore in percent; reproduced by nobody here."
    )
    table = markdown(header, lines, left=4)
    return f"{table}\n\n{note}"


def _doubt() -> str:
    header = ["photographs", "locations", "answers doubted", "median radius of half of the probability"]
    lines = []
    rows = read_results("doubt")
    for row in rows:
        radius, share = float(row["median_radius_50_km"]), 100 * float(row["doubted"])
        lines.append([row["photographs"], row["locations"], f"{share:.0f} %", f"{radius:,.0f} km"])
    note = (
        f"Heads on features of EfficientNet-Lite0 of three fifths of {rows[0]['locations']} European locations, five "
        f"folds by location × {rows[0]['repeats']} repeats."
    )
    table = markdown(header, lines)
    return f"{table}\n\n{note}"


def _radii() -> str:
    header = ["radii", "decoder", "share", "truth within", "median radius", "smallest radius"]
    rows = read_results("radii")
    lines = [
        [
            row["radii"],
            row["decoder"],
            f"{100 * float(row['share']):.0f} %",
            f"{100 * float(row['truth_within']):.1f} %",
            f"{float(row['median_radius_km']):,.0f} km",
            f"{float(row['smallest_radius_km']):,.1f} km",
        ]
        for row in rows
    ]
    note = (
        f"{int(rows[0]['answers']):,} held-out answers of heads on 64 K-Means cells, five folds by location × "
        f"{rows[0]['seeds']} seeds. Whole cells: from the most probable on, each up to its farthest training location."
    )
    return f"{markdown(header, lines, left=2)}\n\n{note}"


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {
        "answer": _answer,
        "quickstart": _quickstart,
        "partition_audit": lambda: _audits(one_of_each_kind(read_results("partition_audit"))),
        "defaults": readme_heads.defaults_in_short,
        "answers": readme_answers.answers,
    },
    "benchmarks/README.md": {
        "partition_audit": lambda: _audits(read_results("partition_audit")),
        "partition_speed": readme_speeds.speeds,
        "fuzz": readme_speeds.fuzzed,
        "quickstart_times": readme_speeds.quickstart_times,
        "start_speed": readme_speeds.starts,
        "fit_speed": readme_speeds.fits,
        "fit_terms": readme_speeds.fit_terms,
        "decoders": readme_answers.decoders,
        "defaults": readme_heads.defaults,
        "kept_epoch": readme_heads.kept_epoch,
        "kept_epoch_few": readme_heads.kept_epoch_few,
        "real_features": _real_features,
        "ablation": lambda: readme_heads.ablation("location"),
        "ablation_by_place": lambda: readme_heads.ablation("place"),
        "search": readme_heads.search,
        "simulation": readme_heads.simulation,
        "kills": readme_kills.kills,
    },
    "docs/scores.md": {
        "benchmarks": readme_answers.benchmark_rows,
        "intervals": readme_intervals.intervals,
        "coverage": readme_intervals.coverage,
        "coverage_of_areas": readme_intervals.coverage_of_areas,
    },
    "docs/calibration.md": {
        "calibration": readme_answers.calibration,
        "calibrated_decoders": readme_answers.calibrated_decoders,
        "place_decoders": readme_answers.place_decoders,
        "sets": readme_answers.sets,
        "risk": readme_answers.risk,
        "scalings": readme_answers.scalings,
    },
    "docs/zero-shot.md": {"shots": readme_heads.shots},
    "docs/alternatives.md": {"published": _published},
    "docs/combination.md": {"combination": readme_answers.combination},
    "docs/scale.md": {
        "cost": readme_speeds.costs,
        "encode_speed": readme_speeds.encode_speeds,
        "cache_speed": readme_speeds.cache_speeds,
        "rows_memory": readme_speeds.rows_memory,
        "stages": readme_scale.stages,
        "plan": readme_scale.plan,
    },
    "docs/encoders.md": {"decode_speed": readme_speeds.decode_speeds, "pixels_speed": readme_speeds.pixels_speeds},
    "docs/export.md": {"export_speed": readme_speeds.export_speeds},
    "docs/pretraining.md": {
        "streetclip_text": readme_pretraining.streetclip_text,
        "streetclip": readme_pretraining.streetclip,
        "pretrain_speed": readme_pretraining.pretrain_speed,
    },
    "partitions/README.md": {"recipes": _recipes},
    "heads/README.md": {"heads": _heads},
    "docs/responsible-use.md": {"doubt": _doubt, "radii": _radii, "outside_region": readme_answers.outside_region},
}
"""File -> its generated parts."""


def fill(text: str, page: str = "README.md") -> str:
    """Return a page with every part between `<!-- generated: NAME -->` and `<!-- end -->` written anew."""
    for name, part in PAGES[page].items():
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        match = pattern.search(text)
        if match is None:
            raise ValueError(f"{page} must have the markers of the part {name!r}.")
        text = f"{text[: match.end(1)]}{part()}\n{text[match.start(2) :]}"
    return text


def main() -> None:
    """Write, or with --check exit with 1 when the README is not what its sources give."""
    old = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
    new = {page: fill(text, page) for page, text in old.items()}
    if "--check" in sys.argv:
        sys.exit(int(new != old))
    for page, text in new.items():
        (ROOT / page).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
