"""Settings of a fit: every field is checked, recipes are strict, and the recipes of the repository parse."""

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from geocell.heads.fit_config import FitConfig, fit_config_from_dict, read_recipe

ROOT = Path(__file__).resolve().parents[2]
ROWS = sorted((ROOT / "heads").glob("*/recipe.toml"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0), ("epochs", 1.5), ("epochs", True), ("batch_size", 0), ("lr", 0.0), ("lr", -1.0),
        ("lr", float("nan")), ("lr", float("inf")), ("lr", "fast"), ("weight_decay", -0.1), ("dropout", 1.0),
        ("dropout", -0.1), ("label_smoothing", 1.0), ("haversine", -0.05), ("haversine", float("nan")),
        ("weight_exponent", -1.0), ("weight_exponent", 2.5), ("weight_cap", 0.5), ("weight_cap", float("inf")),
        ("warmup_epochs", -1), ("patience", 0), ("fusion", "mean"), ("decode", "argmax"), ("seed", -1),
        ("seed", None), ("device", "gpu"), ("device", "cuda:first"), ("keep", "first"), ("refit", 1), ("refit", "yes"),
    ],
)  # fmt: skip
def test_every_field_is_checked_and_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be .*got ") as error:
        FitConfig(**{name: value})
    assert str(error.value).count(". ") == 0


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.parent.name)
def test_recipes_mean_the_published_settings_whatever_the_defaults_are(path: Path) -> None:
    recipe = read_recipe(path)
    config = fit_config_from_dict(recipe["fit"], str(path))
    second = "init" in recipe["head"]
    assert (config.epochs, config.keep, config.patience) == (10 if second else 80, "best", 15)
    assert (config.dropout, config.label_smoothing, config.weight_exponent) == (0.3, 0.1, 1.0)
    assert (config.fusion, config.decode, config.refit) == ("feature", "centroid", False)
    assert (config.haversine > 0) == second


def test_every_field_is_documented_for_the_command() -> None:
    docstring = FitConfig.__doc__ or ""
    for field in fields(FitConfig):
        assert f"        {field.name}: " in docstring


def test_whole_numbers_become_floats_so_that_equal_configs_are_equal_json() -> None:
    assert FitConfig(lr=1, weight_decay=0).to_dict() == FitConfig(lr=1.0, weight_decay=0.0).to_dict()
    assert isinstance(FitConfig(lr=1).lr, float)


def test_json_round_trip() -> None:
    config = FitConfig(epochs=10, haversine=0.05, device="cuda:1")
    assert fit_config_from_dict(config.to_dict(), "here") == config


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_a_recipe_states_what_differs(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, "[fit]\nepochs = 10\nhaversine = 0.05\n[published]\nbalscore = 63.1\n"))
    assert fit_config_from_dict(recipe["fit"], "it") == FitConfig(epochs=10, haversine=0.05)
    assert read_recipe(write(tmp_path, "[head]\npartition = 'x'\n")) == {"head": {"partition": "x"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fit]\nepoch = 10\n", r"\[fit\] must have keys among epochs, batch_size, .*got epoch\."),
        ("[fit]\nepochs = 0\n", r"\[fit\]: epochs must be a whole number of at least 1, got 0\."),
        ("[head]\nstart = 'x'\n", r"\[head\] must have keys among partition, init, got start\."),
        ("[fits]\nepochs = 1\n", r"must have tables among head, fit, published, got fits\."),
        ("epochs = 1\n", r"must have tables among .*got epochs\."),
        ("fit = 3\n", r"must have tables among .*got fit\."),
        ("[fit\n", r"must be TOML, got a syntax error"),
    ],
)
def test_bad_recipes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_recipe(write(tmp_path, text))


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a recipe must be a TOML file, and there is none at .*no\.toml\."):
        read_recipe(tmp_path / "no.toml")


def test_there_is_a_recipe_for_each_published_row() -> None:
    assert len(ROWS) == 13


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.parent.name)
def test_the_recipes_of_the_repository(path: Path) -> None:
    recipe = read_recipe(path)
    assert set(recipe) <= {"head", "fit", "published"}
    assert (ROOT / "partitions" / recipe["head"]["partition"] / "recipe.toml").is_file()
    published = recipe["published"]
    assert 0 < published["top1"] < published["balscore"] < 100
    partition = tomllib.loads((ROOT / "partitions" / recipe["head"]["partition"] / "recipe.toml").read_text())
    assert published["cells"] == partition["published"]["cells"]
    stated = recipe.get("fit", {})
    assert all(getattr(FitConfig(), name) != value for name, value in stated.items()), "states a default"
    init = recipe["head"].get("init")
    if init is not None:
        first = read_recipe(ROOT / "heads" / init / "recipe.toml")
        assert first["head"]["partition"] == recipe["head"]["partition"]
        assert recipe["fit"]["epochs"] == 10
