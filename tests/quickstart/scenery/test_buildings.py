import numpy as np
import pytest

from geocell.quickstart.scenery.buildings import Plot, house
from geocell.quickstart.scenery.camera import Light
from geocell.quickstart.scenery.styles import STYLE, STYLES

LIGHT = Light(
    np.array([0, 1, 0], np.float32), np.ones(3, np.float32), np.ones(3, np.float32), np.full(3, 200, np.float32), 1000.0
)
PLAIN = ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("name", STYLES)
def test_a_house_fills_its_plot(name: str, side: int) -> None:
    plot, style = Plot(side, side * 6.0, 12.0, 10.0), STYLE[name]
    mesh, eaves = house(name, plot, LIGHT, PLAIN, np.random.default_rng(3))
    points = np.concatenate(mesh.quads).reshape(-1, 3)
    assert style.storeys[0] * 2.9 < eaves < style.storeys[1] * 2.9 + 0.8
    assert points[:, 1].min() == pytest.approx(0)
    assert points[:, 1].max() > eaves
    assert points[:, 2].min() >= 12 - 0.5
    assert points[:, 2].max() <= 22 + 0.5
    assert (side * points[:, 0]).min() >= 6 - 0.5
    assert 13.5 < (side * points[:, 0]).max() < 17.5


def test_tints_are_factors_on_the_walls() -> None:
    plot = Plot(1, 6.0, 12.0, 10.0)
    plain, _ = house("slate", plot, LIGHT, PLAIN, np.random.default_rng(0))
    tinted, _ = house("slate", plot, LIGHT, ((0.5, 1.0, 1.0), (1.0, 1.0, 1.0)), np.random.default_rng(0))
    first, second = (next(facts for facts in mesh.facts[5:] if len(facts) == 1) for mesh in (plain, tinted))
    np.testing.assert_allclose(second[0, :3], first[0, :3] * (0.5, 1, 1), rtol=1e-5)
