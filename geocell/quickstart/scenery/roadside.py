"""Placement along a street: landmarks, houses with their gardens, forest, poles, signs, parked cars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geocell.quickstart.places import Place
from geocell.quickstart.scenery.buildings import Plot, house
from geocell.quickstart.scenery.furniture import Sign, bollard, car, fence, shelter
from geocell.quickstart.scenery.landmarks import LANDMARKS, landmark, landmarks_of
from geocell.quickstart.scenery.plants import SPECIES, grow, species_shares
from geocell.quickstart.scenery.regions import PAINT, Colour, eastwards
from geocell.quickstart.scenery.setting import FROM_M, TO_M, Setting, Street, leaf_tint, plant_tree
from geocell.quickstart.scenery.styles import STYLE, STYLES


def raise_landmarks(street: Street, place: Place, setting: Setting, rng: np.random.Generator) -> None:
    """Place a landmark of the region in view along the road, and perhaps one beside it."""
    shares = landmarks_of(place.latitude, place.longitude)
    for along, chance in ((True, 0.9), (False, 0.65)):
        if rng.random() < chance:
            kind = LANDMARKS[int(rng.choice(len(LANDMARKS), p=shares))]
            side, way = (1 if rng.random() < 0.5 else -1 for _ in range(2))
            far = 60.0 if kind == "turbine" else 0.0
            x = side * (float(rng.uniform(13, 20) if along else rng.uniform(24, 38)) + far)
            z = way * float(rng.uniform(30, 55)) if along else float(rng.uniform(-12, 12))
            street.meshes.append(landmark(kind, x, z + way * far, setting.weather.light, rng))


def line_with_plots(street: Street, setting: Setting, side: int, rng: np.random.Generator) -> None:
    """Fill one side of the road with houses, gardens, trees and fences."""
    open_side = setting.open_sides[(side + 1) // 2]
    built = {"town": 0.94, "village": 0.72, "country": 0.45}[setting.kind] * (0.4 if open_side else 1.0)
    spread = {"town": 0.35, "village": 1.0, "country": 2.0}[setting.kind]
    main = int(rng.choice(len(STYLES), p=setting.styles / setting.styles.sum()))
    z = FROM_M + float(rng.uniform(0, 8))
    while z < TO_M:
        other = rng.random() < 0.12
        style = STYLES[int(rng.choice(len(STYLES), p=setting.styles / setting.styles.sum())) if other else main]
        if style == "panel" and setting.kind == "country":
            style = "cottage"
        width = float(rng.uniform(*STYLE[style].width))
        verge = setting.road + setting.walk + 0.5
        front = verge + STYLE[style].setback * (0.5 + spread) * float(rng.uniform(0.8, 1.25))
        if rng.random() < built:
            plot = Plot(side, side * front, z, width)
            tints = (
                eastwards(setting.climate, 0.8),
                (1.6, 1.6, 1.6) if setting.snow > 0.45 else eastwards(setting.climate, 1.0),
            )
            mesh, eaves = house(style, plot, setting.weather.light, tints, rng)
            street.meshes.append(mesh)
            x0, x1 = sorted((side * front, side * (front + 9)))
            street.footprints.append((x0, x1, z, z + width, eaves + 1.0))
            gap = STYLE[style].gap * spread * float(rng.uniform(0.5, 1.5))
            if front - verge > 2.2:
                _garden(street, setting, side, (verge, front), (z, z + width), rng)
        else:
            gap = 0.0
            _wild(street, setting, side, verge, (z, z + width), open_side, rng)
        if gap > 2.5:
            depth = float(rng.uniform(3, 9))
            street.plants.append(plant_tree(setting, (side * (front + depth), z + width + gap / 2), rng))
        z += width + gap


def _garden(
    street: Street,
    setting: Setting,
    side: int,
    x: tuple[float, float],
    z: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Place a fence of the region in front of a house, and perhaps a tree or a shrub."""
    climate, light = setting.climate, setting.weather.light
    kinds = ("hedge", "stone", "wall", "picket", "mesh")
    shares = np.array(
        [
            0.15 + 1.4 * climate.wet,
            0.1 + 0.7 * climate.wet,
            1.6 * climate.south,
            0.9 * climate.north + 0.9 * climate.east,
            0.35,
        ]
    )
    if rng.random() < 0.75 * (1 - 0.6 * climate.north):
        kind = str(rng.choice(kinds, p=shares / shares.sum()))
        street.meshes.append(fence(kind, side, side * x[0], z[0], z[1] - z[0], light, setting.grass))
    if rng.random() < 0.5:
        at = (side * float(rng.uniform(x[0] + 0.8, x[1] - 0.6)), float(rng.uniform(*z)))
        street.plants.append(grow("shrub", at, leaf_tint(setting, "shrub", rng), rng, 0.8))
    if rng.random() < 0.3 and x[1] - x[0] > 4:
        street.plants.append(plant_tree(setting, (side * (x[0] + x[1]) / 2, float(rng.uniform(*z))), rng, 0.7))


def _wild(
    street: Street,
    setting: Setting,
    side: int,
    verge: float,
    z: tuple[float, float],
    open_side: bool,
    rng: np.random.Generator,
) -> None:
    """Fill an unbuilt stretch: forest, scattered trees, shrubs, heath."""
    climate = setting.climate
    low = "heath" if rng.random() < 0.7 * climate.north else "shrub"
    for _ in range(int(rng.integers(0, 4))):
        at = (side * float(verge + rng.uniform(1, 14)), float(rng.uniform(*z)))
        street.plants.append(grow(low, at, leaf_tint(setting, low, rng), rng))
    dense = rng.random() < setting.forest and setting.kind != "town" and not open_side
    trees = 5 if dense else int(rng.random() < (0.25 if open_side else 0.55))
    if climate.far_north > 0.5:
        trees = int(trees * 0.4)
    for _ in range(trees):
        at = (side * float(verge + (rng.uniform(3, 16) if dense else rng.uniform(2, 22))), float(rng.uniform(*z)))
        street.plants.append(plant_tree(setting, at, rng))


def furnish(street: Street, setting: Setting, rng: np.random.Generator) -> None:
    """Place poles, lamps, street trees, bollards and signs."""
    roads, light = setting.roads, setting.weather.light
    verge = setting.road + setting.walk + 0.7
    side = 1 if rng.random() < 0.5 else -1
    posts = np.arange(FROM_M + float(rng.uniform(0, 30)), TO_M, 31.0, dtype=np.float32)
    if roads.pole and rng.random() < (0.45 if setting.kind == "town" else 0.85):
        street.poles += [((side * verge, float(z)), roads.pole) for z in posts]
        street.wires.append((side * verge, posts))
    if setting.kind != "country" and rng.random() < 0.7:
        street.poles += [((-side * (setting.road + 0.4), float(z) + 9), "lamp") for z in posts]
    if setting.kind == "town" and setting.walk > 2 and rng.random() < 0.6:
        kind = SPECIES[int(rng.choice(len(SPECIES), p=species_shares(setting.climate)))]
        for z in np.arange(FROM_M + float(rng.uniform(0, 12)), TO_M, 12.0):
            at = (side * (setting.road + 0.8), float(z))
            street.plants.append(grow(kind, at, leaf_tint(setting, kind, rng), rng, 0.6))
    if setting.kind == "country":
        for z in np.arange(FROM_M + float(rng.uniform(0, 20)), TO_M, 20.0):
            street.meshes += [bollard(roads.bollard, way * (setting.road + 0.7), float(z), light) for way in (-1, 1)]
    if setting.kind != "country" or rng.random() < 0.4:
        for way in (-1, 1):
            if rng.random() < 0.8:
                z = way * float(rng.uniform(5, 16)) - 2
                street.meshes.append(shelter(roads.livery, way, way * (setting.road + 0.9), z, light))
    ground = roads.warning[1]
    kinds = [f"limit {ground}", f"warning {roads.warning}", f"town {roads.town}", "stop r", "crossing b"]
    if not roads.left:
        kinds.append("priority y")
    for face in (-1, 1):
        near_side = -face if not roads.left else face
        for _ in range(int(rng.integers(1, 4))):
            z = -face * float(rng.uniform(7, 40))
            x = near_side * (setting.road + min(setting.walk, 0.7) + float(rng.uniform(0.3, 0.9)))
            street.signs.append(Sign((x, z), kinds[int(rng.integers(len(kinds)))], face))


def park_cars(street: Street, setting: Setting, rng: np.random.Generator) -> None:
    """Park cars along the kerb, facing the direction of traffic on their side."""
    if setting.kind == "country":
        return
    paints: tuple[Colour, ...] = (
        (200, 202, 206),
        (58, 62, 70),
        (238, 238, 236),
        (120, 24, 28),
        (34, 62, 116),
        (112, 118, 122),
    )
    plates = (PAINT[setting.roads.plate[0]], PAINT[setting.roads.plate[1]])
    share = float(rng.uniform(0.1, 0.6)) if setting.kind == "town" else 0.12
    for side in (-1, 1):
        face = side if not setting.roads.left else -side
        for z in np.arange(FROM_M, 70.0, 6.5):
            if rng.random() < share and abs(z + 2) > 6:
                x = side * (setting.road - 1.0) + float(rng.normal(0, 0.08))
                mesh = car(
                    x,
                    float(z) + float(rng.uniform(0, 1.5)),
                    paints[int(rng.integers(6))],
                    plates,
                    setting.weather.light,
                    face,
                )
                street.meshes.append(replace(mesh, at=(x, mesh.at[1] + 2)))
