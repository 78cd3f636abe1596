"""Groups that stay in one split: H3 cells, countries, columns; and the strata that splits share alike."""

import numpy as np
import pytest
from h3 import latlng_to_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.splits.draw import make_splits, split
from geocell.splits.grouping import _connected, protocol_of, require_by
from geocell.splits.splits import NAMES, Splits
from tests.splits.places import ids_of, spread
from tests.worlds import make_locations


def homes(splits: Splits) -> dict[str, str]:
    return {location: name for name, ids in splits.ids.items() for location in ids}


def labels_by_split(splits: Splits, ids: list[str], labels: list[str]) -> dict[str, set[str]]:
    home = homes(splits)
    found: dict[str, set[str]] = {}
    for location, label in zip(ids, labels, strict=True):
        found.setdefault(label, set()).add(home[location])
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3), st.booleans())
def test_no_cell_is_in_two_splits_and_every_location_is_in_one(seed: int, resolution: int, stratified: bool) -> None:
    latlon, ids = spread(150, seed), ids_of(150)
    splits = make_splits(
        ids,
        latlon,
        (0.6, 0.2, 0.2),
        seed,
        by=f"cell:{resolution}",
        stratify="side" if stratified else None,
        columns={"side": ["east" if lon > 10 else "west" for lon in latlon[:, 1]]},
    )
    assert sorted(homes(splits)) == sorted(ids)
    cells = [latlng_to_cell(lat, lon, resolution) for lat, lon in latlon.tolist()]
    assert all(len(names) == 1 for names in labels_by_split(splits, ids, cells).values())
    assert all(splits.ids[name] for name in NAMES)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 40))
def test_no_user_and_no_coordinate_is_in_two_splits(seed: int, n_users: int) -> None:
    rng = np.random.default_rng(seed)
    latlon, ids = spread(120, seed), ids_of(120)
    users = [f"u{i}" for i in rng.integers(0, n_users, 120)]
    latlon[1], users[1] = latlon[0], "somebody else"
    order = rng.permutation(120)
    splits = make_splits(ids, latlon, (0.6, 0.2, 0.2), seed, by="user", columns={"user": users})
    assert sorted(homes(splits)) == sorted(ids)
    assert all(len(names) == 1 for names in labels_by_split(splits, ids, users).values())
    assert homes(splits)["loc0"] == homes(splits)["loc1"]
    again = {"user": [users[i] for i in order]}
    assert (
        make_splits([ids[i] for i in order], latlon[order], (0.6, 0.2, 0.2), seed, by="user", columns=again) == splits
    )


def test_a_place_on_a_border_of_cells_joins_no_two_of_them() -> None:
    # the two views of loc0 lie in two H3 cells, each with locations of its own
    a, b = (50.0, 10.0), (50.0, 10.5)
    assert latlng_to_cell(*a, 4) != latlng_to_cell(*b, 4)
    ids = ["loc0", "loc0", "loc1", "loc2", "loc3"]
    latlon = np.array([a, b, (50.0001, 10.0), (50.0001, 10.5), (40.0, 0.0)])
    splits = make_splits(ids, latlon, (0.4, 0.3, 0.3), by="cell:4")
    home = homes(splits)
    assert home["loc0"] == home["loc1"]
    assert len({home["loc1"], home["loc2"], home["loc3"]}) == 3


def test_countries_by_their_outlines_and_by_their_column() -> None:
    towns = {"Berlin": (52.52, 13.40), "Munich": (48.14, 11.58), "Paris": (48.86, 2.35), "Lyon": (45.76, 4.84)}
    towns |= {"Rome": (41.90, 12.50), "Off Rome": (41.60, 11.90)}
    latlon = np.array(list(towns.values()))
    for seed in range(10):
        home = homes(make_splits(list(towns), latlon, (0.4, 0.3, 0.3), seed, by="country"))
        assert home["Berlin"] == home["Munich"]
        assert home["Paris"] == home["Lyon"]
        assert home["Rome"] == home["Off Rome"]
        columns = {"country": ["north", "south", "north", "south", "far", "south"]}
        home = homes(make_splits(list(towns), latlon, (0.4, 0.3, 0.3), seed, by="country", columns=columns))
        assert home["Berlin"] == home["Paris"] != home["Rome"]
        assert home["Munich"] == home["Lyon"] == home["Off Rome"] != home["Rome"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5)), min_size=6, max_size=120),
    st.sampled_from([(0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.5, 0.5, 0.0)]),
    st.integers(0, 1000),
)
def test_strata_have_their_shares_to_within_three_of_the_largest_group(
    groups: list[tuple[int, int]], fractions: tuple[float, float, float], seed: int
) -> None:
    latlon = np.repeat(spread(len(groups)), [size for size, _ in groups], axis=0)
    strata = [f"s{stratum}" for size, stratum in groups for _ in range(size)]
    ids = ids_of(len(latlon))
    splits = make_splits(ids, latlon, fractions, seed, stratify="kind", columns={"kind": strata})
    assert sorted(homes(splits)) == sorted(ids)
    # one more for the last groups, which may go to a split that would stay empty otherwise
    allowed = (3 + 2) * max(size for size, _ in groups)
    home = homes(splits)
    for stratum in set(strata):
        members = [home[location] for location, s in zip(ids, strata, strict=True) if s == stratum]
        for name, share in zip(NAMES, fractions, strict=True):
            assert abs(members.count(name) - share * len(members)) <= allowed


def test_stratified_shares_are_nearer_than_those_of_chance() -> None:
    latlon, ids = spread(2000, 3), ids_of(2000)
    rng = np.random.default_rng(0)
    strata = [f"s{i}" for i in rng.choice(40, 2000, p=rng.dirichlet(np.ones(40)))]

    def worst(stratify: str | None, seed: int) -> float:
        home = homes(make_splits(ids, latlon, seed=seed, stratify=stratify, columns={"kind": strata}))
        found = 0.0
        for stratum in set(strata):
            members = [home[location] for location, s in zip(ids, strata, strict=True) if s == stratum]
            found = max(found, abs(members.count("test") - 0.1 * len(members)))
        return found

    assert max(worst("kind", seed) for seed in range(5)) < 2
    assert min(worst(None, seed) for seed in range(5)) > 3


def test_strata_of_one_location_do_not_all_go_to_training() -> None:
    splits = make_splits(ids_of(100), spread(100), stratify="kind", columns={"kind": ids_of(100)})
    assert [len(splits.ids[name]) for name in NAMES] == [80, 10, 10]


def test_locations_are_split_by_their_columns() -> None:
    locations = make_locations(spread(60), np.zeros((60, 4), np.float32))
    users = np.array([f"u{i % 12}" for i in range(60)], dtype=object)
    with_users = type(locations)(**{**vars(locations), "columns": {"user": users}})
    parts = split(with_users, (0.6, 0.2, 0.2), by="user", stratify="country")
    seen = [set(part.columns["user"]) for part in parts]
    assert sum(map(len, seen)) == 12
    assert sum(map(len, parts)) == 60


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"by": "cell:16"}, "by must be location, cell:RESOLUTION"),
        ({"by": "cell:-1"}, "by must be location, cell:RESOLUTION"),
        ({"by": ""}, "by must be location"),
        ({"by": "cell:3", "buffer_km": 5}, "a buffer would join all groups"),
        ({"by": "country", "buffer_km": 5}, "a buffer would join all groups"),
        ({"by": "country", "stratify": "country"}, "leave one of them out"),
        ({"by": "user"}, "need the column 'user', got the columns kind"),
        ({"stratify": "user"}, "need the column 'user', got the columns kind"),
        ({"by": "kind"}, "need its value in every row, got 2 rows without"),
        ({"by": "cell:0", "fractions": (0.8, 0.1, 0.1)}, "at least 3 separate groups, got 1 "),
    ],
)
def test_what_cannot_be_is_one_sentence(settings_: dict[str, object], words: str) -> None:
    latlon = 50 + spread(6) / 1000
    with pytest.raises(ValueError, match=words):
        make_splits(ids_of(6), latlon, columns={"kind": ["a", "b", "", "c", None, "d"]}, **settings_)


def test_the_protocol_says_how_splits_were_drawn() -> None:
    assert protocol_of("cell:3", None, 0) == "by cell:3"
    assert protocol_of("user", None, 2.5) == "by column user, buffer 2.5 km"
    assert make_splits(ids_of(9), spread(9)).protocol == "by location"
    require_by("user", "country", 5)


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20),
    n_marks=st.integers(1, 2),
)
def test_rows_that_share_anything_are_connected(rows: list[tuple[int, int, int]], n_marks: int) -> None:
    table = np.array(rows)
    codes = np.unique(table[:, 0], return_inverse=True)[1]
    marks = [np.unique(table[:, 1 + i], return_inverse=True)[1] for i in range(n_marks)]
    group = list(range(int(codes.max()) + 1))
    for _ in group:  # the least location that any row leads to, until nothing changes
        for a in range(len(codes)):
            for b in range(len(codes)):
                if codes[a] == codes[b] or any(mark[a] == mark[b] for mark in marks):
                    least = min(group[codes[a]], group[codes[b]])
                    group[codes[a]] = group[codes[b]] = least
    numbers = {least: number for number, least in enumerate(sorted(set(group)))}
    assert _connected(codes, marks).tolist() == [numbers[least] for least in group]
