"""What all pictures share: matplotlib with its own style, and files whose bytes are always the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from geocell.files import atomic_path
from geocell.geo.maps import COLOURS, CountRange, count_range

__all__ = [
    "COLOURS",
    "DPI",
    "CountRange",
    "count_range",
    "legend_name",
    "new_figure",
    "own_style",
    "require_picture_name",
    "save_figure",
]

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


def legend_name(name: str) -> str:
    """Return a name for a legend: matplotlib leaves out those that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def save_figure(figure: Figure, out: Path) -> Path:
    """Write the picture atomically, without dates or version numbers in it."""
    suffix = out.suffix.lower()
    nothing = {"Software": None} if suffix == ".png" else {"Date": None, "Creator": None}
    with atomic_path(out) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=DPI, metadata=nothing)
    return out
