"""Drawing splits: shares, groups of neighbours, and the splits that a table names."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.features import FeatureCache
from geocell.geo.geodesy import distance_matrix_km
from geocell.splits.draw import _deal, make_splits, split, splits_from_column
from geocell.splits.leaks import leak_report
from tests.splits.places import ids_of, spread
from tests.sweeps.sweep_worlds import make_world
from tests.worlds import make_locations


def test_fractions_are_kept() -> None:
    splits = make_splits(ids_of(1000), spread(1000))
    assert [len(splits.ids[name]) for name in ("train", "val", "test")] == [800, 100, 100]


def test_the_draw_ignores_row_order_and_depends_on_the_seed() -> None:
    latlon, ids = spread(200), ids_of(200)
    order = np.random.default_rng(1).permutation(200)
    splits = make_splits(ids, latlon, seed=5)
    assert make_splits([ids[i] for i in order], latlon[order], seed=5) == splits
    assert make_splits(ids, latlon, seed=6) != splits


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 60), st.integers(0, 10_000))
def test_no_coordinate_and_no_location_is_in_two_splits(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    latlon = np.round(spread(n, seed), 0)  # many locations share a coordinate
    views = rng.integers(0, n, 3 * n)
    views = np.concatenate((views, np.arange(n)))
    splits = make_splits([f"loc{i}" for i in views], latlon[views], (0.6, 0.2, 0.2), seed)
    home = {location: name for name, ids in splits.ids.items() for location in ids}
    assert len(home) == n
    where: dict[tuple[float, ...], set[str]] = {}
    for i in range(n):
        where.setdefault(tuple(latlon[i]), set()).add(home[f"loc{i}"])
    assert all(len(names) == 1 for names in where.values())
    assert all(splits.ids[name] for name in ("train", "val", "test"))


def test_a_buffer_keeps_neighbours_together() -> None:
    latlon = spread(300, 2)
    splits = make_splits(ids_of(300), latlon, buffer_km=60)
    home = np.empty(300, dtype=object)
    for name, ids in splits.ids.items():
        home[[int(i[3:]) for i in ids]] = name
    near = distance_matrix_km(latlon, latlon) < 60
    assert (home[:, None] == home[None])[near].all()
    without = make_splits(ids_of(300), latlon)
    assert leak_report(without, ids_of(300), latlon)["test"]["min_km"] < 60
    assert leak_report(splits, ids_of(300), latlon)["test"]["min_km"] >= 60


@pytest.mark.parametrize("sizes", [[120, 80, 60, 40] + [10] * 70, [250, 90] + [5] * 132, [350] + [30] * 20 + [1] * 50])
@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.1), (0.6, 0.2, 0.2)])
def test_large_groups_leave_the_fractions(sizes: list[int], fractions: tuple[float, ...]) -> None:
    latlon = np.repeat(spread(len(sizes)), sizes, axis=0)
    for seed in range(20):
        ids = make_splits(ids_of(1000), latlon, fractions, seed).ids
        shares = [len(ids[name]) / 1000 for name in ("train", "val", "test")]
        np.testing.assert_allclose(shares, fractions, atol=0.04)


def test_a_group_too_large_for_every_split_goes_where_most_room_is() -> None:
    latlon = np.repeat(spread(31), [70] + [1] * 30, axis=0)
    for seed in range(20):
        splits = make_splits(ids_of(100), latlon, (0.4, 0.3, 0.3), seed)
        assert all(splits.ids.values())
        assert len(splits.ids["train"]) >= 70


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.1), (0.5, 0.1, 0.1), (1.2, -0.1, -0.1), (0.0, 0.5, 0.5), (0.8, np.nan, 0.1)]
)
def test_bad_fractions(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="fractions must be three numbers"):
        make_splits(ids_of(10), spread(10), fractions)


def test_one_location_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="at least 3 separate places, got 1 from 1 location:"):
        make_splits(["a"], np.array([[1.0, 2.0]]))
    with pytest.raises(ValueError, match="buffer_km must be a number of kilometres of at least 0"):
        make_splits(ids_of(10), spread(10), buffer_km=-1)


def test_without_a_test_share_two_places_are_enough() -> None:
    splits = make_splits(["a", "b"], spread(2), (0.5, 0.5, 0.0))
    assert sorted(map(len, splits.ids.values())) == [0, 1, 1]


def test_a_tables_own_splits() -> None:
    latlon = np.array([[1.0, 2], [1, 2], [3, 4], [5, 6]])
    splits = splits_from_column(["a", "a", "b", "c"], latlon, ["test", "test", "train", "extra"])
    assert splits.ids == {"train": ("b",), "test": ("a",), "extra": ("c",)}
    with pytest.raises(ValueError, match="location 'a' in 'train' and 'val'"):
        splits_from_column(["a", "a"], latlon[:2], ["train", "val"])
    with pytest.raises(ValueError, match=r"coordinate 1\.000000,2\.000000"):
        splits_from_column(["a", "b"], latlon[:2], ["train", "val"])


def test_spellings_of_a_tables_splits() -> None:
    latlon = np.array([[1.0, 2], [3, 4], [5, 6]])
    splits = splits_from_column(["a", "b", "c"], latlon, ["Train", " validation ", "TEST"])
    assert splits.ids == {"train": ("a",), "val": ("b",), "test": ("c",)}
    with pytest.raises(ValueError, match="name a split in every row"):
        splits_from_column(["a", "b", "c"], latlon, ["train", float("nan"), "test"])


def test_a_share_of_nothing_gives_no_locations() -> None:
    locations = make_locations(spread(20), np.zeros((20, 4), np.float32))
    train, val, test = split(locations, (0.8, 0.0, 0.2))
    assert (len(train), len(val), len(test)) == (16, 0, 4)
    assert val.mean_features().shape == (0, 4)
    with pytest.raises(ValueError, match="at least one location"):
        make_splits([], np.empty((0, 2)))


def test_both_sides_of_the_antimeridian_are_one_place() -> None:
    ids, latlon = ids_of(3), np.array([[0.0, 180.0], [0.0, -180.0], [5.0, 5.0]])
    for seed in range(5):
        splits = make_splits(ids, latlon, (0.5, 0.5, 0.0), seed)
        assert {"loc0", "loc1"} in [set(members) for members in splits.ids.values()]


def test_a_cache_can_be_named_by_its_path(tmp_path: Path) -> None:
    folder = make_world(tmp_path / "world")
    cache = FeatureCache.open(folder / "cache")
    for source in (folder / "cache", str(folder / "cache")):
        for part, expected in zip(split(source, seed=3), split(cache, seed=3), strict=True):
            assert part.ids.tolist() == expected.ids.tolist()
    with pytest.raises(FileNotFoundError, match=r"cache\.json"):
        split("nowhere")
    with pytest.raises(TypeError, match=r"split takes a feature cache, its path, or locations, got list"):
        split([1, 2])  # type: ignore[arg-type]


def dealt_one_by_one(n: int, shares: list[float], rng: np.random.Generator) -> list[int]:
    """Deal n groups of one location by the rule in words, the plain way."""
    target, have, out = (np.asarray(shares) * n).tolist(), [0] * len(shares), [0] * n
    wanted = [i for i, size in enumerate(target) if size > 0]
    for position, group in enumerate(rng.permutation(n).tolist()):
        empty = [i for i in wanted if not have[i]]
        candidates = empty if len(empty) >= n - position else wanted
        fitting = [i for i in candidates if have[i] + 1 - target[i] < 1]
        room = [(target[i] - have[i]) / (target[i] if fitting else 1) for i in fitting or candidates]
        out[group] = (fitting or candidates)[room.index(max(room))]
        have[out[group]] += 1
    return out


@given(
    st.integers(3, 400),
    st.lists(st.integers(0, 1000), min_size=3, max_size=3).filter(lambda parts: parts[0] > 0),
    st.integers(0, 9),
)
def test_groups_of_one_are_dealt_at_once_as_one_by_one(n: int, parts: list[int], seed: int) -> None:
    shares = [part / sum(parts) for part in parts]
    found = _deal(np.ones(n, dtype=np.int64), np.asarray(shares), np.random.default_rng(seed))
    assert found.tolist() == dealt_one_by_one(n, shares, np.random.default_rng(seed))
