"""Views: reading tables, folders, shards and data sets of geotagged images."""

from geocell.views.columns import ColumnNames
from geocell.views.coordinates import coordinate_numbers, latlon_keys, rounded_latlon
from geocell.views.reading import open_views, read_rows, read_views, require_root
from geocell.views.stored import StoredViews, Views
from geocell.views.table import ViewTable, table_from_frame

__all__ = [
    "ColumnNames",
    "StoredViews",
    "ViewTable",
    "Views",
    "coordinate_numbers",
    "latlon_keys",
    "open_views",
    "read_rows",
    "read_views",
    "require_root",
    "rounded_latlon",
    "table_from_frame",
]
