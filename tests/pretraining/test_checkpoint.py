import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from geocell.pretraining.checkpoint import Progress, read_state, write_state

FACTS = {"settings": {"lr": 1e-6, "epochs": 3}, "captions": "abc"}
DONE = Progress(2, 5, 3.5, 40, {"a.jpg": "no such file"}, [{"epoch": 1, "train_loss": 0.5}])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    tensors = {"weight.a": torch.arange(3.0), "random": torch.get_rng_state()}
    write_state(tmp_path / "state", DONE, tensors, FACTS)
    progress, found = read_state(tmp_path / "state", FACTS)
    assert progress == DONE
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_the_state_of_another_training(tmp_path: Path) -> None:
    write_state(tmp_path / "state", DONE, {}, FACTS)
    with pytest.raises(ValueError, match="of another training, with other captions: train with the same, or remove"):
        read_state(tmp_path / "state", {**FACTS, "captions": "xyz"})


def test_another_format(tmp_path: Path) -> None:
    save_file({}, tmp_path / "state", {"pretraining": json.dumps({"format": 9, "facts": FACTS, "progress": {}})})
    with pytest.raises(ValueError, match="is of format 9, this geocell reads 1"):
        read_state(tmp_path / "state", FACTS)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
notes = st.one_of(
    values,
    st.fixed_dictionaries({"format": st.just(1), "facts": values, "progress": values}),
    st.fixed_dictionaries(
        {
            "format": st.just(1),
            "facts": st.just(FACTS),
            "progress": st.fixed_dictionaries(dict.fromkeys(vars(DONE), values)),
        }
    ),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(note=notes)
def test_a_damaged_note_is_one_sentence(tmp_path: Path, note: Any) -> None:
    save_file({}, tmp_path / "state", {"pretraining": json.dumps(note)})
    try:
        progress, _ = read_state(tmp_path / "state", FACTS)
    except ValueError as error:
        assert "state" in str(error)
    else:
        assert progress.epoch >= 1
        assert progress.step >= 0


def test_a_state_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="a training that goes on needs the file state, and there is none in"):
        read_state(tmp_path / "state", FACTS)
