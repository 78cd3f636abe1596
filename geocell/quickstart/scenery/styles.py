"""Seventeen building styles of Europe and the regions where they are common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import distance_km
from geocell.quickstart.scenery.regions import Colour

_KERNEL_KM = 170.0


@dataclass(frozen=True)
class Style:
    """A building style; lengths in metres.

    Attributes:
        home: points (lat, lon) around which it is common.
        walls, roofs, shutters: palettes; no shutters when empty.
        roof: gable (ridge along the road), front (gable to the road), hip or flat.
        pitch: rise of the roof per metre.
        storeys: minimum and maximum.
        width: minimum and maximum along the road.
        gap: between houses in a village; 0 for terraces.
        frame: colour of window frames.
        window: width and height.
        boards: h (boards or courses of brick), v (upright boards), p (joints of panels), t (timber frame) or "".
        balconies: colours of balconies on the façade; none when empty.
        chimney: whether there are chimneys.
        plinth: colour of a base course, or None.
        setback: from the pavement to the front.
    """

    home: tuple[tuple[float, float], ...]
    walls: tuple[Colour, ...]
    roofs: tuple[Colour, ...]
    shutters: tuple[Colour, ...] = ()
    roof: str = "gable"
    pitch: float = 0.0
    storeys: tuple[int, int] = (1, 3)
    width: tuple[float, float] = (8, 12)
    gap: float = 3.0
    frame: Colour = (246, 246, 244)
    window: tuple[float, float] = (1.1, 1.4)
    boards: str = ""
    balconies: tuple[Colour, ...] = ()
    chimney: bool = False
    plinth: Colour | None = None
    setback: float = 2.0


STYLE: dict[str, Style] = {
    "whitewash": Style(
        home=(
            (37.0, -4.5), (37.6, -2.0), (37.3, -7.6), (36.6, 25.2),
            (37.2, 14.8), (35.2, 25.0), (40.7, 17.2), (35.9, 14.4),
        ),
        walls=((246, 244, 236), (240, 236, 224), (250, 248, 244), (238, 222, 186)),
        roofs=((214, 206, 192),),
        shutters=((36, 92, 160), (52, 110, 84), (110, 74, 48)),
        roof="flat", width=(6, 11), gap=1.0, frame=(84, 70, 60), window=(0.9, 1.2), setback=0.3,
    ),
    "azulejo": Style(
        home=((38.8, -9.2), (40.2, -8.4), (41.3, -8.4), (42.8, -8.2)),
        walls=((110, 150, 200), (238, 238, 234), (236, 204, 96), (130, 176, 190), (232, 226, 214)),
        roofs=((196, 104, 68), (180, 92, 60)),
        roof="hip", pitch=0.4, storeys=(2, 3), width=(5, 8), gap=0.0, frame=(168, 162, 152), window=(1.0, 1.8),
        plinth=(150, 146, 140), setback=0.3,
    ),
    "meseta": Style(
        home=((40.4, -3.7), (39.4, -0.6), (41.6, -0.9), (41.5, 1.8), (41.6, -4.7), (43.2, -2.9), (39.0, -3.9)),
        walls=((176, 104, 74), (190, 120, 84), (214, 190, 150), (166, 96, 72)),
        roofs=((170, 96, 66),),
        roof="flat", storeys=(3, 6), width=(11, 18), gap=0.0, frame=(92, 96, 98), window=(1.3, 1.5),
        balconies=((70, 74, 78), (226, 222, 212), (86, 120, 90)), setback=0.5,
    ),
    "stucco": Style(
        home=(
            (43.8, 11.3), (41.9, 12.5), (43.7, 5.5), (45.4, 9.2),
            (40.9, 14.6), (38.5, 16.3), (43.6, 7.2), (40.0, 9.0),
        ),
        walls=((226, 176, 112), (214, 150, 104), (236, 204, 146), (206, 132, 96), (232, 214, 178)),
        roofs=((186, 104, 66), (172, 92, 58)),
        shutters=((58, 96, 66), (96, 70, 48), (124, 138, 140)),
        roof="hip", pitch=0.38, storeys=(2, 4), width=(8, 14), gap=1.5, frame=(236, 230, 218), window=(1.0,
        1.6), setback=0.6,
    ),
    "aegean": Style(
        home=((38.0, 23.7), (40.6, 22.9), (39.3, 21.8), (34.9, 33.0), (41.0, 25.2), (40.2, 20.2)),
        walls=((242, 240, 234), (234, 226, 208), (244, 236, 216)),
        roofs=((206, 200, 190),),
        roof="flat", storeys=(3, 5), width=(10, 15), gap=1.5, frame=(132, 138, 140), window=(1.5, 1.6),
        balconies=((236, 236, 230), (54, 120, 96), (222, 132, 60)), setback=1.0,
    ),
    "chalet": Style(
        home=((46.8, 8.5), (47.3, 11.3), (46.3, 7.0), (47.2, 13.3), (46.5, 11.8), (45.9, 6.6)),
        walls=((238, 232, 220), (142, 94, 58), (122, 80, 52), (244, 240, 230)),
        roofs=((98, 72, 58), (112, 84, 66)),
        shutters=((70, 106, 62), (150, 48, 40)),
        roof="front", pitch=0.5, storeys=(2, 3), width=(10, 15), gap=6.0, frame=(232, 224, 210),
        balconies=((110, 70, 42),), plinth=(236, 232, 222), setback=4,
    ),
    "halftimber": Style(
        home=((50.9, 9.3), (49.0, 8.8), (52.2, 9.8), (48.4, 7.6), (50.6, 7.2), (51.6, 11.3)),
        walls=((244, 240, 228), (238, 226, 196), (236, 232, 222)),
        roofs=((150, 64, 48), (128, 60, 50)),
        roof="front", pitch=1.05, storeys=(2, 3), width=(7, 10), gap=3.0, frame=(250, 250, 246), window=(0.9, 1.2),
        boards="t", plinth=(150, 140, 128), chimney=True, setback=2.5,
    ),
    "pastel": Style(
        home=(
            (50.0, 14.4), (49.3, 16.8), (48.3, 15.6), (47.4, 18.6),
            (48.6, 18.6), (48.4, 12.2), (46.2, 15.2), (51.1, 17.0),
        ),
        walls=((244, 214, 140), (176, 206, 172), (238, 184, 160), (190, 204, 224), (244, 238, 220)),
        roofs=((168, 70, 48), (150, 64, 50)),
        roof="gable", pitch=0.9, storeys=(2, 3), width=(9, 13), gap=2.0, window=(1.1, 1.6),
        plinth=(158, 152, 144), chimney=True, setback=1.5,
    ),
    "slate": Style(
        home=((48.1, -1.7), (47.3, 0.7), (49.3, 2.7), (46.2, 1.6), (48.5, 5.2), (45.0, -0.3), (44.6, 2.4)),
        walls=((226, 216, 194), (206, 196, 176), (236, 232, 224), (216, 200, 168)),
        roofs=((84, 90, 102), (72, 78, 88)),
        shutters=((120, 156, 190), (236, 236, 232), (150, 40, 48)),
        roof="gable", pitch=0.9, storeys=(1, 2), width=(7, 12), chimney=True, setback=1.5,
    ),
    "stone": Style(
        home=((53.3, -7.5), (55.9, -4.0), (57.3, -3.0), (50.4, -4.6), (51.9, -3.8), (54.5, -6.5), (52.2, -8.6)),
        walls=((138, 136, 132), (152, 148, 140), (124, 122, 120), (230, 230, 226)),
        roofs=((66, 70, 78), (76, 80, 86)),
        roof="gable", pitch=0.85, storeys=(1, 2), width=(6, 10), gap=1.5, frame=(250, 250, 250), window=(0.9, 1.3),
        plinth=(96, 96, 98), chimney=True, setback=1.5,
    ),
    "brick": Style(
        home=(
            (52.2, -0.8), (53.6, -2.0), (51.3, 0.3), (54.8, -1.6),
            (52.2, 5.3), (51.0, 4.0), (53.1, 7.9), (55.6, 10.2),
        ),
        walls=((156, 78, 58), (138, 70, 54), (170, 96, 70), (120, 64, 54)),
        roofs=((92, 74, 68), (112, 66, 54), (74, 72, 76)),
        roof="gable", pitch=0.85, storeys=(2, 3), width=(5, 7), gap=0.0, window=(1.3, 1.5), boards="h",
        chimney=True, setback=3,
    ),
    "falun": Style(
        home=(
            (60.0, 10.0), (59.2, 16.0), (57.5, 14.0), (62.5, 16.5),
            (64.0, 20.0), (68.5, 16.0), (63.4, 10.4), (58.6, 7.5),
        ),
        walls=((150, 44, 36), (142, 40, 34), (156, 52, 40), (228, 188, 90), (238, 238, 232)),
        roofs=((62, 62, 66), (52, 50, 52), (128, 60, 46)),
        roof="gable", pitch=0.75, storeys=(1, 2), gap=12.0, frame=(252, 252, 250), boards="v", plinth=(140, 140, 140),
        chimney=True, setback=7,
    ),
    "karelia": Style(
        home=((61.5, 23.5), (60.6, 26.5), (62.8, 28.0), (65.0, 26.0), (59.2, 25.5), (60.3, 30.0)),
        walls=((222, 202, 136), (148, 172, 178), (196, 204, 178), (226, 220, 206)),
        roofs=((70, 74, 80), (92, 46, 40)),
        roof="hip", pitch=0.6, storeys=(1, 2), gap=10.0, frame=(254, 254, 252), boards="v", plinth=(120, 118,
        116), setback=7,
    ),
    "panel": Style(
        home=(
            (52.2, 20.8), (50.4, 30.4), (53.9, 27.5), (59.9, 30.3),
            (44.5, 26.2), (47.1, 28.8), (56.9, 24.2), (50.2, 19.0),
        ),
        walls=((206, 202, 194), (196, 190, 178), (214, 198, 168), (180, 192, 200)),
        roofs=((120, 120, 120),),
        roof="flat", storeys=(4, 9), width=(36, 60), gap=16.0, frame=(236, 236, 236), window=(1.6, 1.4), boards="p",
        balconies=((168, 110, 80), (120, 150, 170), (190, 190, 186)), setback=9,
    ),
    "hollow": Style(
        home=((44.6, 20.6), (42.0, 21.4), (41.4, 19.9), (44.0, 18.0), (45.4, 16.0), (43.6, 22.4)),
        walls=((186, 104, 74), (176, 96, 70), (192, 112, 82), (230, 218, 194)),
        roofs=((190, 92, 58), (176, 84, 56)),
        roof="hip", pitch=0.5, storeys=(2, 3), width=(9, 13), gap=5.0, window=(1.3, 1.3), balconies=((206,
        202, 194),), setback=4,
    ),
    "carpathian": Style(
        home=((46.0, 24.2), (47.2, 26.2), (42.6, 25.2), (44.4, 24.2), (48.6, 24.5), (43.5, 27.2), (46.3, 21.8)),
        walls=((236, 226, 150), (170, 204, 160), (232, 232, 226), (226, 170, 130)),
        roofs=((168, 174, 178), (150, 78, 56), (132, 140, 146)),
        roof="hip", pitch=0.75, storeys=(1, 2), width=(8, 12), gap=6.0, plinth=(120, 104, 96), setback=3,
    ),
    "cottage": Style(
        home=(
            (53.3, 29.0), (56.0, 29.0), (55.2, 24.5), (50.8, 27.0),
            (58.0, 31.5), (52.8, 23.5), (48.6, 31.5), (49.8, 33.0),
        ),
        walls=((84, 122, 156), (104, 138, 96), (196, 164, 92), (120, 92, 66), (160, 110, 70)),
        roofs=((134, 138, 142), (116, 104, 98), (150, 96, 78)),
        shutters=((238, 240, 240),),
        roof="front", pitch=0.8, storeys=(1, 1), width=(6, 9), gap=10.0, window=(0.8, 1.2), boards="h",
        chimney=True, setback=4,
    ),
}  # fmt: skip

STYLES: tuple[str, ...] = tuple(STYLE)


def styles_of(lat: float, lon: float) -> NDArray[np.float64]:
    """Return the shares of `STYLES` at a point, from Gaussian kernels around the `home` points of each."""
    shares = []
    for style in STYLE.values():
        km = distance_km(np.broadcast_to((lat, lon), (len(style.home), 2)), style.home)
        shares.append(float(np.exp(-0.5 * (km / _KERNEL_KM) ** 2).max()) + 1e-9 + 1e-6 * float(np.exp(-km / 300).max()))
    total = np.array(shares)
    return np.asarray(total / total.sum())
