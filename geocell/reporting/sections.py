"""The tables and lists of a report, as HTML."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from geocell.display.numbers import ABSENT
from geocell.evaluation.comparison import signed
from geocell.evaluation.named_baselines import NEAREST_LABEL
from geocell.metrics.scores import BALSCORE_TEXT, score_label, score_unit
from geocell.metrics.trust import trust_sentences
from geocell.reporting.beside import SHOWN
from geocell.reporting.countries import pairs_taken
from geocell.reporting.html import Cell, escaped, facts, paragraph, table
from geocell.splits.leaks import length_text

if TYPE_CHECKING:
    from geocell.reporting.measured import Measured

MOST_COUNTRIES = 250
"""Rows of the table of countries: all there are by outlines."""

_DIFFERENCES = ("balscore", "within_25", "within_200", "within_750", "median_km", "geoscore", "country_accuracy")
_KEY_SCORES = ("balscore", "median_km", "within_25", "within_200", "within_750", "country_accuracy")
_OF_CONFIG = ("lr", "batch_size", "fusion", "haversine", "seed")
_LOW_IS_GOOD = ("median_km", "mean_km")


def value_text(name: str, value: float | None, unit: bool = False) -> str:
    """Return a score for people: percent, km or points; a dash for none."""
    if value is None:
        return ABSENT
    kind = score_unit(name)
    text = f"{100 * value:.1f}" if kind == "%" else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}"
    return f"{text} {kind}" if unit else text


def interval_text(name: str, ends: Sequence[float] | None) -> str:
    """Return an interval in the unit of its score, "" for none."""
    return "" if ends is None else f"{value_text(name, ends[0])}–{value_text(name, ends[1])}"


def header_text(name: str) -> str:
    """Return the head of a column, with its unit."""
    label = score_label(name).replace("within ", "≤ ").replace("country accuracy", "country")
    return label if score_unit(name) == "points" or "km" in label else f"{label}, {score_unit(name)}"


def key_scores(value: Mapping[str, Any]) -> str:
    """Return the main scores of the head as a list of large numbers."""
    row = value["rows"][0]
    nearest: Mapping[str, float] = next(
        (other["values"] for other in value["rows"] if other["name"] == NEAREST_LABEL), {}
    )
    tiles = [
        f"<div><dt>{escaped(score_label(name))}</dt><dd>{value_text(name, row['values'][name], unit=True)}"
        f"<small>{interval_text(name, row['intervals'].get(name))}</small>"
        + (f"<small>{NEAREST_LABEL}: {value_text(name, nearest[name])}</small>" if name in nearest else "")
        + "</dd></div>"
        for name in _KEY_SCORES
        if name in row["values"]
    ]
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def about(value: Mapping[str, Any]) -> str:
    """Return what was measured: head, cells, fit, calibration, split and what it leaks."""
    head, split = value["head"], value["split"]
    encoder, partition, fit = head["encoder"], head["partition"], head["fit"]
    pairs = [
        ("Head", f"{head['name']} ({head['kind']}), sha256 {head['sha256'][:12]}"),
        (
            "Encoder",
            f"{encoder['name']}, revision {encoder['revision'][:12]}, {encoder['pooling']}, D = {encoder['dim']}",
        ),
        ("Partition", _partition_text(partition)),
        ("Fit", _fit_text(fit)),
        ("Calibration", _calibration_text(head["calibration"])),
        ("Decoder", value["scores"]["decoder"]),
        ("Locations", _locations_text(value)),
        ("Split", _split_text(split)),
        ("Leaks", _leaks_text(value)),
        ("Feature cache", value["cache"]),
        ("Made by", f"geocell {value['version']}"),
    ]
    return facts(pairs)


def _partition_text(partition: Mapping[str, Any]) -> str:
    given = ", ".join(f"{name} {text}" for name, text in partition["parameters"].items() if text not in {"", "None"})
    n = partition["n_train"]
    of = "" if n is None else f" of {n:,} training locations"
    return f"{partition['kind']}, {partition['n_cells']:,} cells{of}, sha256 {partition['sha256'][:12]}" + (
        f" ({given})" if given else ""
    )


def _fit_text(fit: Mapping[str, Any]) -> str:
    if "templates" in fit:
        return "no training: texts " + "; ".join(str(text) for text in fit["templates"].values())
    if "rule" in fit:
        weights = ", ".join(f"{weight:g}" for weight in fit["weights"])
        vote = ", with the vote of the nearest training features" if fit["vote"] else ""
        return f"{fit['rule']} pool with the weights {weights}{vote}"
    parts = []
    if "n_train" in fit:
        parts.append(f"{fit['n_train']:,} training locations")
    if fit.get("refit"):
        parts.append("fitted again on training and validation locations")
    if "epochs_run" in fit:
        parts.append(f"{fit['epochs_run']} epochs, epoch {fit.get('best_epoch', ABSENT)} kept")
    config = fit.get("config", {})
    parts += [
        f"{name} {config[name]}" for name in ("lr", "batch_size", "fusion", "haversine", "seed") if name in config
    ]
    return ", ".join(parts)


def _calibration_text(calibration: Mapping[str, Any] | None) -> str:
    if calibration is None:
        return "none: nothing was learned on validation locations"
    n = calibration.get("n_locations")
    of = "" if n is None else f" on {n:,} locations of {calibration.get('split', 'a split')}"
    return (
        f"{calibration['scaling']} scaling, T = {calibration['temperature']:.3g}{of}, decoder {calibration['decoder']}"
    )


def _locations_text(value: Mapping[str, Any]) -> str:
    scores = value["scores"]
    parts = [f"{scores['n_locations']:,}"]
    if scores.get("n_outside"):
        parts.append(f"{scores['n_outside']:,} of them in no cell")
    if scores.get("outside_region") is not None:
        parts.append(f"{100 * scores['outside_region']:.1f} % flagged as outside the head's region")
    by, n = scores.get("clustered_by"), scores.get("n_clusters")
    if by:
        parts.append(f"intervals over {n:,} clusters ({by})")
    return ", ".join(parts)


def _split_text(split: Mapping[str, Any]) -> str:
    if split["protocol"] is None:
        return "none: every location of the cache; what the head was trained on is not known from a split"
    counts = ", ".join(f"{name} {n:,}" for name, n in split["n"].items())
    seed = "" if split["seed"] is None else f", seed {split['seed']}"
    buffer = f", buffer {split['buffer_km']:g} km" if split["buffer_km"] else ""
    return f"{split['name']}; drawn {split['protocol']}{buffer}{seed} ({counts})"


def _leaks_text(value: Mapping[str, Any]) -> str:
    trained = value["scores"].get("n_trained_on")
    parts = [f"{trained:,} of the locations are training locations of the head"] if trained else []
    if value["leaks"]:
        parts.append(value["leaks"]["verdict"])
    elif value["split"]["protocol"] is not None:
        parts.append("not sought")
    return "; ".join(parts)


def verdict(value: Mapping[str, Any]) -> str:
    """Return the sentences on who is better, one for each comparison."""
    sentences = [row["sentence"] for row in value["rows"] if row.get("sentence")]
    return "".join(paragraph(text[0].upper() + text[1:]) for text in sentences)


def score_tables(value: Mapping[str, Any]) -> str:
    """Return the table of scores, and that of the paired differences where there is one."""
    rows = value["rows"]
    columns = [*SHOWN, "geoscore", "country_accuracy"]
    header = ["answers of", *map(header_text, columns)]
    lines = [
        [
            Cell(row["name"], row["name"], ", ".join(filter(None, (row["what"], row["decoder"]))), strong=i == 0),
            *(
                Cell(
                    value_text(name, row["values"].get(name)),
                    row["values"].get(name),
                    interval_text(name, row["intervals"].get(name)),
                )
                for name in columns
            ),
        ]
        for i, row in enumerate(rows)
    ]
    parts = [table("Scores", header, lines, sortable=True)]
    parts.append(paragraph(f"{BALSCORE_TEXT}. Below each score its 95 % interval.", "note"))
    compared = [row for row in rows if "difference" in row]
    if compared:
        parts.append("<h3>The head less the others, on the same locations</h3>")
        parts.append(
            table("Paired differences", ["head less …", *map(header_text, _DIFFERENCES)], _differences(compared))
        )
        parts.append(
            paragraph(
                "▲ the head is better, ▼ worse, at 95 %; without a mark these locations cannot tell. Both answer the "
                "same locations, so the interval of the difference is narrower than those of the scores.",
                "note",
            )
        )
    return "\n".join(parts)


def _differences(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Cell]]:
    for row in rows:
        cells = [Cell(row["name"])]
        for name in _DIFFERENCES:
            found = row["difference"].get(name)
            if found is None:
                cells.append(Cell(ABSENT))
                continue
            scale = 100.0 if score_unit(name) == "%" else 1.0
            difference, low, high = (scale * number for number in found)
            gain = -difference if name in _LOW_IS_GOOD else difference
            told = low > 0 or high < 0
            mark = "" if not told else "▲ " if gain > 0 else "▼ "
            cells.append(Cell(mark + signed(difference), difference, f"{signed(low)} to {signed(high)}", strong=told))
        yield cells


def distance_facts(value: Mapping[str, Any]) -> str:
    """Return how far the nearest training location is, "" where that is not known."""
    leaks = value["leaks"]
    if not leaks:
        return ""
    of = leaks["splits"][value["split"]["name"]]
    quantiles = of["quantiles_km"]
    text = (
        f"Half of the locations have a training location within {length_text(quantiles['0.5'])}, "
        f"95 % within {length_text(quantiles['0.95'])}. {of['n_near_duplicates']:,} have a view that is nearly one of "
        f"training (cosine of features at least {leaks['cosine']:g}), {of['n_shared_coordinates']:,} the coordinates "
        "of a training location."
    )
    return paragraph(text)


def trust_text(value: Mapping[str, Any]) -> str:
    """Return what is said of the trust in answers, in sentences."""
    sentences = trust_sentences(value["scores"].get("trust"))
    return "".join(paragraph(f"{text[0].upper()}{text[1:]}.") for text in sentences)


def countries_table(value: Mapping[str, Any]) -> str:
    """Return the scores of every country, those with most locations first."""
    rows = value["by_country"][:MOST_COUNTRIES]
    names = ("within_25", "within_200", "within_750", "median_km", "country_accuracy")
    header = ["country", "locations", "balscore, %", *map(header_text, names)]
    lines = [
        [
            Cell(row["name"], row["name"], row["code"] if row["code"] != row["name"] else ""),
            Cell(f"{row['n_locations']:,}", row["n_locations"]),
            Cell(
                value_text("balscore", row["balscore"]),
                row["balscore"],
                interval_text("balscore", (row["balscore_low"], row["balscore_high"])),
            ),
            *(Cell(value_text(name, row[name]), row[name]) for name in names),
        ]
        for row in rows
    ]
    taken = [f"{a} for {b}" for b, a, _, _ in pairs_taken(value["confusion"])]
    most = f"Taken for one another most often: {', '.join(taken)} (the answer for the truth)." if taken else ""
    macro = value["scores"].get("macro")
    mean = (
        f"Mean over {macro['n_countries']:,} countries: balscore {100 * macro['balscore']:.1f} %, "
        f"in the right country {100 * macro['country_accuracy']:.1f} %."
        if macro and "country_accuracy" in macro
        else ""
    )
    return table("Countries", header, lines, sortable=True) + paragraph(" ".join(filter(None, (mean, most))), "note")


def partition_facts(measured: Measured) -> str:
    """Return how large and how full the cells are."""
    partition = measured.partition
    counts = partition.counts
    pairs = [("Cells", f"{len(partition):,}"), ("Kind", measured.value["head"]["partition"]["kind"])]
    if counts.any():
        low, high = int(counts.min()), int(counts.max())
        pairs.append(
            ("Training locations per cell", f"{low:,} to {high:,}, median {sorted(counts)[len(counts) // 2]:,}")
        )
    top1, top5 = (measured.value["scores"].get(name) for name in ("top1", "top5"))
    if top1 is not None and top5 is not None:
        pairs.append(("The true cell is first", f"{100 * top1:.1f} %, among the first five {100 * top5:.1f} %"))
    pairs.append(("Locations in no cell", partition.outside_rule))
    return facts(pairs)


def example_cards(measured: Measured, which: str) -> str:
    """Return the worst or the random examples as a list of cards."""
    rows = measured.examples.get(which, ())
    items = zip(rows, measured.value[which], strict=True)
    cards = "".join(_card(item, measured.thumbnails.get(int(row))) for row, item in items)
    return f'<ol class="cards">{cards}</ol>'


def _card(item: Mapping[str, Any], thumbnail: bytes | None) -> str:
    (lat, lon), (to_lat, to_lon) = item["truth"], item["answer"]
    image = ""
    if thumbnail:
        data = base64.b64encode(thumbnail).decode("ascii")
        image = f'<img alt="" src="data:image/jpeg;base64,{data}">'
    km = item["distance_km"]
    off = f"{km:,.0f} km" if km >= 10 else length_text(km)
    return (
        f"<li>{image}<div><b>{escaped(off)} off</b>"
        f"<span>{escaped(item['location'])}</span>"
        f"<span><i>true</i> {_place(item['truth_place'], lat, lon)}</span>"
        f"<span><i>answer</i> {_place(item['answer_place'], to_lat, to_lon)}</span>"
        f"<span><i>most probable cell</i> {100 * item['probability']:.0f} %</span>"
        f'<button type="button" data-way="{lat},{lon},{to_lat},{to_lon}">Show on the map</button></div></li>'
    )


def _place(place: str, lat: float, lon: float) -> str:
    where = f"{abs(lat):.3f}°{'S' if lat < 0 else 'N'} {abs(lon):.3f}°{'W' if lon < 0 else 'E'}"
    return f"{escaped(place)}<small>{where}</small>" if place else where
