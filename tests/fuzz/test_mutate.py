"""Mutations differ from their input, are the same for the same random numbers, and keep the structure of most files."""

import io
import json
import random
import struct
import tarfile
import zipfile

import pytest

from fuzz.guard import Fault
from fuzz.inputs import make_input, read_finding, write_finding
from fuzz.mutate import changed_json, changed_npy, changed_safetensors, changed_tar, changed_zip, mutated
from fuzz.targets import RELEASED, SEEDS

FILES = (
    RELEASED / "splits.json",
    RELEASED / "cache" / "features-00000.safetensors",
    RELEASED / "recipes" / "sweep.toml",
    RELEASED / "published" / "best.pt",
    *sorted((SEEDS / "tables").iterdir()),
    *sorted((SEEDS / "images").iterdir()),
    SEEDS / "features" / "features.npy",
    SEEDS / "training" / "state",
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_most_mutations_differ_and_all_repeat(path: object) -> None:
    content, name = path.read_bytes(), path.name  # type: ignore[attr-defined]
    made = [mutated(content, name, random.Random(seed)) for seed in range(60)]
    assert made == [mutated(content, name, random.Random(seed)) for seed in range(60)]
    assert sum(one != content for one in made) > 45
    assert len(set(made)) > 40


def test_json_stays_json_with_other_values() -> None:
    content = (RELEASED / "splits.json").read_bytes()
    values = [json.loads(changed_json(content, random.Random(seed))) for seed in range(50)]
    assert sum(value != json.loads(content) for value in values) > 40


def test_a_header_of_safetensors_keeps_its_length() -> None:
    content = (SEEDS / "head" / "region.safetensors").read_bytes()
    for seed in range(50):
        made = changed_safetensors(content, random.Random(seed))
        (length,) = struct.unpack("<Q", made[:8])
        json.loads(made[8 : 8 + length])


def test_archives_are_whole() -> None:
    book = (SEEDS / "tables" / "views.xlsx").read_bytes()
    with zipfile.ZipFile(io.BytesIO(changed_zip(book, random.Random(0)))) as archive:
        assert archive.testzip() is None
    shard = (SEEDS / "tables" / "views.tar").read_bytes()
    read = 0
    for seed in range(30):
        made = changed_tar(shard, random.Random(seed))
        try:
            with tarfile.open(fileobj=io.BytesIO(made)) as archive:
                read += len(archive.getnames()) > 0
        except (tarfile.TarError, ValueError, OSError):
            continue
    assert read > 15  # a wrong checksum would end all of them


def test_an_array_says_the_length_of_its_header() -> None:
    content = (SEEDS / "features" / "features.npy").read_bytes()
    for seed in range(30):
        made = changed_npy(content, random.Random(seed))
        assert made.startswith(b"\x93NUMPY")
        assert len(made) >= 10 + struct.unpack("<H", made[8:10])[0]


def test_an_input_is_known_by_its_number_and_a_finding_by_its_file(tmp_path: object) -> None:
    one, again, other = (make_input("splits", 3, number) for number in (7, 7, 8))
    assert one == again
    assert one.files != other.files
    path = write_finding(tmp_path, one, Fault("exception", "text", "splits/splits.py:load"))  # type: ignore[arg-type]
    assert read_finding(path) == one
