"""What all pictures share: matplotlib with its own style, and files whose bytes are always the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geocell.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 160


def require_picture_name(out: Path, expected: str = "a picture must be written to a .png or .svg file") -> None:
    """Raise ValueError unless a file is called .png or .svg."""
    if out.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"{expected}, got {out.name!r}: name it so.")


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with matplotlib's default style, and restore the user's style afterwards."""
    try:
        import matplotlib as mpl
        import matplotlib.style
    except ImportError as error:
        raise ImportError(
            'a map needs matplotlib, which is not installed: run pip install "geocell-heads[maps]".'
        ) from error
    with mpl.rc_context(), matplotlib.style.context("default"):
        mpl.rcParams.update({"svg.hashsalt": "geocell", "font.size": 9.0, "path.simplify": True})
        mpl.rcParams["text.parse_math"] = False  # names and titles are text, also with dollars in them
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches with its own canvas, outside pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, out: Path) -> Path:
    """Write the picture atomically, without dates or version numbers in it."""
    suffix = out.suffix.lower()
    nothing = {"Software": None} if suffix == ".png" else {"Date": None, "Creator": None}
    with atomic_path(out) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=DPI, metadata=nothing)
    return out


COLOURS = ("#fdf3c0", "#cfe3ae", "#8cc9a8", "#4aa8ae", "#2b7ba6", "#27508f", "#231d5c")
"""From few locations to many: lightness falls evenly, so that the order is seen without colour too."""


class CountRange(NamedTuple):
    """The counts at the two ends of the colours, and whether some cells have more."""

    low: int
    high: int
    exceeded: bool


def count_range(*counts: NDArray[np.int64]) -> CountRange:
    """Return the range of the colours of one map or several: up to the fullest cells but for one in a hundred.

    Those few would take the colours from all others. Nearly equal counts do not get opposite colours.
    """
    low, most = max(1, min(int(c.min()) for c in counts)), max(int(c.max()) for c in counts)
    high = max(4 * low, *(int(np.quantile(c, 0.99, method="higher")) for c in counts))
    return CountRange(low, high, most > high)
