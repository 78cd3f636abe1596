"""A street, and the settings that are drawn before anything is placed in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from geocell.quickstart.scenery.backdrop import Backdrop
from geocell.quickstart.scenery.camera import Array, Mesh, Model
from geocell.quickstart.scenery.furniture import Sign
from geocell.quickstart.scenery.plants import SPECIES, Plant, grow, species_shares
from geocell.quickstart.scenery.regions import Climate, Colour, Roads, eastwards
from geocell.quickstart.scenery.weather import Weather

FROM_M, TO_M = -65.0, 95.0
"""Range along the road in which objects are placed."""


@dataclass(frozen=True)
class Setting:
    """Settings drawn before anything is placed: `kind` is town, village or country; `open_sides` face the sea."""

    kind: str
    climate: Climate
    roads: Roads
    styles: Array
    weather: Weather
    grass: Colour
    road: float
    walk: float
    forest: float
    snow: float
    open_sides: tuple[bool, bool]


@dataclass
class Street:
    """A street with everything in it.

    Attributes:
        backdrop, weather, roads: see there.
        meshes: buildings, fences, bollards, cars and the lines on the road.
        plants, signs: the other objects.
        poles: (x, z) and kind.
        wires: x of the wires and z of their poles, if there are any.
        footprints: (x0, x1, z0, z1, height) of the blocks that cast shadows.
    """

    backdrop: Backdrop
    weather: Weather
    roads: Roads
    meshes: list[Mesh] = field(default_factory=list)
    plants: list[Plant] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    poles: list[tuple[tuple[float, float], str]] = field(default_factory=list)
    wires: list[tuple[float, Array]] = field(default_factory=list)
    footprints: list[tuple[float, float, float, float, float]] = field(default_factory=list)

    @cached_property
    def model(self) -> Model:
        """All meshes joined, once the street is complete."""
        return Model.from_meshes(self.meshes)


def plant_tree(setting: Setting, at: tuple[float, float], rng: np.random.Generator, size: float = 1.0) -> Plant:
    """Return a tree of the region at (x, z), smaller in the far north."""
    kind = SPECIES[int(rng.choice(len(SPECIES), p=species_shares(setting.climate)))]
    return grow(kind, at, leaf_tint(setting, kind, rng), rng, size * (1 - 0.5 * setting.climate.far_north))


def leaf_tint(setting: Setting, kind: str, rng: np.random.Generator) -> Colour:
    """Return factors on the leaf colour of a plant: its own, those of the region and of the season."""
    tint = rng.normal(1, 0.05, 3) * np.array(setting.grass) / np.array((112, 136, 70)) * 0.6 + 0.4
    tint = tint * np.array(eastwards(setting.climate, 1.1))
    if kind in {"broadleaf", "birch", "poplar"} and setting.weather.day > 266 - 12 * setting.climate.north:
        tint = tint * np.array([[1.7, 1.0, 0.6], [1.35, 1.05, 0.7], [1.9, 0.8, 0.6]][int(rng.integers(3))])
    red, green, blue = tint.tolist()
    return red, green, blue
