"""A sweep: fit the partitions, then the heads, keep every finished one, and tabulate their scores."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from geocell.compute.cores import usable_cores
from geocell.compute.devices import choose_device
from geocell.compute.signals import raise_lost_interrupt
from geocell.decoders.table import as_decoder
from geocell.files import FORMAT, folder_lock, read_json, reading, remove_leftovers, require_types, write_json
from geocell.heads.config_file import CONFIG_FILE, read_config
from geocell.heads.fit_config import stored_settings
from geocell.partitioners import PARTITIONERS, partitioner_from_recipe, read_partition_recipe
from geocell.partitioners.base import PARTITION_FILE, Partition
from geocell.sweeps.baselines import baseline_lines
from geocell.sweeps.plan import RECIPE_FILE, Fit, SweepConfig, fits_of, read_rows
from geocell.sweeps.results import SweepResult, read_fit
from geocell.sweeps.workers import Data, Setup, run_here, run_in_processes

MANIFEST_FILE = "sweep.json"

_MANIFEST_TYPES: dict[str, type | tuple[type, ...]] = {
    "split": str,
    "decode": str,
    "locations_sha256": str,
    "features_sha256": (str, type(None)),
}


def sweep(
    sources: Sequence[str | Path],
    cache: str | Path,
    splits: str | Path,
    out: str | Path,
    config: SweepConfig = SweepConfig(),
) -> SweepResult:
    """Fit and score every row of some recipes with every seed, and write the table of what they reach.

    `out` gets `partitions/`, fitted on the training locations; `heads/`, one folder per fit, with its scores;
    `results.csv`, one line per fit; `summary.csv`, one line per row; and `baselines.csv`, what answers without a head
    reach. Run again, a sweep continues where it stopped, however it ended: finished fits are not repeated, and what a
    killed run left half written is removed. A row that cannot be fitted is reported and does not stop the others.

    Args:
        sources: recipes of heads and sweep files; see `plan.read_rows`.
        cache: folder of the feature cache.
        splits: splits.json with train, the split to score, and val if there is one.
        out: folder of the sweep.
        config: how it is run.

    Raises:
        FileNotFoundError: when something named is not there.
        FileExistsError: when `out` is something else, or another process sweeps there.
        ValueError: for bad recipes, a decoder that is not for all rows, or when `out` holds another sweep.
        RuntimeError: when a worker process is killed.
    """
    fits = fits_of(read_rows([Path(source) for source in sources]), config)
    offsets = all(fit.config.offsets for fit in fits)
    as_decoder(config.decode).require(frozenset({"features", "offsets"} if offsets else {"features"}))
    if config.split == "val" and any(fit.config.refit for fit in fits):
        raise ValueError("heads with refit are trained on the split val and cannot be scored there: name split test.")
    cores = usable_cores()
    on_cpu = all(choose_device(fit.config.device) == "cpu" for fit in fits)
    jobs = min(config.jobs or (cores if on_cpu else 1), len(fits))
    stream = any(fit.config.stream for fit in fits)
    setup = Setup(Path(cache), Path(splits), Path(out), config, max(1, cores // jobs), stream)
    data = Data.from_cache(setup)
    with folder_lock(setup.out):
        _claim(setup, data)
        return _run(fits, setup, data, jobs)


def _run(fits: Sequence[Fit], setup: Setup, data: Data, jobs: int) -> SweepResult:
    """Make the missing partitions and heads in `jobs` processes, and keep the tables up to date."""
    failed = _make_partitions(fits, setup, data)
    finished = {fit.name: values for fit in fits if (values := _finished(fit, setup)) is not None}
    lines = baseline_lines([fit for fit in fits if fit.row.name not in failed], setup, data)
    result = SweepResult(setup.out, tuple(fits), finished, failed, data.remarks, lines)
    result.write()
    waiting = [fit for fit in fits if fit.name not in finished and fit.row.name not in failed]
    lost = {fit.name for fit in fits if fit.name not in finished and fit.row.name in failed}
    running = run_here(waiting, setup, data, lost) if jobs == 1 else run_in_processes(waiting, setup, jobs, lost)
    with tqdm(total=len(fits), initial=len(finished), unit="fit", file=sys.stderr, disable=None) as bar:
        for fit, error in running:
            if error is None:
                finished[fit.name] = read_fit(setup.folder(fit))
                result.write()
            else:
                failed[fit.row.name] = error
            bar.update()
            bar.set_postfix_str(fit.name)
    return result


def _claim(setup: Setup, data: Data) -> None:
    """Write the manifest of the sweep, or refuse a folder that holds something else."""
    scored = {"split": setup.config.split, "decode": setup.config.decode}
    manifest = {"format": FORMAT, **scored, "locations_sha256": data.locations_sha256()}
    features = data.features_sha256()
    path = setup.out / MANIFEST_FILE
    remove_leftovers(path.absolute())
    if path.exists():
        found = {"features_sha256": None, **read_json(path, "a sweep")}
        require_types(found, _MANIFEST_TYPES, str(path))
        other = [key for key, value in manifest.items() if found[key] != value]
        if other:
            raise ValueError(f"{setup.out} holds a sweep that differs in {', '.join(other)}: name another --out.")
        if found["features_sha256"] is None:
            raise ValueError(
                f"{setup.out} holds a sweep of an earlier geocell, which did not record which features it is of: "
                f"name another --out, or, if they are those of {setup.cache} now, add "
                f'"features_sha256": "{features}" to {MANIFEST_FILE}.'
            )
        if found["features_sha256"] != features:
            raise ValueError(
                f"{setup.out} holds a sweep of other features than those of {setup.cache} now: name another --out."
            )
    elif setup.out.exists() and any(setup.out.iterdir()):
        raise FileExistsError(f"{setup.out} exists and is not the folder of a sweep: name another --out.")
    else:
        write_json(path, {**manifest, "features_sha256": features})


def _make_partitions(fits: Sequence[Fit], setup: Setup, data: Data) -> dict[str, str]:
    """Fit the missing partitions; return the rows whose partition could not be made, with the reason."""
    failed: dict[str, str] = {}
    for fit in fits:
        if fit.row.name in failed:
            continue
        try:
            _make_partition(fit.row.partition, setup.partition(fit), data, setup.config.shapes)
        except (ValueError, OSError, ImportError) as error:
            raise_lost_interrupt()
            failed[fit.row.name] = str(error)
    return failed


def _make_partition(source: Path, folder: Path, data: Data, shapes: Path | None) -> None:
    recipe = source / RECIPE_FILE
    remove_leftovers(folder.absolute())
    if not recipe.is_file():
        cells = Partition.load(source)
        if not folder.exists():
            cells.save(folder)
        elif Partition.load(folder).sha256 != cells.sha256:
            raise ValueError(f"{folder} has other cells than {source}: rename one of the two, or name another --out.")
        return
    kind, stated = read_partition_recipe(recipe)
    takes_shapes = kind in PARTITIONERS and "shapes" in PARTITIONERS[kind].__dataclass_fields__
    given = {"shapes": shapes} if shapes is not None and takes_shapes and "shapes" not in stated else {}
    partitioner = partitioner_from_recipe(recipe, **given)
    if not folder.exists():
        partitioner.fit(data.train.latlon, "training locations of the sweep").save(folder)
    elif not partitioner.is_of(read_json(folder / PARTITION_FILE, "a partition").get("parameters")):
        raise ValueError(f"{folder} has other parameters than {recipe}: name another --out, or remove that folder.")


def _finished(fit: Fit, setup: Setup) -> Mapping[str, Any] | None:
    """Return the results of a finished fit, None where its head or its cells do not exist.

    Raises:
        ValueError: when its folder holds another fit.
    """
    folder = setup.folder(fit)
    remove_leftovers(folder.absolute())
    if not folder.exists() or not setup.partition(fit).exists():
        return None
    found = read_config(folder)
    with reading(folder / CONFIG_FILE, "the head of a fit"):
        same = {
            "settings": _settings(found["fit"]) == _settings(fit.config.to_dict()),
            "start": _starts_of(found["training"]) == _starts(fit),
            "partition": found["partition_sha256"] == Partition.load(setup.partition(fit)).sha256,
        }
    if not all(same.values()):
        wrong = " and ".join(what for what, ok in same.items() if not ok)
        raise ValueError(f"{folder} was fitted with another {wrong}: name another --out, or remove it.")
    return read_fit(folder)


def _starts(fit: Fit) -> list[dict[str, Any]]:
    """Return the settings of the fit that one starts from, of the fit that this one starts from, and so on."""
    return [] if fit.init is None else [_settings(fit.init.config.to_dict()), *_starts(fit.init)]


def _starts_of(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the same of a head, as its record says."""
    init = training.get("init")
    return [] if init is None else [_settings(init["fit"]), *_starts_of(init["training"])]


def _settings(fit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a fit but for the device, which may differ from run to run."""
    return {**stored_settings(fit), "device": ""}
