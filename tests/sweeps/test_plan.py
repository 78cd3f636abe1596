"""What a sweep fits: rows from recipes and sweep files, their starts, partitions and seeds, and every refusal."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocell.heads.fit_config import FitConfig
from geocell.sweeps.plan import SweepConfig, fits_of, read_rows
from geocell.sweeps.results import SweepResult, results_csv
from tests.damage import damaged_value

ROOT = Path(__file__).resolve().parents[2]


def recipe(folder: Path, name: str, text: str) -> Path:
    path = folder / "heads" / name / "recipe.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder with two partitions and a two-stage recipe."""
    for name in ("one", "two"):
        (tmp_path / "partitions" / name).mkdir(parents=True)
        (tmp_path / "partitions" / name / "recipe.toml").write_text('[partition]\nkind = "h3"\n')
    recipe(tmp_path, "first", '[head]\npartition = "one"\n[fit]\nseed = 44\n[published]\nbalscore = 62.1\n')
    recipe(tmp_path, "second", '[head]\npartition = "one"\ninit = "first"\n[fit]\nhaversine = 0.05\n')
    return tmp_path


def test_the_published_rows_are_read_with_their_starts_first() -> None:
    rows = read_rows(sorted((ROOT / "heads").glob("*/recipe.toml")))
    names = [row.name for row in rows]
    assert len(rows) == 13
    assert names.index("v12_seed_44") < names.index("v13_lambda_0.05")
    assert {row.partition.parent for row in rows} == {ROOT / "partitions"}
    fits = {fit.name: fit for fit in fits_of(rows)}
    assert fits["v13_lambda_0.05-seed0"].init is fits["v12_seed_44-seed44"]
    assert fits["v13_lambda_0.05-seed0"].row.published["balscore"] == 63.1


def test_a_start_joins_from_the_folder_beside(world: Path) -> None:
    rows = read_rows([world / "heads/second/recipe.toml"])
    assert [row.name for row in rows] == ["first", "second"]
    fits = fits_of(rows, SweepConfig(seeds=(3, 5), device="cpu"))
    assert [fit.name for fit in fits] == ["first-seed3", "first-seed5", "second-seed3", "second-seed5"]
    assert fits[3].init is fits[1]
    assert fits[3].config == FitConfig(haversine=0.05, seed=5, device="cpu")


def test_a_sweep_file_is_every_config_on_every_partition(world: Path) -> None:
    file = world / "sweep.toml"
    file.write_text(
        '[sweep]\npartitions = ["one", "partitions/two"]\nseeds = [1, 2]\n[fit]\nepochs = 5\n'
        '[configs.ce]\n[configs.late]\ninit = "ce"\nepochs = 2\n'
    )
    rows = {row.name: row for row in read_rows([file])}
    assert list(rows) == ["one-ce", "one-late", "two-ce", "two-late"]
    assert (rows["two-late"].init, rows["two-late"].config.epochs, rows["two-ce"].config.epochs) == ("two-ce", 2, 5)
    assert [fit.name for fit in fits_of(list(rows.values()))][:2] == ["one-ce-seed1", "one-ce-seed2"]
    file.write_text('[sweep]\npartitions = ["one"]\n')
    assert [fit.name for fit in fits_of(read_rows([file]))] == ["one-seed0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sweep]\n", r"partitions must be a list of folders of partitions, got \[\]"),
        ('[sweep]\npartitions = ["one"]\nseed = 1\n', r"must have keys among partitions, seeds, got seed\."),
        ('[sweep]\npartitions = ["one"]\nseeds = [1.5]\n', r"seeds must be a list of different whole .*, got \[1\.5\]"),
        ('[sweep]\npartitions = ["one"]\nseeds = [0, 0]\n', r"must be a list of different whole .*, got \[0, 0\]"),
        ('[sweep]\npartitions = ["one"]\nseeds = [-1]\n', r"must be a list of different .* at least 0, got \[-1\]"),
        ('[sweep]\npartitions = ["one"]\n[fit]\nepoch = 1\n', r"sweep\.toml \[fit\] must have keys among .*got epoch"),
        ('[sweep]\npartitions = ["one"]\n[configs.a]\nepoch = 1\n', r"\[configs\.a\] must have keys among .*got epoch"),
        ('[sweep]\npartitions = ["one"]\n[configs]\na = 1\n', r"must have a table for every config, got a = 1"),
        ('[sweep]\npartitions = ["one"]\n[configs."a/b"]\nepochs = 1\n', r"must name configs by letters, .*got 'a/b'"),
        ('[sweep]\npartitions = ["one"]\n[configs.a]\ninit = "b"\n', r"init must name a row of the sweep .*'one-b'"),
        ('[sweep]\npartitions = ["one"]\n[configs.a]\ninit = "a"\n', r"start from itself, got one-a <- one-a"),
        ('[sweep]\npartitions = ["one"]\n[published]\nx = 1\n', r"must have tables among sweep, fit, configs"),
        ("[fit]\nepochs = 2\n", r"\[head\] must name the partition of its fit"),
        ("[head]\npartition = 3\n", r"\[head\] partition must be a text, got 3"),
        ('[head]\npartition = "a\\nb"\n', r"\[head\] partition must be a name of at most 500 .* shown, got 'a\\nb'"),
        (f'[sweep]\npartitions = ["{"x" * 600}"]\n', r"\[sweep\] partitions must be a name of at most 500 characters"),
        (f'[head]\npartition = "one"\n[fit]\n{"x" * 600} = 1\n', r"must have keys among epochs, .*, got x+ … x+"),
        ('[head]\npartition = "one"\ninit = ["a"]\n', r"\[head\] init must be a text, got \['a'\]"),
        ('[sweep]\npartitions = ["one"]\n[fit]\ninit = ["a"]\n', r"init must be a text, got \['a'\]"),
        ('[head]\npartition = "one"\n[published]\nbalscore = "62"\n', r"\[published\] balscore must be a .*, got '62'"),
        ('[head]\npartition = "one"\n[published]\ncells = nan\n', r"\[published\] cells must be a .*number, got nan"),
        ('[sweep]\npartitions = ["one"]\nseeds = [9223372036854775808]\n', r"TOML|seeds must be a list of different"),
    ],
)  # fmt: skip
def test_bad_files_are_refused(world: Path, text: str, message: str) -> None:
    (world / "sweep.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_rows([world / "sweep.toml"])


def test_a_start_is_named_as_its_row(world: Path) -> None:
    third = recipe(world, "third", '[head]\npartition = "one"\ninit = "first/"\n')
    with pytest.raises(ValueError, match=r"init must be the name of a row, got 'first/' in 'third': write 'first'\."):
        read_rows([third])


def test_what_is_missing_is_named(world: Path) -> None:
    with pytest.raises(ValueError, match="a sweep needs at least one recipe"):
        read_rows([])
    with pytest.raises(FileNotFoundError, match=r"there is none at .*nowhere"):
        read_rows([world / "nowhere.toml"])
    with pytest.raises(FileNotFoundError, match="fitted on the partition 'three', and no folder of that name"):
        read_rows([recipe(world, "third", '[head]\npartition = "three"\n')])
    with pytest.raises(ValueError, match="every row of a sweep needs its own name, got 'first' twice"):
        read_rows([world / "heads/first/recipe.toml"] * 2)


def test_the_way_it_is_run_is_checked() -> None:
    with pytest.raises(ValueError, match="jobs must be a whole number of at least 0, got -1"):
        SweepConfig(jobs=-1)
    with pytest.raises(ValueError, match=r"seeds must be different from each other, got \[1, 1\]"):
        SweepConfig(seeds=(1, 1))
    for seed in (-1, 2**63):
        with pytest.raises(ValueError, match=rf"seeds must be from 0 to 9223372036854775807, got \[{seed}\]"):
            SweepConfig(seeds=(seed,))
    with pytest.raises(ValueError, match="decode must be one of"):
        SweepConfig(decode="best")


SWEEP = {
    "sweep": {"partitions": ["one", "two"], "seeds": [0, 1]},
    "fit": {"epochs": 3},
    "configs": {"ce": {}, "late": {"init": "ce", "epochs": 2}},
}
HEAD = {"head": {"partition": "one", "init": "first"}, "fit": {"seed": 4}, "published": {"balscore": 62.1, "cells": 5}}


def toml(value: object) -> str:
    """Return a value as TOML writes it in a line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, float):
        return repr(value)
    return "nothing" if value is None else json.dumps(value)


@pytest.mark.parametrize("content", [SWEEP, HEAD], ids=["sweep", "head"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_to_a_recipe_is_a_clean_error(world: Path, content: dict[str, object], data: st.DataObject) -> None:
    path = world / "heads" / "damaged" / "recipe.toml"
    path.parent.mkdir(exist_ok=True)
    changed = data.draw(damaged_value(content))
    items = changed.items() if isinstance(changed, dict) else [("x", changed)]
    text = "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in items)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        rows = read_rows([path])
    except (ValueError, OSError) as error:
        assert str(error)
    else:
        fits = fits_of(rows)
        assert len({fit.name for fit in fits}) == len(fits)
        result = SweepResult(world, fits, {}, dict.fromkeys((row.name for row in rows), "not today"))
        assert results_csv(result.summary()).count("\n") >= 1 + len(rows)
        assert "not today" in result.text()
        for fit in fits:  # nothing is written elsewhere
            for folder in (world / "out" / "heads" / fit.name, world / "out" / "partitions" / fit.row.partition.name):
                assert os.path.normpath(folder).startswith(f"{world}/out/")
                assert Path(os.path.normpath(folder)).parent.parent == world / "out"
