"""The answer page of the README: one real photograph, asked of a head on the shared real features.

The head is fitted and calibrated on the 553 locations whose photographs are not of the photograph's own collection, the
nearest of them 55 km away; the photograph chose nothing. It is gss_01915 of Global Streetscapes (Mapillary/KartaView,
CC BY-SA 4.0), which shows no person and no number plate.

Run: python -m benchmarks.answer_picture [--quick] [--json], with Chromium installed; --quick draws no picture
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shlex
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import Flags, finish, parse_flags, shared_data
from geocell.cli import main as geocell

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "answer.png"
PHOTO = "gss_01915.jpg"
COLLECTION = "gss"
WIDTH, HEIGHT = 1280, 800


COMMANDS = """
cache import features.npy views.parquet --like efficientnet-lite0 --out cache
split cache --fractions 0.8 0.2 0 --out splits.json
partition kmeans --k 64 --cache cache --splits splits.json --out partition
fit-head --cache cache --splits splits.json --partition partition --out head
calibrate head --cache cache --splits splits.json --knn
predict head photo.csv --out answer.html
predict head photo.csv --out answer.csv
"""


def write_page(data: Path, folder: Path) -> Path:
    """Fit a head, ask it for the photograph, and return the page of the answer."""
    import pandas as pd

    views = pd.read_parquet(data / "features" / "views.parquet")
    others = (views["source"] != COLLECTION).to_numpy()
    views[others].to_parquet(folder / "views.parquet")
    np.save(folder / "features.npy", np.load(data / "features" / "lite0.npy")[others])
    photos = pd.read_csv(data / "photos" / "photos.csv")
    photos[photos["file_name"] == PHOTO].to_csv(folder / "photo.csv", index=False)
    shutil.copy(data / "photos" / PHOTO, folder)
    with contextlib.chdir(folder):
        for command in COMMANDS.strip().splitlines():
            if status := geocell(shlex.split(command)):
                raise SystemExit(status)
    return folder / "answer.html"


def draw(page: Path, picture: Path) -> None:
    """Write what a browser shows of a page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        window.goto(page.as_uri())
        window.wait_for_function("document.readyState === 'complete'")
        shot = window.screenshot()
        browser.close()
    with Image.open(io.BytesIO(shot)) as image:  # a palette makes it a third as large
        image.convert("RGB").quantize(200, dither=Image.Dither.NONE).save(picture, optimize=True)


def main(flags: Flags) -> None:
    """Write the picture and what its caption says."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        page = write_page(shared_data(), folder)
        (row,) = csv.DictReader(folder.joinpath("answer.csv").read_text(encoding="utf-8").splitlines())
        splits = json.loads(folder.joinpath("splits.json").read_text(encoding="utf-8"))["splits"]
        kept = ("place", "distance_km", "radius_50_km", "radius_90_km", "confidence")
        found = {"photo": PHOTO, **{key: row[key] for key in kept}, "training_locations": len(splits["train"])}
        if not flags.quick:
            draw(page, PICTURE)
    finish("answer_picture", [found], found, flags)


if __name__ == "__main__":
    main(parse_flags(__doc__))
