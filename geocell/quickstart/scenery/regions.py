"""The look of a region: climate, soil and relief as smooth functions of the position, road conventions by country.

Everything here is a sketch after common knowledge of Europe's roads, meant to train a classifier; it is no reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import distance_km

Colour = tuple[float, float, float]

_RANGES: tuple[tuple[float, float, float], ...] = (
    (46.4, 8.5, 1.0), (47.1, 11.5, 1.0), (45.5, 6.8, 1.0), (46.7, 13.6, 0.8), (42.7, 0.5, 0.9), (42.9, -1.2, 0.6),
    (42.5, 2.2, 0.6), (49.2, 20.0, 0.7), (47.6, 24.7, 0.6), (45.5, 25.2, 0.7), (45.4, 22.8, 0.6), (61.5, 8.0, 0.9),
    (60.3, 7.0, 0.8), (65.0, 14.5, 0.7), (68.3, 17.5, 0.9), (69.5, 20.0, 0.8), (43.0, 18.8, 0.7), (42.6, 23.4, 0.6),
    (41.4, 20.5, 0.8), (39.6, 21.3, 0.7), (42.7, 25.0, 0.4), (42.4, 13.5, 0.6), (44.2, 10.4, 0.4), (40.0, 16.0, 0.4),
    (43.1, -4.8, 0.6), (37.1, -3.2, 0.7), (40.4, -5.2, 0.4), (57.0, -4.8, 0.5), (53.0, -3.8, 0.4), (44.4, 15.8, 0.5),
    (38.3, 22.2, 0.5), (37.6, 14.6, 0.4), (45.0, 3.0, 0.35), (50.7, 15.6, 0.35), (35.0, 32.8, 0.4), (48.6, 23.5, 0.4),
)  # fmt: skip
"""Mountain ranges: lat, lon, relative height in the skyline."""

_RANGE_KM = 85.0


@dataclass(frozen=True)
class Climate:
    """Smooth properties of a place, each about 0 to 1.

    Attributes:
        south: Mediterranean; palms, cypresses, ochre soil.
        north: boreal; birches, conifers.
        wet: Atlantic; hedges, lush grass, cloud.
        east: continental; dark soil, poplars, haze.
        far_north: heath.
        dry: bleached grass.
        lon: -1 in the far west to 1 in the far east: slow changes of leaf, roof, wall and asphalt.
    """

    south: float
    north: float
    wet: float
    east: float
    far_north: float
    dry: float
    lon: float


@dataclass(frozen=True)
class Roads:
    """Road markings, signs, plates and poles of one country; lengths in metres.

    Attributes:
        left: whether traffic drives on the left.
        centre: colour of the centre line: w, y or "" (none).
        dash, gap: of the centre line; gap 0 is a solid line.
        edge: w, y, d (dashed white) or "" (none).
        bollard: body and band colours as two letters of `PAINT`, or "".
        warning: shape and ground of a warning sign: "tw" triangle on white, "ty" on yellow, "dy" yellow diamond.
        town: ground and border of a town sign, two letters of `PAINT`.
        plate: ground of front and rear number plates, two letters of `PAINT`.
        pole: wood, concrete, steel or "" (cables underground).
        livery: colours of bus shelters and post boxes, two letters of `PAINT`.
    """

    left: bool
    centre: str
    dash: float
    gap: float
    edge: str
    bollard: str
    warning: str
    town: str
    plate: str
    pole: str
    livery: str


PAINT: dict[str, Colour] = {
    "w": (238, 238, 232),
    "y": (242, 196, 40),
    "k": (30, 30, 32),
    "r": (196, 36, 36),
    "b": (28, 78, 158),
    "g": (24, 112, 66),
    "o": (232, 120, 36),
    "n": (128, 92, 60),
    "s": (150, 152, 152),
}
"""Sign and marking paint by letter: white, yellow, black, red, blue, green, orange, brown, silver."""

_DEFAULT_ROADS = "R w 3 6 w wk tw wk ww steel sb"
_ROADS: dict[str, str] = {
    "AD": "R w 3.5 9 w ry tw wb ww steel rs", "AL": "R w 3 4 w kw tw bw ww concrete rk",
    "AT": "R w 6 6 w kw tw wb ww wood yr", "BA": "R w 3 6 w wr ty yk ww wood yb",
    "BE": "R w 2.5 10 d wr tw wk ww concrete rw", "BG": "R w 3 5 w wk tw wk ww concrete gw",
    "BY": "R w 1.5 4.5 w kw tw wk ww concrete bg", "CH": "R w 6 6 w sk tw bw ww steel yw",
    "CY": "L w 2 4 y sr tw bw wy wood yg", "CZ": "R w 3 6 w ok tw wk ww concrete ob",
    "DE": "R w 4 8 w wk tw yk ww  ys", "DK": "R w 5 10 d wy tw ww ww  rk",
    "EE": "R w 3 9 w wk tw wb ww wood ok", "ES": "R w 3.5 9 w yk tw wk ww concrete yr",
    "FI": "R y 3 9 w ks ty bw ww wood ow", "FR": "R w 3 10 d wr tw wr ww wood bs",
    "GB": "L w 4 5 y kr tw wk wy wood rk", "GR": "R w 4 6 w sr ty bw ww wood yb",
    "HR": "R w 3 6 w wr tw yk ww wood yw", "HU": "R w 4 8 w wk tw wk ww concrete rg",
    "IE": "L w 2 4 y rw dy wg ww wood gy", "IT": "R w 3 4.5 w wr tw wk ww steel rg",
    "LI": "R w 6 6 w sk tw bw ww steel yw", "LT": "R w 3 9 w wo tw wk ww wood ys",
    "LU": "R w 2.5 10 w wr tw yk yy steel rs", "LV": "R w 3 9 w sw tw wb ww wood wn",
    "MD": "R w 2 6 w wk tw wk ww concrete yn", "ME": "R w 3 3 w wr tw yk ww wood yr",
    "MK": "R w 3 3 w wr ty yk ww wood ry", "MT": "L w 2 3 w sr tw bw ww steel rw",
    "NL": "R  3 3 d ws tw bw yy  ow", "NO": "R y 3 9 d ky tw wk ww wood rs",
    "PL": "R w 4 8 w wr ty gw ww concrete rs", "PT": "R w 4 10 w wk tw wk ww concrete rg",
    "RO": "R w 3 6 w wk tw wk ww concrete bw", "RS": "R w 3 6 w wr ty yk ww concrete yn",
    "RU": "R w 1.5 4.5 w wk tw wk ww wood bw", "SE": "R w 3 9 d sk ty bw ww wood yb",
    "SI": "R w 5 5 w wr tw yk ww wood yg", "SK": "R w 3 6 w wo tw wk ww concrete ob",
    "UA": "R w 1.5 4.5 w kw tw wk ww concrete yb", "XK": "R w 3 3 w wr tw bw ww wood by",
}  # fmt: skip
"""Alpha-2 code -> fields of `Roads` in their order, separated by single spaces; `left` is L or R."""


def roads_of(country: str) -> Roads:
    """Return the roads of a country; for an unknown code, the most common kind."""
    side, centre, dash, gap, *rest = _ROADS.get(country, _DEFAULT_ROADS).split(" ")
    return Roads(side == "L", centre, float(dash), float(gap), *rest)


def climate_of(lat: float, lon: float) -> Climate:
    """Return the climate at a point."""
    south = _step((44.3 + 0.06 * (lon - 10) - lat) / 1.6)
    north = _step((lat - 57.2 - 0.05 * (lon - 15)) / 1.7)
    wet = _step((6.5 - lon + 0.25 * (lat - 48)) / 4.0) * _step((lat - 42.3) / 1.0)
    east = _step((lon - 19.5) / 3.0)
    dry = _step((42.5 - lat) / 2.2)
    return Climate(south, north, wet, east, _step((lat - 66) / 1.2), dry, float(np.clip((lon - 11.5) / 21, -1, 1)))


def relief_of(lat: float, lon: float) -> NDArray[np.float64]:
    """Return the (360,) height of the smooth skyline by degree of azimuth, as tangents."""
    ranges = np.array(_RANGES)
    km = distance_km(np.broadcast_to((lat, lon), (len(ranges), 2)), ranges[:, :2])
    near = ranges[:, 2] * np.exp(-km / _RANGE_KM)
    bearing = np.arctan2((ranges[:, 1] - lon) * np.cos(np.radians(lat)), ranges[:, 0] - lat)
    azimuth = np.radians(np.arange(360.0))
    lobes = 0.3 + 0.7 * np.clip(np.cos(azimuth[:, None] - bearing[None, :]), 0, 1) ** 2
    return np.asarray(0.006 + 0.40 * np.minimum(lobes @ near, 1.1))


def grass_of(climate: Climate) -> Colour:
    """Return the colour of grass in summer."""
    return mix(
        (122, 142, 70),
        ((78, 146, 56), 1.2 * climate.wet),
        ((196, 172, 104), 1.3 * climate.dry),
        ((164, 158, 84), 0.6 * climate.south),
        ((92, 122, 50), 0.9 * climate.east * (1 - climate.north)),
        ((96, 118, 84), 1.2 * climate.north),
        ((128, 116, 88), 1.5 * climate.far_north),
    )


def soil_of(climate: Climate) -> Colour:
    """Return the colour of bare earth: ochre in the south, black in the east, grey in the north."""
    return mix(
        (140, 116, 84),
        ((196, 128, 78), 1.6 * climate.south),
        ((70, 58, 50), 1.4 * climate.east * (1 - climate.south)),
        ((118, 114, 108), 1.4 * climate.north),
        ((118, 86, 62), 0.8 * climate.wet),
    )


def eastwards(climate: Climate, strength: float) -> Colour:
    """Return factors on a colour that make it cooler in the west and warmer in the east."""
    lon = strength * climate.lon
    return 1 + 0.24 * lon, 1 + 0.02 * lon, 1 - 0.30 * lon


def mix(base: Colour, *parts: tuple[Colour, float]) -> Colour:
    """Return the weighted mean of a base colour (weight 0.5) and further colours."""
    total = np.array(base) * 0.5
    weight = 0.5
    for colour, share in parts:
        total = total + np.array(colour) * share
        weight += share
    red, green, blue = (total / weight).tolist()
    return red, green, blue


def _step(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
