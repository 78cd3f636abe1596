"""The quiz: test locations alone, their images without metadata, and points as the game counts them."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geocell.demo.quiz import Game, Points, Quiz, parse_guess, show_copy
from geocell.geo.geodesy import distance_km
from tests.demo.conftest import World
from tests.worlds import make_image


@pytest.fixture
def quiz(world: World) -> Quiz:
    return Quiz.open(world.head, world.cache, world.splits, decode="centroid", device="cpu")


def test_every_test_location_comes_once(world: World, quiz: Quiz) -> None:
    game = quiz.new_game(3)
    assert game == quiz.new_game(3)
    truths = []
    while True:
        game, asked = quiz.next_round(game)
        if asked is None:
            break
        assert len(asked.pictures) == 2
        truths.append(asked.truth)
    test = world.splits.select(world.cache.locations(), "test")
    assert sorted(truths) == sorted(map(tuple, test.latlon.tolist()))
    orders = {quiz.new_game(seed).order for seed in range(20)}
    assert len(orders) > 5


def test_points_add_up_and_a_second_guess_counts_for_nothing(world: World, quiz: Quiz) -> None:
    game, asked = quiz.next_round(quiz.new_game(0))
    assert asked is not None
    game, shown, you, head = quiz.play(game, asked.truth)
    assert (you.km, you.points) == (0.0, 5000)
    assert head.km == pytest.approx(float(distance_km((shown.head.lat, shown.head.lon), asked.truth)))
    assert head.points == round(5000 * np.exp(-head.km / 1492.7))
    assert (game.played, game.you, game.head) == (1, 5000, head.points)
    again, _, you, _ = quiz.play(game, (0.0, 0.0))
    assert again == game
    assert you.points == 5000
    game, asked = quiz.next_round(game)
    assert asked is not None
    game, _, you, head = quiz.play(game, (-45.0, 170.0))
    assert game.guess == (-45.0, 170.0)
    assert (game.played, game.you) == (2, 5000 + you.points)
    assert Points.of((0.0, 0.0), (0.0, 0.0)) == Points(0.0, 5000)


def test_the_head_answers_as_it_was_scored(world: World, quiz: Quiz) -> None:
    posterior = world.head.posterior(quiz.locations)
    for index in range(len(quiz.locations)):
        asked = quiz.current(Game((index,), at=0))
        best = world.head.partition.centroids[int(posterior[index].argmax())]
        assert (asked.head.lat, asked.head.lon) == tuple(best)
        assert asked.pictures == ()


def test_training_locations_and_other_features_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match="8 of the 8 locations are training locations of the head"):
        Quiz.open(world.head, world.cache, world.splits, "train", decode="centroid")
    other = replace(world.head, neighbours=None, encoder=replace(world.head.encoder, revision="2"))
    with pytest.raises(ValueError, match="the head and the locations of the quiz must share one encoder"):
        Quiz.open(other, world.cache, world.splits, decode="centroid")


def test_locations_without_images_are_passed_over(world: World, quiz: Quiz, tmp_path: Path) -> None:
    class Some:
        at_once = 1

        def read(self, reference: str) -> bytes:
            if "img/009" not in reference:
                raise FileNotFoundError(f"/secret/{reference}")
            return (world.folder / reference).read_bytes()

    some = replace(quiz, images=Some())
    game, asked = some.next_round(some.new_game(1))
    assert asked is not None
    assert some.locations.ids[game.order[game.at]] == "loc009"
    assert some.next_round(replace(game, played=1))[1] is None
    none = tmp_path / "photos.csv"
    none.write_text((world.folder / "photos.csv").read_text())
    with pytest.raises(ValueError, match=r"cannot be read \(no such file\): name the table"):
        Quiz.open(world.head, world.cache, world.splits, decode="centroid", source=none)


def test_a_copy_for_the_screen_is_upright_small_and_bare(tmp_path: Path) -> None:
    path = make_image(tmp_path / "a.jpg", position=(48.0, 11.0), size=2000)
    data, problem = show_copy(path.read_bytes())
    assert problem == ""
    with Image.open(io.BytesIO(data)) as image:
        assert max(image.size) == 1024
        assert not image.getexif()
    assert show_copy(b"no image") == (b"", "cannot identify image file")


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_a_position_is_read_as_it_is_written(lat: float, lon: float) -> None:
    assert parse_guess(f"{lat:.6f}, {lon:.6f}") == pytest.approx((lat, lon), abs=1e-6)
    words = f"{abs(lat):.6f}°{'S' if lat < 0 else 'N'} {abs(lon):.6f}°{'W' if lon < 0 else 'E'}"
    assert parse_guess(words) == pytest.approx((lat, lon), abs=1e-6)


@pytest.mark.parametrize(
    "text", ["", "Paris", "48.1", "4.8.1, 3", "1,2,3", "nan, nan", "." * 4000, "-33.9S 18.4E", "33.9S -18.4W"]
)
def test_what_is_no_position_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="a guess must be a latitude and a longitude such as"):
        parse_guess(text)


def test_a_position_off_the_earth_is_said() -> None:
    with pytest.raises(ValueError, match=r"a latitude is from -90 to 90 .* got 91, 0"):
        parse_guess("91, 0")
