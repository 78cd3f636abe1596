"""Predicted locations as text, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from geocell.decoders.base import decoder_label
from geocell.geo.geodesy import distance_km
from geocell.metrics.trust import rounded_km2
from geocell.reports.tables import ABSENT, Row, km_text, number, percent, text_table


def _place(value: Row, what: str) -> tuple[float, float]:
    lat, lon = number(value, "lat"), number(value, "lon")
    if lat is None or lon is None:
        raise ValueError(f"{what} must hold degrees as 'lat' and 'lon', got {sorted(value)}.")
    return lat, lon


def prediction_text(prediction: Row) -> str:
    """Return one predicted location with its most probable cells, for the terminal.

    Args:
        prediction: `location`, `lat`, `lon`, `decoder`, `cells` (most probable first, each with `name`,
            `probability`, `lat`, `lon` of its centroid) and, when they are known, `place`, `radius_50_km`,
            `radius_90_km`, `doubt`, `problem`, and `truth` with `lat`, `lon`. Without coordinates, `problem` says why.

    Returns:
        A heading and one line per cell, without a final newline. Degrees have four decimals (11 m),
        probabilities are in percent, distances in km on the sphere.

    Raises:
        ValueError: when coordinates are missing and no problem says why.
    """
    name, problem = prediction.get("location", "location"), prediction.get("problem")
    if problem and number(prediction, "lat") is None:
        return f"{name}: no answer: {problem}"
    lat, lon = _place(prediction, "a prediction")
    heading = f"{name}: {lat:.4f}, {lon:.4f}"
    if prediction.get("decoder"):
        heading += f"  (decoder {decoder_label(str(prediction['decoder']))})"
    truth = prediction.get("truth")
    origin = _place(truth, "the truth") if isinstance(truth, Mapping) else None
    lines = [heading]
    if prediction.get("place"):
        lines.append(f"  {prediction['place']}")
    lines += _radius_lines(prediction) + _set_lines(prediction)
    if prediction.get("abstained") is True:
        lines.append("  withheld: less sure than asked for")
    if prediction.get("doubt"):
        lines.append(f"  doubtful: {prediction['doubt']}")
    if problem:
        lines.append(f"  {problem}")
    if origin is not None:
        away = float(distance_km(origin, (lat, lon)))
        lines.append(f"  truth {origin[0]:.4f}, {origin[1]:.4f}, {km_text(away)} km away")
    return "\n".join(lines + _cell_lines(prediction.get("cells"), origin))


def predictions_text(predictions: Sequence[Row]) -> str:
    """Return predicted locations for the terminal, with a last line for several: how many, and how far off.

    Args:
        predictions: of `prediction_text`, at least one.
    """
    blocks = [prediction_text(prediction) for prediction in predictions]
    if len(predictions) > 1:
        located = sum(number(prediction, "lat") is not None for prediction in predictions)
        given = [prediction for prediction in predictions if prediction.get("abstained") is not True]
        away = [km for prediction in given if (km := number(prediction, "distance_km")) is not None]
        summary = f"{located:,} of {len(predictions):,} located"
        if n := len(predictions) - len(given):
            summary += f", {n:,} of these answers withheld ({percent((located - n) / len(predictions))} % answered)"
        if away:
            summary += f"; median distance to the truth, known for {len(away):,}: {km_text(median(away))} km"
        blocks.append(summary)
    return "\n\n".join(blocks)


def _radius_lines(prediction: Row) -> list[str]:
    reach = [(share, number(prediction, f"radius_{share}_km")) for share in (50, 90)]
    known = [
        f"{share} % {'of the probability ' * (share == 50)}within {km_text(km)} km"
        for share, km in reach
        if km is not None
    ]
    if not known:
        return []
    if prediction.get("calibrated"):
        known = [f"{share} % within {km_text(km)} km" for share, km in reach if km is not None]
    calibrated = "calibrated" if prediction.get("calibrated") else "not calibrated"
    confidence = number(prediction, "confidence")
    sure = "" if confidence is None else f"; within 200 km of the truth with probability {percent(confidence)} %"
    return [f"  {' and '.join(known)}{sure} ({calibrated})"]


def _set_lines(prediction: Row) -> list[str]:
    half, most = (number(prediction, f"area_{share}_km2") for share in (50, 90))
    method = prediction.get("sets")
    if half is None or most is None or not method:
        return []
    what = "of the probability in" if method == "mass" else "within"
    return [f"  50 % {what} {rounded_km2(half)} km² and 90 % {what} {rounded_km2(most)} km² (cells by {method})"]


def _cell_lines(cells: object, origin: tuple[float, float] | None) -> list[str]:
    if not isinstance(cells, Sequence) or not cells:
        return []
    placed = any(cell.get("place") for cell in cells)
    header = ["", "probability", "cell", *["place"] * placed, "centroid lat", "lon", *["km to truth"] * bool(origin)]
    table = []
    for rank, cell in enumerate(cells, start=1):
        lat, lon = _place(cell, "a cell")
        probability = number(cell, "probability")
        line = [
            str(rank),
            ABSENT if probability is None else f"{percent(probability)} %",
            str(cell.get("name", ABSENT)),
            *[str(cell.get("place") or ABSENT)] * placed,
            f"{lat:.4f}",
            f"{lon:.4f}",
        ]
        table.append([*line, km_text(float(distance_km(origin, (lat, lon))))] if origin else line)
    lines = text_table(
        header, table, [2 <= i < 3 + placed for i in range(len(header))], rule=False, indent=2
    ).splitlines()
    return [f"  {line}" for line in lines]
