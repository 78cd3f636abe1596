"""A pinhole camera in a street, and a painter's algorithm for meshes of lit quadrilaterals.

Street coordinates, in metres: x to the right of the road, y up, z along the road. The camera stands at z = 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import ImageDraw

from geocell.quickstart.scenery.regions import Colour

Array = NDArray[np.float32]

SIZE = 336
"""Side of an image in pixels."""

SUPERSAMPLING = 2
"""Factor by which faces are drawn larger before they are averaged down."""

_NEAR_M = 0.6


@dataclass(frozen=True)
class Camera:
    """Position and orientation of the camera; angles in radians, lengths in pixels of the finished image.

    Attributes:
        x: metres to the right of the middle of the road.
        height: metres above the road.
        yaw: of the optical axis, clockwise from the road's z.
        focal: focal length in pixels.
        horizon: row of the horizon.
        roll: of the image.
    """

    x: float
    height: float
    yaw: float
    focal: float
    horizon: float
    roll: float

    def to_camera(self, points: ArrayLike) -> Array:
        """Return points (..., 3) of the street as right, up, forward of the camera."""
        p = np.asarray(points, dtype=np.float32)
        sin, cos = np.float32(np.sin(self.yaw)), np.float32(np.cos(self.yaw))
        x, z = p[..., 0] - np.float32(self.x), p[..., 2]
        return np.stack([x * cos - z * sin, p[..., 1] - np.float32(self.height), x * sin + z * cos], axis=-1)

    def to_pixels(self, seen: Array, scale: float = 1.0) -> Array:
        """Return (..., 2) pixels of points in camera coordinates, all in front of it."""
        right, up = seen[..., 0] / seen[..., 2], -seen[..., 1] / seen[..., 2]
        sin, cos = np.float32(np.sin(self.roll)), np.float32(np.cos(self.roll))
        u = SIZE / 2 + self.focal * (right * cos - up * sin)
        v = self.horizon + self.focal * (right * sin + up * cos)
        return np.stack([u, v], axis=-1).astype(np.float32) * np.float32(scale)

    def outline(self, corners: ArrayLike, scale: float = 1.0) -> Array:
        """Return the (m, 2) pixels of an (n, 3) polygon, clipped in front of the camera (Sutherland & Hodgman 1974)."""
        seen = self.to_camera(corners)
        depth = seen[:, 2].tolist()
        if min(depth) > _NEAR_M:
            return self.to_pixels(seen, scale)
        kept: list[Array] = []
        for i in range(len(depth)):
            j = (i + 1) % len(depth)
            if depth[i] > _NEAR_M:
                kept.append(seen[i])
            if (depth[i] > _NEAR_M) != (depth[j] > _NEAR_M):
                kept.append(seen[i] + (seen[j] - seen[i]) * np.float32((_NEAR_M - depth[i]) / (depth[j] - depth[i])))
        if not kept:
            return np.empty((0, 2), dtype=np.float32)
        return np.clip(self.to_pixels(np.array(kept), scale), -1e4, 1e4)

    def outlines(self, shapes: Array) -> list[Array]:
        """Return the outlines of those of (n, m, 3) polygons that lie within 90 m in front of the camera."""
        seen = self.to_camera(shapes)
        depth = seen[..., 2]
        whole = depth.min(axis=1) > _NEAR_M
        near = (depth.max(axis=1) > _NEAR_M) & (depth.min(axis=1) < 90)
        pixels = self.to_pixels(np.where(whole[:, None, None], seen, np.float32(1)))
        return [pixels[i] if whole[i] else self.outline(shapes[i]) for i in np.flatnonzero(near).tolist()]

    def rays(self) -> tuple[Array, Array]:
        """Return the (SIZE, SIZE) tangents of every pixel: to the right of the axis, and above the horizon."""
        u = (np.arange(SIZE, dtype=np.float32) + 0.5 - SIZE / 2) / np.float32(self.focal)
        v = (np.arange(SIZE, dtype=np.float32) + 0.5 - np.float32(self.horizon)) / np.float32(self.focal)
        sin, cos = np.float32(np.sin(self.roll)), np.float32(np.cos(self.roll))
        return u[None, :] * cos + v[:, None] * sin, u[None, :] * sin - v[:, None] * cos


@dataclass(frozen=True)
class Light:
    """Sun and sky: unit vector towards the sun, colours of both as factors, and the haze.

    Attributes:
        towards: (3,) in street coordinates.
        sun, sky: factors per channel for direct and for diffuse light.
        haze: colour that distant objects fade to.
        visibility: metres at which the haze reaches 63 %.
    """

    towards: Array
    sun: Array
    sky: Array
    haze: Array
    visibility: float

    def on(self, colour: ArrayLike, normal: ArrayLike) -> Array:
        """Return the colour (..., 3) of a matt surface with this normal."""
        facing = max(float(np.dot(np.asarray(normal, dtype=np.float32), self.towards)), 0.0)
        return np.asarray(colour, dtype=np.float32) * (self.sky + self.sun * np.float32(facing))


@dataclass
class Mesh:
    """The faces of one object, in painting order.

    Attributes:
        at: (x, z) by which objects are sorted.
        light: the light of the scene.
        quads: (n, 4, 3) arrays of corners.
        facts: (n, 6) arrays of the lit colour and the normal of each.
    """

    at: tuple[float, float]
    light: Light
    quads: list[Array] = field(default_factory=list)
    facts: list[Array] = field(default_factory=list)

    def add(self, quads: ArrayLike, colour: ArrayLike, normal: ArrayLike) -> None:
        """Add quadrilaterals (n, 4, 3) of one colour, or one each (n, 3), facing `normal`."""
        corners = np.asarray(quads, dtype=np.float32).reshape(-1, 4, 3)
        facts = np.empty((len(corners), 6), dtype=np.float32)
        facts[:, :3] = self.light.on(colour, normal)
        facts[:, 3:] = normal
        self.quads.append(corners)
        self.facts.append(facts)

    def box(self, low: ArrayLike, high: ArrayLike, colour: Colour, top: Colour | None = None) -> None:
        """Add a box without its underside."""
        (x0, y0, z0), (x1, y1, z1) = np.asarray(low).tolist(), np.asarray(high).tolist()
        self.add([(x0, y1, z0), (x1, y1, z0), (x1, y1, z1), (x0, y1, z1)], top or colour, (0, 1, 0))
        self.add([(x0, y0, z0), (x0, y0, z1), (x0, y1, z1), (x0, y1, z0)], colour, (-1, 0, 0))
        self.add([(x1, y0, z0), (x1, y0, z1), (x1, y1, z1), (x1, y1, z0)], colour, (1, 0, 0))
        self.add([(x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0)], colour, (0, 0, -1))
        self.add([(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)], colour, (0, 0, 1))


@dataclass(frozen=True)
class Wall:
    """A vertical rectangle: its lower left corner as seen from outside, its direction, and its outward normal."""

    corner: Array
    along: Array
    normal: Array

    def panels(self, left: ArrayLike, right: ArrayLike, low: ArrayLike, high: ArrayLike) -> Array:
        """Return (n, 4, 3) quadrilaterals on the wall, from metres along it and above its base."""
        a, b, lo, hi = (np.asarray(side, dtype=np.float32).ravel() for side in (left, right, low, high))
        shape = (max(len(a), len(b), len(lo), len(hi)), 4)
        across, corners = np.empty(shape, dtype=np.float32), np.empty((*shape, 3), dtype=np.float32)
        across[:, 0] = across[:, 3] = a
        across[:, 1] = across[:, 2] = b
        corners[..., 0] = self.corner[0] + self.along[0] * across
        corners[:, :2, 1] = self.corner[1] + lo[:, None]
        corners[:, 2:, 1] = self.corner[1] + hi[:, None]
        corners[..., 2] = self.corner[2] + self.along[2] * across
        return corners


@dataclass(frozen=True)
class Model:
    """All meshes of a street joined: (n, 4, 3) quads, (n, 6) facts, and the first row and position of each mesh."""

    quads: Array
    facts: Array
    starts: list[int]
    at: list[tuple[float, float]]

    @classmethod
    def from_meshes(cls, meshes: list[Mesh]) -> Model:
        """Join meshes (at least one, none of them empty)."""
        sizes = [sum(len(quads) for quads in mesh.quads) for mesh in meshes]
        return cls(
            np.concatenate([quads for mesh in meshes for quads in mesh.quads]),
            np.concatenate([facts for mesh in meshes for facts in mesh.facts]),
            [0, *np.cumsum(sizes).tolist()],
            [mesh.at for mesh in meshes],
        )


def draw_model(
    draw: ImageDraw.ImageDraw, camera: Camera, light: Light, model: Model, scale: float
) -> Iterator[tuple[float, float]]:
    """Draw meshes from far to near; yield the position of each before drawing it, to interleave other objects.

    Faces that are turned away, outside the picture or smaller than a pixel are skipped; those that reach behind the
    camera are clipped.
    """
    eye = np.array([camera.x, camera.height, 0], dtype=np.float32)
    away = eye - model.quads[:, 0]
    facing = np.flatnonzero((away * model.facts[:, 3:]).sum(axis=1) > 0)
    seen = camera.to_camera(model.quads[facing])
    ahead = seen[..., 2].min(axis=1) > _NEAR_M
    pixels = camera.to_pixels(np.where(ahead[:, None, None], seen, np.float32(1)), scale)
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    inside = (high > 0).all(axis=1) & (low < SIZE * scale).all(axis=1) & ((high - low) > 0.7).any(axis=1)
    kept = np.flatnonzero(np.where(ahead, inside, seen[..., 2].max(axis=1) > _NEAR_M))
    faces = facing[kept]
    veil = 1 - np.exp(-np.linalg.norm(away[faces], axis=1, keepdims=True) / np.float32(light.visibility))
    lit = model.facts[faces, :3]
    colours = [tuple(c) for c in np.clip(lit + (light.haze - lit) * veil, 0, 255).astype(int).tolist()]
    starts = np.searchsorted(faces, model.starts).tolist()
    far = [-np.hypot(x - camera.x, z) for x, z in model.at]
    for mesh in np.argsort(far, kind="stable").tolist():
        yield model.at[mesh]
        for i in range(starts[mesh], starts[mesh + 1]):
            k = int(kept[i])
            outline = pixels[k] if ahead[k] else camera.outline(model.quads[faces[i]], scale)
            draw.polygon(outline.ravel().tolist(), fill=colours[i])
