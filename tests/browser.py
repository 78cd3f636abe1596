"""Pages in a headless Chromium: what is seen, what the console says, and what a script on the page finds."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def needs_browser(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test as slow, and skip it where there is no Chromium."""
    return pytest.mark.slow(pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")(test))


_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--force-prefers-reduced-motion", "--proxy-server=http://127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr", "--virtual-time-budget=4000",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What a browser made of a page.

    Attributes:
        pixels: (height, width, 3) of a screenshot.
        console: its messages; a request is one, because the page's policy forbids any.
        result: what the script returned, from JSON.
    """

    pixels: np.ndarray
    console: list[str]
    result: Any


def open_page(page: Path, width: int, height: int, script: str = "null", flags: tuple[str, ...] = ()) -> Seen:
    """Open a page in a window of a size, and evaluate an expression on it once it is ready."""
    probe = f"<script>document.documentElement.dataset.result = JSON.stringify({script});</script>"
    copy = page.with_name(f"probe-{page.name}")
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{probe}</body>"), encoding="utf-8")
    shot = page.with_name("screenshot.png")
    command = [
        str(CHROMIUM),
        *_FLAGS,
        *flags,
        f"--window-size={width},{height}",
        f"--user-data-dir={page.parent}/profile",
    ]
    dumped, drawn = (
        subprocess.run([*command, how, copy.as_uri()], check=True, capture_output=True, text=True, timeout=120)
        for how in ("--dump-dom", f"--screenshot={shot}")
    )
    result = re.search(r'data-result="(.*?)"', dumped.stdout)
    assert result is not None, dumped.stderr
    console = [line for done in (dumped, drawn) for line in done.stderr.splitlines() if "CONSOLE" in line]
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB")).astype(np.int64)
    return Seen(pixels, console, json.loads(unescape(result[1])))


def disc_of(pixels: np.ndarray, colour: str, size: int = 11) -> tuple[int, int] | None:
    """Return x, y of the middle of a disc of a colour, at least `size` pixels wide; None when there is none."""
    from scipy.ndimage import uniform_filter

    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    density = uniform_filter((np.abs(pixels - rgb).sum(axis=-1) < 12).astype(float), size)
    y, x = np.unravel_index(int(density.argmax()), density.shape)
    return (int(x), int(y)) if density[y, x] > 0.8 else None
