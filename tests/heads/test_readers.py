"""Every reader of a head's folder under mutated files: it reads, or refuses with one sentence that names the file."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocell.evaluation.score import score
from geocell.files import read_json
from geocell.heads.card_file import card_of, read_card
from geocell.heads.card_text import parse_card
from geocell.heads.combination import load_combination
from geocell.heads.config_file import read_history
from geocell.heads.ensemble import load_ensemble
from geocell.heads.folder import read_head
from geocell.heads.trained_on import TrainedOn, location_keys
from geocell.metrics.scores import Scores
from tests.heads.test_combination import complete
from tests.heads.test_damaged_heads import HISTORY, ORIGIN
from tests.heads.test_ensemble import write_earlier_ensemble
from tests.heads.test_head import make_head, random_module, world

DEEP = '{"a":' * 3000
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**30, 10**400, 1e308, -1e308, "", "x", "<!-- end -->", "\ud800", "\x00", [], [[]], {},
    {"a": []},
)  # fmt: skip
FILES = ("config.json", "scores.json", "hashes.json", "history.csv", "README.md", "trained_on.safetensors")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted head with every optional file, an imported one, and an ensemble."""
    folder = tmp_path_factory.mktemp("readers")
    training = {"n_train": 40, "n_val": 4, "best_epoch": 1, "epochs_run": 2}
    head = make_head(training=training, history=HISTORY, trained_on=TrainedOn(location_keys(world())[:5]))
    for name, made in {"fitted": head, "imported": make_head(training={"origin": ORIGIN})}.items():
        made.save(folder / name, scores=score(made, world(), split="test", allow_training=True))
    write_earlier_ensemble(folder / "both", [make_head(), replace(make_head(), module=random_module(1))])
    made = complete()
    made.save(folder / "combined", scores=score(made, world(), split="test", allow_training=True))
    return folder


def mutated(data: bytes, name: str, draw: Any) -> bytes:
    """Return a file with bytes changed, cut, repeated or, in JSON, a value replaced."""
    rng = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311
    how = draw(st.sampled_from(["bytes", "cut", "twice", "value", "value", "lack", "deep"]))
    if how == "deep":
        return DEEP.encode()
    if how in {"value", "lack"} and name.endswith("json"):
        value = json.loads(data)
        place, depth = value, draw(st.integers(1, 4))
        for _ in range(depth):
            keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = rng.choice(keys)
            if _ == depth - 1 or not isinstance(place[key], dict | list):
                if how == "lack":
                    del place[key]
                else:
                    place[key] = draw(st.sampled_from(VALUES))
                break
            place = place[key]
        return json.dumps(value).encode("utf-8", "surrogatepass")
    content = bytearray(data)
    if how == "cut":
        return bytes(content[: rng.randrange(len(content) + 1)])
    if how == "twice":
        return bytes(content + content)
    for _ in range(draw(st.integers(1, 8))):
        content[rng.randrange(len(content))] = rng.choice(b"\x00\xff[]{}\",:-0129e\n<>#&*!'x")
    return bytes(content)


def read_all(folder: Path) -> None:
    """Read all that a push reads, and make the card."""
    parts = read_head(folder)
    path = folder / "scores.json"
    scores = Scores.from_dict(read_json(path, "scores"), str(path)).to_dict()
    card = card_of(parts, scores, before=read_card(folder))
    parse_card(card, "the new card")


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("kind", ["fitted", "imported"])
@given(data=st.data())
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_file_is_read_or_refused(folders: Path, kind: str, hashed: bool, data: st.DataObject) -> None:
    folder = folders / kind
    name = data.draw(st.sampled_from([f for f in (*FILES, "model.safetensors") if (folder / f).exists()]))
    path, hashes = folder / name, folder / "hashes.json"
    before, kept = path.read_bytes(), hashes.read_bytes()
    if not hashed and name != "hashes.json":
        hashes.unlink()
    try:
        path.write_bytes(mutated(before, name, data.draw))
        read_all(folder)
    except (ValueError, FileNotFoundError) as error:
        assert str(folder) in str(error)
        assert "\n" not in str(error)
    finally:
        path.write_bytes(before)
        hashes.write_bytes(kept)


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_list_of_an_ensemble(folders: Path, data: st.DataObject) -> None:
    path = folders / "both" / "ensemble.json"
    before = path.read_bytes()
    try:
        path.write_bytes(mutated(before, path.name, data.draw))
        load_ensemble(path.parent)
    except (ValueError, FileNotFoundError) as error:
        assert str(path.parent) in str(error)
    finally:
        path.write_bytes(before)


YAML = st.recursive(
    st.sampled_from(
        ["3", "x", "''", "2020-99-99", "!!python/object:os.system x", "&a [*a]", "? [1]", "0x", ".inf", "~"]
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=4,
)


@given(
    key=st.sampled_from(
        ["license", "tags", "datasets", "model-index", "eval_results", "to_dict", "base_model", "3", "x"]
    ),
    value=YAML,
)
def test_a_mutated_yaml_block(key: str, value: str) -> None:
    parts = make_head().parts
    try:
        before = parse_card(f"---\n{key}: {value}\n---\nmine\n", "a card")
    except ValueError as error:
        assert str(error).startswith("a card must begin with a YAML block")
        return
    assert "mine" in card_of(parts, None, before=before)


def test_sizes_are_bounded_before_anything_is_parsed(folders: Path, tmp_path: Path) -> None:
    for name, read in {"README.md": read_card, "history.csv": read_history}.items():
        with (tmp_path / name).open("wb") as file:
            file.truncate(1 << 40)  # sparse: it takes no disk, and would take all memory
        with pytest.raises(ValueError, match=rf"{name} must have at most"):
            read(tmp_path)


def test_many_marks_without_an_end_take_no_time_to_refuse() -> None:
    """A pattern that looks for the end from every mark would take minutes here; the test's own time limit tells."""
    card = "<!-- generated: a -->\n" * 40_000
    with pytest.raises(ValueError, match="one of them lacks the other"):
        parse_card(card, "a card")
    with pytest.raises(ValueError, match="one of them lacks the other"):
        parse_card(f"<!-- generated: a -->\n<!-- end -->\n{card}", "a card")


@pytest.mark.parametrize("hashed", [True, False])
@given(data=st.data())
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_file_of_a_combination(folders: Path, hashed: bool, data: st.DataObject) -> None:
    folder = folders / "combined"
    own = ("combination.json", "combination.json", "pool.safetensors", "calibration.json", "neighbours.safetensors")
    name = data.draw(st.sampled_from([*own, "scores.json", "1/config.json", "1/hashes.json"]))
    path, hashes = folder / name, folder / "hashes.json"
    before, kept = path.read_bytes(), hashes.read_bytes()
    if not hashed:
        hashes.unlink()
    try:
        path.write_bytes(mutated(before, name, data.draw))
        made = load_combination(folder)
        scores = Scores.from_dict(read_json(folder / "scores.json", "scores"), str(folder / "scores.json")).to_dict()
        parse_card(card_of(made.parts, scores, before=read_card(folder)), "the new card")
    except (ValueError, FileNotFoundError) as error:
        assert str(folder) in str(error)
        assert "\n" not in str(error)
    finally:
        path.write_bytes(before)
        hashes.write_bytes(kept)
