"""Partitions of the earth into cells: one file per kind, one contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, cast

from geocell.files import one_sentence, read_recipe_tables
from geocell.partitioners.base import OUTSIDE as OUTSIDE
from geocell.partitioners.base import Assignment as Assignment
from geocell.partitioners.base import Partition as Partition
from geocell.partitioners.h3 import H3Partitioner as H3Partitioner
from geocell.partitioners.h3_adaptive import H3AdaptivePartitioner as H3AdaptivePartitioner
from geocell.partitioners.kdtree import KDTreePartitioner as KDTreePartitioner
from geocell.partitioners.kinds import KINDS, partitioner_type
from geocell.partitioners.kmeans import KMeansPartitioner as KMeansPartitioner
from geocell.partitioners.nuts import NUTSPartitioner as NUTSPartitioner
from geocell.partitioners.partitioner import Partitioner as Partitioner
from geocell.partitioners.polygons import PolygonsPartitioner as PolygonsPartitioner
from geocell.partitioners.quadtree import QuadtreePartitioner as QuadtreePartitioner
from geocell.partitioners.s2 import S2Partitioner as S2Partitioner
from geocell.partitioners.semantic import SemanticPartitioner as SemanticPartitioner
from geocell.partitioners.validation import shown

PARTITIONERS: dict[str, type[Partitioner]] = {kind: cast("type[Partitioner]", partitioner_type(kind)) for kind in KINDS}
"""Kind -> the dataclass of its parameters, of every kind in this package."""


def custom_partitioner(name: str) -> type[Partitioner]:
    """Return a custom partitioner by `module:attribute`.

    Raises:
        ImportError: when there is no such module or attribute.
        ValueError: when it is no dataclass of parameters that subclasses `Partitioner`.
    """
    found = partitioner_type(name)
    if not (isinstance(found, type) and issubclass(found, Partitioner) and is_dataclass(found)):
        raise ValueError(f"{name} must be a dataclass that subclasses geocell.partitioners.Partitioner.")
    return found


def make_partitioner(kind: str, parameters: Mapping[str, Any]) -> Partitioner:
    """Return the partitioner of a kind.

    Args:
        kind: one of `PARTITIONERS`, or `module:attribute` of a custom one.
        parameters: name -> value.

    Raises:
        ValueError: for an unknown kind, an unknown or missing parameter, or a bad value.
        ImportError: when there is no such module or attribute.
    """
    cls = PARTITIONERS[kind] if kind in PARTITIONERS else custom_partitioner(kind)
    known = {item.name: item for item in fields(cls)}
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ValueError(f"{cls.__name__} has the parameters {', '.join(known)}, got also {', '.join(unknown)}.")
    missing = [name for name, item in known.items() if item.default is MISSING and name not in parameters]
    if missing:
        raise ValueError(
            f"{cls.__name__} needs the parameter {', '.join(missing)}: add it to the recipe or the command."
        )
    return cls(**parameters)


@one_sentence()
def read_partition_recipe(path: str | Path) -> tuple[str, dict[str, Any]]:
    """Return the kind and the stated parameters of a recipe's `[partition]`.

    Args:
        path: a TOML file with the table `[partition]`; `[published]` is for readers, other tables are errors.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is not such a recipe.
    """
    table = read_recipe_tables(Path(path), ("partition", "published")).get("partition", {})
    if "kind" not in table:
        raise ValueError(f"{path} must have a table [partition] with a kind, got {sorted(table) or 'none'}.")
    if not isinstance(table["kind"], str) or table["kind"] not in PARTITIONERS:  # a file never says what is imported
        raise ValueError(
            f"{path}: the kind of a recipe must be one of {', '.join(PARTITIONERS)}, got {shown(table['kind'])}: a "
            "custom partitioner is named on the command line."
        )
    return str(table["kind"]), {key: value for key, value in table.items() if key != "kind"}


@one_sentence()
def partitioner_from_recipe(path: str | Path, **overrides: Any) -> Partitioner:  # noqa: ANN401 - parameters
    """Return the partitioner of a recipe.

    Args:
        path: see `read_partition_recipe`.
        overrides: parameters that replace or complete those of the recipe.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is not such a recipe; the message starts with its path.
    """
    kind, parameters = read_partition_recipe(path)
    try:
        return make_partitioner(kind, {**parameters, **overrides})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
