"""Assembly of a street from the properties of its place; all four headings show the same street."""

from __future__ import annotations

import numpy as np

from geocell.quickstart.places import Place
from geocell.quickstart.scenery.backdrop import Backdrop
from geocell.quickstart.scenery.furniture import markings
from geocell.quickstart.scenery.regions import (
    Colour,
    climate_of,
    eastwards,
    grass_of,
    mix,
    relief_of,
    roads_of,
    soil_of,
)
from geocell.quickstart.scenery.roadside import furnish, line_with_plots, park_cars, raise_landmarks
from geocell.quickstart.scenery.setting import Setting, Street
from geocell.quickstart.scenery.styles import STYLES, styles_of
from geocell.quickstart.scenery.weather import draw_weather


def build_street(place: Place, rng: np.random.Generator) -> Street:
    """Return the street at a place; all randomness comes from `rng`."""
    climate = climate_of(place.latitude, place.longitude)
    bearing = float(np.radians(90 * int(rng.integers(2)) + np.clip(rng.normal(0, 9), -22, 22)))
    weather = draw_weather(place.latitude, climate, bearing, rng)
    town = float(np.clip(0.28 + 0.14 * np.log10(max(place.population, 1) / 15000), 0.25, 0.65))
    kind = str(rng.choice(["town", "village", "country"], p=[town, 0.62 * (1 - town), 0.38 * (1 - town)]))
    early = weather.day < 112 or weather.day > 290
    snowy = rng.random() < (
        0.6 * climate.north + 0.3 * climate.far_north + 0.05 * climate.east if early else 0.02 * climate.north
    )
    right = (round(np.degrees(bearing) / 90) + 1) % 4
    setting = Setting(
        kind=kind,
        climate=climate,
        roads=roads_of(place.country),
        styles=np.asarray(styles_of(place.latitude, place.longitude), dtype=np.float32),
        weather=weather,
        grass=_seasonal(grass_of(climate), weather.day, rng),
        road=float(
            {"town": rng.uniform(3.4, 4.8), "village": rng.uniform(2.8, 3.6), "country": rng.uniform(2.7, 3.5)}[kind]
        ),
        walk=float({"town": rng.uniform(1.6, 3.2), "village": 1.4 * (rng.random() < 0.7), "country": 0.0}[kind]),
        forest=float(
            np.clip(rng.normal(0.18 + 0.55 * climate.north + 0.12 * climate.east - 0.1 * climate.dry, 0.2), 0, 0.9)
        ),
        snow=float(rng.uniform(0.3, 0.9)) if snowy else 0.0,
        open_sides=(place.sea[(right + 2) % 4], place.sea[right]),
    )
    street = Street(_backdrop(place, setting, bearing, rng), weather, setting.roads)
    street.meshes.append(
        markings(setting.roads, setting.road, float(rng.random()), weather.light, float(rng.uniform(0, 0.45)))
    )
    raise_landmarks(street, place, setting, rng)
    for side in (-1, 1):
        line_with_plots(street, setting, side, rng)
    furnish(street, setting, rng)
    park_cars(street, setting, rng)
    return street


def _seasonal(colour: Colour, day: float, rng: np.random.Generator) -> Colour:
    """Return a green that is greener in spring and browner in autumn, with some random variation."""
    late = np.clip((day - 200) / 90, -0.6, 1)
    factor = np.array([1 + 0.10 * late, 1 - 0.03 * late, 1 - 0.05 * late]) * rng.normal(1, 0.05, 3)
    red, green, blue = (np.array(colour) * factor).tolist()
    return red, green, blue


def _backdrop(place: Place, setting: Setting, bearing: float, rng: np.random.Generator) -> Backdrop:
    """Return the surroundings."""
    climate, weather = setting.climate, setting.weather
    relief = relief_of(place.latitude, place.longitude)
    azimuth = np.radians(np.arange(360))
    jagged = sum(
        np.sin(frequency * azimuth + rng.uniform(0, 2 * np.pi)) * frequency**-0.8 for frequency in range(3, 60, 3)
    )
    skyline = np.clip(relief * (1 + 0.9 * np.asarray(jagged)), 0.004, None).astype(np.float32)
    soil = soil_of(climate)
    asphalt = mix(
        (116, 116, 118),
        ((160, 148, 134), 0.6 * climate.dry),
        ((98, 98, 102), 0.4 * climate.north),
        ((128, 124, 118), 0.4 * climate.east),
    )
    cooler = np.array(asphalt) * np.array(eastwards(climate, 0.5))
    fields: tuple[Colour, ...] = ()
    if setting.kind != "town":
        crops: tuple[Colour, ...] = ((204, 180, 108), (214, 196, 60), (150, 160, 84))
        local: tuple[Colour, ...] = (setting.grass, setting.grass, soil)
        fields = local + (crops if climate.north < 0.5 and climate.wet < 0.6 else crops[2:])
    return Backdrop(
        bearing=bearing,
        zenith=weather.zenith,
        cloud=weather.cloud,
        skyline=skyline,
        hills=mix(
            (84, 104, 92),
            ((64, 88, 64), climate.wet + climate.east),
            ((150, 138, 114), climate.dry),
            ((92, 104, 108), climate.north),
        ),
        snow=float(np.clip(0.09 + 0.05 * climate.south - 0.06 * climate.north, 0.05, 1) if weather.day < 160 else 0.16),
        grass=setting.grass,
        soil=soil,
        asphalt=(float(cooler[0]), float(cooler[1]), float(cooler[2])),
        pavement=mix(
            (156, 154, 152),
            ((208, 190, 160), 0.8 * climate.south),
            ((168, 128, 112), 0.4 * float(setting.styles[STYLES.index("brick")])),
        ),
        road=setting.road,
        walk=setting.walk,
        bare=float(np.clip(0.08 + 0.28 * climate.south + 0.06 * climate.east + rng.normal(0, 0.05), 0, 0.6)),
        fields=fields,
        snow_cover=setting.snow,
        wet=weather.wet,
        sea=place.sea,
        shift=(int(rng.integers(256)), int(rng.integers(256))),
    )
