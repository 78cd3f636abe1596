"""Commands that cut the earth into cells and look at the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from geocell.cli.machines import Machines
from geocell.cli.output import UsageError, emit, usage_errors
from geocell.cli.sources import Source
from geocell.partitioners import PARTITIONERS
from geocell.views import ColumnNames

if TYPE_CHECKING:
    from geocell.partitioners import Partitioner

Flat = Parameter(name="*")


def _command(kind: str, partitioner_type: type[Partitioner]) -> Callable[..., None]:
    """Return the command of one kind: its flags are the fields of its partitioner."""

    def command(
        *,
        out: Path,
        parameters: Any,  # noqa: ANN401 - replaced below by the partitioner's own type
        source: Source = Source(),
        columns: ColumnNames = ColumnNames(),
        machines: Machines = Machines(),
        recipe: Path | None = None,
        overwrite: bool = False,
        json: bool = False,
    ) -> None:
        from geocell.files import require_new
        from geocell.partitioners.base import PARTITION_MARKS, PARTITION_PARTS

        del recipe  # read before, as the defaults of the flags
        require_new(out, overwrite, PARTITION_MARKS, PARTITION_PARTS)
        with machines.at_work():
            partition = parameters.fit(source.latlon(columns), source.text)
        partition.save(out, overwrite=overwrite)
        fitted = partition.fitted_on
        result = {
            "partition": str(out),
            "kind": partition.kind,
            "n_cells": len(partition),
            "parameters": partition.parameters,
            "fitted_on": fitted,
            "sha256": partition.sha256,
        }
        counts = partition.counts
        text = (
            f"{out}: {len(partition)} {partition.kind} cells from {int(counts.sum())} locations, "
            f"{counts.min()} to {counts.max()} in a cell\n"
            f"  {fitted['n_fallback']} locations by fallback, {fitted['n_outside']} outside. {partition.outside_rule}"
        )
        emit(result, text, json)

    command.__annotations__ |= {
        "parameters": Annotated[partitioner_type, Flat],
        "source": Annotated[Source, Flat],
        "columns": Annotated[ColumnNames, Flat],
        "machines": Annotated[Machines, Flat],
        "out": Path,
        "recipe": Path | None,
        "overwrite": bool,
        "json": bool,
        "return": None,
    }
    if all(item.default is not MISSING for item in fields(partitioner_type)):  # no flag is needed
        command.__kwdefaults__ = {**(command.__kwdefaults__ or {}), "parameters": partitioner_type()}
    summary = (partitioner_type.__doc__ or kind).strip().split("\n", maxsplit=1)[0]
    command.__doc__ = f"""{summary}

    Args:
        out: folder of the partition.
        recipe: TOML file whose [partition] table gives the flags that are not typed.
        overwrite: replace an existing partition.
        json: print one JSON object.
    """
    return command


COMMANDS = {kind: _command(kind, partitioner_type) for kind, partitioner_type in PARTITIONERS.items()}


def custom_command(name: str) -> Callable[..., None]:
    """Return the command of a custom partitioner, `module:attribute`.

    Raises:
        ImportError: when there is no such partitioner.
        ValueError: when it is none, or its partitions could not be loaded again.
    """
    from geocell.partitioners import custom_partitioner

    return _command(name, custom_partitioner(name))


def export(partition: Path, out: Path, /, *, partitioner: str | None = None, json: bool = False) -> None:
    """Write the cells of a partition as polygons, for GIS programs and web maps.

    Args:
        partition: folder of the partition.
        out: .geojson, or .parquet for GeoParquet; an existing file is replaced.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.partitioners.base import Partition
    from geocell.partitioners.cell_polygons import export_cells, require_export_name

    with usage_errors():
        require_export_name(out)
    loaded = Partition.load(partition, partitioner)
    export_cells(loaded, out)
    size = out.stat().st_size
    result = {"out": str(out), "n_cells": len(loaded), "bytes": size, "sha256": loaded.sha256}
    emit(result, f"{out}: {len(loaded)} {loaded.kind} cells, {size / 1e6:.1f} MB", json)


def plot(
    partition: Path,
    /,
    *,
    out: Path,
    title: str = "",
    caption: str = "",
    bbox: tuple[float, float, float, float] | None = None,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Draw the cells of a partition over country outlines, coloured by their training locations.

    Of a partition whose cells are known by their centroids alone, as those of imported heads are, these are drawn.

    Args:
        partition: folder of the partition, or of a head.
        out: .png or .svg picture, or .html page to move about in; an existing file is replaced.
        title: what stands above the map; kind and number of cells otherwise.
        caption: what stands below it; how many training locations from where otherwise.
        bbox: south, west, north, east in degrees, east above 180 for a map past ±180°; the box around the training
            locations otherwise.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.partitioners.base import Partition
    from geocell.plots.cells import require_map_name
    from geocell.plots.paths import require_box
    from geocell.plots.plot import plot as draw

    with usage_errors():
        require_map_name(out)
        if bbox is not None:
            require_box(bbox)
    loaded = Partition.load(partition, partitioner)
    draw(loaded, out, title, bbox=bbox, caption=caption)
    size = out.stat().st_size
    result = {"out": str(out), "n_cells": len(loaded), "bytes": size, "sha256": loaded.sha256}
    emit(result, f"{out}: {len(loaded)} {loaded.kind} cells, {size / 1e6:.1f} MB", json)


def audit(
    *partitions: Path,
    source: Annotated[Source, Flat] = Source(),
    columns: Annotated[ColumnNames, Flat] = ColumnNames(),
    dim: int | None = None,
    by_country: bool = False,
    plot: Path | None = None,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Say how good a head on each partition could be at best: the oracle ceiling, counts, fallbacks, advice.

    Args:
        partitions: folders of partitions.
        source: where the locations come from.
        columns: columns that are not spelled as usual.
        dim: number of features a head would get, for its number of parameters; those of the cache when left out.
        by_country: add the ceilings of every country, from the column `country`.
        plot: picture of the ceilings against the number of cells, PNG or SVG by its suffix.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object, which has the ceilings of every country where they are known.
    """
    from geocell.evaluation.audit import audit as audit_partition
    from geocell.evaluation.audit import require_dim
    from geocell.partitioners.base import Partition
    from geocell.plots.style import require_picture_name
    from geocell.reports.text import NO_COUNTRIES, audit_table, country_table

    if not partitions:
        raise UsageError("expected the folder of at least one partition, got none: name it.")
    with usage_errors():
        require_dim(dim)
        if plot is not None:
            require_picture_name(plot)
    places = source.places(columns)
    if by_country and places.countries is None:
        raise ValueError(NO_COUNTRIES)
    features = places.dim if dim is None else dim
    audits = [
        audit_partition(Partition.load(p, partitioner), places.latlon, places.countries, features) for p in partitions
    ]
    rows = [{"partition": str(path), **value.to_dict()} for path, value in zip(partitions, audits, strict=True)]
    text = audit_table(rows)
    if by_country:
        text = f"{text}\n\n{country_table(rows)}"
    try:
        emit({"audits": rows}, text, json)
    finally:
        if plot is not None:
            from geocell.plots import draw_audits

            draw_audits(plot, rows)
