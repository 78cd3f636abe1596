"""Take the picture of a page for the documentation: its first screen, and elements of it below.

Run: python tools/page_picture.py report.html docs/images/report.png [--height 485] [--below map-section errors]
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image


def take(page: Path, width: int, height: int, below: list[str]) -> Image.Image:
    """Return the first screen of a page without a network, and below it the elements of some ids."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, color_scheme="light")
        tab = context.new_page()
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("html[data-ready=yes]")
        tab.wait_for_timeout(300)
        parts = [_image(tab.screenshot())]
        for name in below:
            box = tab.locator(f"#{name}").bounding_box()
            if box is None:
                raise ValueError(f"{page} has no element #{name}: name another one.")
            y, tall = box["y"], box["height"]
            shot = tab.screenshot(full_page=True, clip={"x": 0, "y": y, "width": width, "height": tall})
            parts.append(_image(shot))
        browser.close()
    picture = Image.new("RGB", (width, sum(part.height for part in parts)), "white")
    top = 0
    for part in parts:
        picture.paste(part, (0, top))
        top += part.height
    return picture


def _image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def main() -> None:
    """Take the picture and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=1180)
    parser.add_argument("--height", type=int, default=485)
    parser.add_argument("--below", nargs="*", default=["map-section", "errors"])
    given = parser.parse_args()
    picture = take(given.page, given.width, given.height, given.below)
    few = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)  # a third of the bytes
    few.save(given.out, optimize=True)


if __name__ == "__main__":
    main()
