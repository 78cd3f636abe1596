"""Reading and writing artefacts: bounded JSON and TOML, files and folders that appear whole or not at all, text."""

from geocell.files.atomic import atomic_path as atomic_path
from geocell.files.atomic import write_bytes as write_bytes
from geocell.files.atomic import write_json as write_json
from geocell.files.atomic import write_text as write_text
from geocell.files.attributes import import_attribute as import_attribute
from geocell.files.documents import FORMAT as FORMAT
from geocell.files.documents import DamagedFileError as DamagedFileError
from geocell.files.documents import canonical_json as canonical_json
from geocell.files.documents import json_text as json_text
from geocell.files.documents import missing as missing
from geocell.files.documents import read_json as read_json
from geocell.files.documents import read_json_value as read_json_value
from geocell.files.documents import read_recipe_tables as read_recipe_tables
from geocell.files.documents import reading as reading
from geocell.files.documents import require_types as require_types
from geocell.files.folders import folder_lock as folder_lock
from geocell.files.folders import new_folder as new_folder
from geocell.files.folders import read_folder as read_folder
from geocell.files.folders import require_new as require_new
from geocell.files.paths import as_place as as_place
from geocell.files.paths import is_local as is_local
from geocell.files.text import counted as counted
from geocell.files.text import csv_text as csv_text
from geocell.files.text import printable as printable
from geocell.files.workspace import remove_leftovers as remove_leftovers
