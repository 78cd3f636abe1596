"""What a sweep fits: rows of recipes and sweep files, each with a partition, settings and an initial head."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from geocell.compute.seeds import MAX_SEED
from geocell.decoders.table import as_decoder
from geocell.files import one_sentence, printable, read_recipe_tables
from geocell.heads.fit_config import SECTIONS, FitConfig, fit_config_from_dict, read_recipe
from geocell.reports.sweeps import PUBLISHED

RECIPE_FILE = "recipe.toml"
SWEEP_KEYS = ("partitions", "seeds")
"""Keys of `[sweep]`: folders of partitions, every config on each; seeds, every config with each."""

_SWEEP_TABLES = ("sweep", "fit", "configs")
_NAME = re.compile(r"[\w.-]+")
_LARGEST = 1e12  # of a published number
_SHOWN = 100  # characters of a value in a message
_LONGEST = 500  # characters of the name of a folder


@dataclass(frozen=True)
class SweepConfig:
    """How a sweep is run.

    Attributes:
        seeds: seeds of every row; they replace its own.
        jobs: number of processes; 0 is one per usable core on a CPU, and one on an accelerator.
        split: which split is scored.
        decode: decoder of the scores.
        shapes: boundary file for partitions of regions whose recipe names none.
        device: device of every fit; it replaces its own.
    """

    seeds: tuple[int, ...] = ()
    jobs: int = 0
    split: str = "test"
    decode: str = "centroid"
    shapes: Path | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        """Check the values that need no data to be checked."""
        if self.jobs < 0:
            raise ValueError(f"jobs must be a whole number of at least 0, got {self.jobs}.")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be different from each other, got {list(self.seeds)}.")
        if not all(0 <= seed <= MAX_SEED for seed in self.seeds):
            raise ValueError(f"seeds must be from 0 to {MAX_SEED}, got {list(self.seeds)}.")
        as_decoder(self.decode)


@dataclass(frozen=True)
class Row:
    """One line of a sweep's table: what is fitted, once per seed.

    Attributes:
        name: its name in the table and in folders.
        partition: folder of its partition, or of the recipe of one.
        config: the settings; its seed is used where no others are given.
        init: name of the row whose head it starts from.
        seeds: the seeds that its sweep file states.
        published: numbers copied from the authors of the recipe, in percent and km as printed there.
    """

    name: str
    partition: Path
    config: FitConfig
    init: str | None = None
    seeds: tuple[int, ...] = ()
    published: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fit:
    """One fit of a sweep.

    Attributes:
        row: its row.
        config: the settings, with the seed of this fit.
        init: the fit whose head it starts from.
    """

    row: Row
    config: FitConfig
    init: Fit | None = None

    @property
    def name(self) -> str:
        """Row and seed, which name its folder."""
        return f"{self.row.name}-seed{self.config.seed}"


@one_sentence()
def read_rows(sources: Sequence[Path]) -> list[Row]:
    """Read the rows of recipes of heads, and of sweep files, which have a table `[sweep]`.

    When a row starts from another one (`init`) that is not among the sources, the recipe of that one is read from the
    folder beside its own.

    Raises:
        FileNotFoundError: when a file, or the folder of a partition, is missing.
        ValueError: for a file that is neither, an unknown key, two rows with one name, or a cycle of `init`.
    """
    if not sources:
        raise ValueError("a sweep needs at least one recipe or sweep file, got none: name one.")
    rows: dict[str, Row] = {}
    for source in sources:
        for row in _rows_of(Path(source)):
            if row.name in rows:
                raise ValueError(f"every row of a sweep needs its own name, got {row.name!r} twice: rename a recipe.")
            rows[row.name] = row
    homes = {row_of(path).name: path for path in map(Path, sources) if not _is_sweep(path)}
    waiting = list(homes.items())
    while waiting:
        name, path = waiting.pop()
        start = rows[name].init
        if start is not None and start not in rows:
            beside = path.parent.parent / start / RECIPE_FILE
            rows[start] = row_of(beside)
            if rows[start].name != start:
                own = rows[start].name
                raise ValueError(f"init must be the name of a row, got {start!r} in {name!r}: write {own!r}.")
            waiting.append((start, beside))
    return _starts_first(rows)


def _starts_first(rows: Mapping[str, Row]) -> list[Row]:
    """Return the rows in their order, each after the one that it starts from."""
    ordered: dict[str, Row] = {}

    def add(name: str, before: tuple[str, ...]) -> None:
        if name in before:
            raise ValueError(f"a row must not start from itself, got {' <- '.join((*before, name))}: change an init.")
        if name not in rows:
            known = ", ".join(rows)
            raise ValueError(f"init must name a row of the sweep ({known}), got {name!r} in {before[-1]!r}.")
        start = rows[name].init
        if start is not None:
            add(start, (*before, name))
        ordered[name] = rows[name]

    for name in rows:
        add(name, ())
    return list(ordered.values())


def _is_sweep(path: Path) -> bool:
    return "sweep" in read_recipe_tables(path, (*SECTIONS, *_SWEEP_TABLES))


def _rows_of(path: Path) -> list[Row]:
    return _rows_of_sweep(path) if _is_sweep(path) else [row_of(path)]


@one_sentence()
def row_of(path: Path) -> Row:
    """Return the row of a head's recipe, named after its folder when the file is called recipe.toml.

    Raises:
        FileNotFoundError: when the file or the folder of its partition is missing.
        ValueError: when it is not a recipe, or names no partition.
    """
    recipe = read_recipe(path)
    head = recipe.get("head", {})
    if "partition" not in head:
        raise ValueError(f'{path} [head] must name the partition of its fit: add partition = "FOLDER".')
    partition = _text(head["partition"], f"{path} [head] partition")
    init = _text(head["init"], f"{path} [head] init") if "init" in head else None
    config = fit_config_from_dict(recipe.get("fit", {}), f"{path} [fit]")
    published = recipe.get("published", {})
    for key in PUBLISHED:
        if key in published and not _is_number(published[key]):
            raise ValueError(f"{path} [published] {key} must be a finite number, got {_shown(published[key])}.")
    name = path.resolve().parent.name if path.name == RECIPE_FILE else path.stem
    return Row(name, partition_folder(partition, path), config, init, (), published)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} must be a text, got {_shown(value)}.")  # noqa: TRY004 - one kind of error
    if printable(value) != value or len(value) > _LONGEST:
        raise ValueError(
            f"{where} must be a name of at most {_LONGEST} characters that can be shown, got {_shown(value)}."
        )
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _shown(value: object) -> str:
    return printable(repr(value))[:_SHOWN]


def _rows_of_sweep(path: Path) -> list[Row]:
    """Return the rows of a sweep file: every config on every partition."""
    tables = read_recipe_tables(path, _SWEEP_TABLES)
    strangers = sorted(set(tables["sweep"]) - set(SWEEP_KEYS))
    if strangers:
        raise ValueError(f"{path} [sweep] must have keys among {', '.join(SWEEP_KEYS)}, got {', '.join(strangers)}.")
    partitions, seeds = tables["sweep"].get("partitions", []), tables["sweep"].get("seeds", [])
    if not isinstance(partitions, list) or not partitions or not all(isinstance(name, str) for name in partitions):
        raise ValueError(
            f"{path} [sweep] partitions must be a list of folders of partitions, got {_shown(partitions)}."
        )
    whole = isinstance(seeds, list) and all(type(seed) is int and 0 <= seed <= MAX_SEED for seed in seeds)
    if not whole or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"{path} [sweep] seeds must be a list of different whole numbers of at least 0, got {_shown(seeds)}."
        )
    configs = tables.get("configs") or {"": {}}
    rows = []
    for partition in partitions:
        folder = partition_folder(_text(partition, f"{path} [sweep] partitions"), path)
        for config_name, changes in configs.items():
            if not isinstance(changes, dict):
                raise ValueError(  # noqa: TRY004 - every mistake in a recipe is one kind of error
                    f"{path} [configs] must have a table for every config, got {config_name} = {_shown(changes)}."
                )
            if config_name and not _NAME.fullmatch(config_name):
                raise ValueError(
                    f"{path} [configs] must name configs by letters, digits, '.', '_' and '-', which name folders too, "
                    f"got {config_name!r}."
                )
            stated = {**tables.get("fit", {}), **changes}
            init = stated.pop("init", None)
            where = f"{path} [configs.{config_name}]" if config_name else f"{path} [fit]"
            config = fit_config_from_dict(stated, where)
            start = None if init is None else _joined(folder.name, _text(init, f"{where} init"))
            rows.append(Row(_joined(folder.name, config_name), folder, config, start, tuple(seeds)))
    return rows


def _joined(partition: str, config: str) -> str:
    return f"{partition}-{config}" if config else partition


def partition_folder(name: str, path: Path) -> Path:
    """Return the folder of a partition: a path relative to the recipe, or a folder in a `partitions` folder near it.

    Raises:
        FileNotFoundError: when none of these has a recipe or a partition.
    """
    here = path.resolve().parent
    places = [
        here / name,
        *(base / "partitions" / name for base in (here, here.parent, here.parent.parent, Path.cwd())),
    ]
    for place in places:
        if (place / RECIPE_FILE).is_file() or (place / "partition.json").is_file():
            return Path(os.path.normpath(place))  # its last part names folders
    raise FileNotFoundError(
        f"{path} is fitted on the partition {name!r}, and no folder of that name beside it or in partitions/ has a "
        f"{RECIPE_FILE} or a partition.json: write one, or name the folder by its path."
    )


def fits_of(rows: Sequence[Row], config: SweepConfig = SweepConfig()) -> list[Fit]:
    """Return the fits of rows, each after the one that it starts from.

    A fit starts from the fit with the same seed, and where there is none from the first one of that row.

    Args:
        rows: what `read_rows` returned.
        config: its seeds and device replace those of the rows.
    """
    fits: dict[str, dict[int, Fit]] = {}
    for row in rows:
        own = fits.setdefault(row.name, {})
        starts = {} if row.init is None else fits[row.init]
        for seed in config.seeds or row.seeds or (row.config.seed,):
            start = starts.get(seed) or next(iter(starts.values()), None)
            settings = replace(row.config, seed=seed, device=config.device or row.config.device)
            own[seed] = Fit(row, settings, start)
    return [fit for by_seed in fits.values() for fit in by_seed.values()]
