"""The light of a scene: position of the sun, sky, and visibility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocell.quickstart.scenery.camera import Light
from geocell.quickstart.scenery.regions import Climate, Colour, mix


@dataclass(frozen=True)
class Weather:
    """Season and sky of one street.

    Attributes:
        day: of the year.
        cloud: cover, 0 to 1.
        wet: wetness of the road, 0 to 1.
        rain: whether it rains.
        light: sun, sky and haze.
        zenith: colour of the sky overhead.
    """

    day: float
    cloud: float
    wet: float
    rain: bool
    light: Light
    zenith: Colour


def sun_at(lat: float, day: float, hour: float) -> tuple[float, float]:
    """Return elevation and azimuth (clockwise from north) of the sun in radians.

    Args:
        lat: degrees.
        day: of the year.
        hour: true solar time.
    """
    phi, declination = np.radians(lat), np.radians(23.44) * np.sin(2 * np.pi * (day - 81) / 365.25)
    angle = np.pi * (hour - 12) / 12
    sine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(angle)
    south = np.sin(phi) * np.cos(declination) * np.cos(angle) - np.cos(phi) * np.sin(declination)
    azimuth = np.pi + np.arctan2(np.cos(declination) * np.sin(angle), south)
    return float(np.arcsin(sine)), float(azimuth)


def draw_weather(lat: float, climate: Climate, bearing: float, rng: np.random.Generator) -> Weather:
    """Return the weather of a street whose z points to `bearing` (radians); the north-west is cloudier."""
    day, hour = float(rng.uniform(85, 288)), float(rng.uniform(9, 16.5))
    elevation, azimuth = sun_at(lat, day, hour)
    elevation = max(elevation, np.radians(7))
    cloudy = 0.30 + 0.38 * climate.wet + 0.12 * climate.north + 0.08 * climate.east - 0.22 * climate.dry
    cloud = float(np.clip(rng.normal(cloudy, 0.24), 0, 1))
    rain = bool(cloud > 0.7 and rng.random() < 0.35)
    fog = bool(rng.random() < 0.03 + 0.05 * climate.wet)
    clear = 1 - cloud**2
    strength = 0.78 * clear * min(1.0, 2.2 * np.sin(elevation))
    ambient = 0.50 + 0.10 * cloud
    gain = np.clip(0.97 / (ambient + strength * np.sin(elevation)), 0.9, 1.45)
    low = float(np.clip(1 - elevation / np.radians(32), 0, 1))
    warm = np.array([1.02 + 0.10 * low, 0.97 - 0.06 * low, 0.90 - 0.24 * low])
    cool = np.array([1 - 0.06 * clear, 1.0, 1 + 0.09 * clear])
    towards = np.array(
        [
            np.cos(elevation) * np.sin(azimuth - bearing),
            np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth - bearing),
        ]
    )
    blue = mix((88, 142, 212), ((44, 106, 200), climate.dry + 0.4 * climate.south), ((122, 166, 214), climate.north))
    zenith = mix((0, 0, 0), (blue, 40 * clear), ((164, 170, 178), 40 * cloud**2))
    horizon = mix(
        (0, 0, 0), ((206, 220, 232), 40 * clear), ((204, 207, 210), 40 * cloud**2), ((244, 214, 178), 24 * low * clear)
    )
    visibility = float(rng.uniform(900, 2600)) * (1 - 0.6 * cloud)
    if fog:
        visibility, zenith, horizon = float(rng.uniform(70, 160)), (196, 200, 203), (208, 211, 213)
    elif rain:
        visibility = float(rng.uniform(220, 420))
    light = Light(
        towards.astype(np.float32),
        (gain * strength * warm).astype(np.float32),
        (gain * ambient * cool).astype(np.float32),
        np.array(horizon, dtype=np.float32),
        visibility,
    )
    wet = 0.75 if rain else (0.35 if cloud > 0.75 and rng.random() < 0.4 else 0.0)
    return Weather(day, cloud, wet, rain, light, zenith)
