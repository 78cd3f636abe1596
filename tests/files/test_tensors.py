"""Reading safetensors files of known form."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from geocell.files import DamagedFileError
from geocell.files.tensors import Shapes, read_tensors, tensor_parts


def of_two(metadata: Mapping[str, str], shapes: Shapes) -> None:
    if shapes != {"x": ((2,), "F32")}:
        raise ValueError(f"of {metadata['of']}.")


def test_what_the_check_lets_through_is_read(tmp_path: Path) -> None:
    save_file({"x": np.ones(2, np.float32)}, tmp_path / "t", {"of": "me"})
    metadata, tensors = read_tensors(tmp_path / "t", "a pair", of_two)
    assert metadata == {"of": "me"}
    assert tensors["x"].tolist() == [1.0, 1.0]


def test_several_metadata_have_the_same_bytes_every_time(tmp_path: Path) -> None:
    tensors = {"x": np.ones(2, np.float32), "a": np.arange(3, dtype=np.float16).reshape(1, 3)}
    names = {name: f"of {name} é" for name in "hgfedcba"}
    written = {b"".join(tensor_parts(tensors, names)) for _ in range(10)}
    written.add(b"".join(tensor_parts(tensors, dict(reversed(names.items())))))
    assert len(written) == 1
    (tmp_path / "t").write_bytes(written.pop())
    metadata, found = read_tensors(tmp_path / "t", "a pair", lambda _metadata, _shapes: None)
    assert metadata == names
    assert {name: value.tolist() for name, value in found.items()} == {"x": [1.0, 1.0], "a": [[0.0, 1.0, 2.0]]}


def test_all_else_is_one_sentence(tmp_path: Path) -> None:
    save_file({"x": np.ones(3, np.float32)}, tmp_path / "t", {"of": "me"})
    with pytest.raises(DamagedFileError, match=r"t must be a pair, got a damaged one \(of me\): build it again\.$"):
        read_tensors(tmp_path / "t", "a pair", of_two)
    save_file({"x": np.ones(3, np.float32)}, tmp_path / "t")
    with pytest.raises(DamagedFileError, match=r"a damaged one \('of'\)"):
        read_tensors(tmp_path / "t", "a pair", of_two)
    (tmp_path / "t").write_bytes(b"no tensors")
    with pytest.raises(DamagedFileError, match="must be a pair, got a damaged one"):
        read_tensors(tmp_path / "t", "a pair", of_two)
    with pytest.raises(FileNotFoundError, match="a pair needs the file other"):
        read_tensors(tmp_path / "other", "a pair", of_two)
