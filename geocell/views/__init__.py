"""Views: reading tables, folders, shards and data sets of geotagged images."""

from geocell.views.columns import ColumnNames
from geocell.views.reading import read_rows, read_views
from geocell.views.table import (
    ViewTable,
    coordinate_numbers,
    latlon_keys,
    location_column,
    location_coordinates,
    rounded_latlon,
    table_from_frame,
)

__all__ = [
    "ColumnNames",
    "ViewTable",
    "coordinate_numbers",
    "latlon_keys",
    "location_column",
    "location_coordinates",
    "read_rows",
    "read_views",
    "rounded_latlon",
    "table_from_frame",
]
