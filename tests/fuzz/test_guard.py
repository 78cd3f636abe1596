"""What is a clean error and what a finding."""

import json
from pathlib import Path

import numpy as np
import pytest

from fuzz.guard import Outside, fault_of
from geocell.encoding.imports import _mapped
from geocell.files import DamagedFileError, read_json
from geocell.geo.geodesy import as_latlon
from geocell.partitioners.cells import cells_to_info


def raised(call: object, *arguments: object) -> BaseException:
    try:
        call(*arguments)  # type: ignore[operator]
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_sentences_of_the_package_are_clean(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPYx")
    for error in (
        raised(read_json, tmp_path / "a.json", "a head"),
        raised(read_json, tmp_path / "b.json", "a head"),
        raised(_mapped, tmp_path / "a.npy"),
        raised(as_latlon, [[95.0, 0.0]], "places"),
    ):
        assert fault_of(error) is None


def test_what_others_raise_is_a_finding_with_its_place(tmp_path: Path) -> None:
    foreign = {
        "numpy": raised(np.array, [[1], [1, 2]], float),
        "json": raised(json.loads, "{"),
        "a bug": raised(cells_to_info, None),
        "below the package": raised(as_latlon, [["x", "y"]], "places"),
    }
    for name, error in foreign.items():
        fault = fault_of(error)
        assert fault is not None, name
        assert fault.kind == "exception"
    assert "partitioners/cells.py:cells_to_info" in (fault_of(foreign["a bug"]) or pytest.fail()).where


def planted(error: Exception) -> Exception:
    """Return an error as if a line of the package had raised it."""
    code = compile("raise error", str(Path(read_json.__code__.co_filename)), "exec")
    return raised(exec, code, {"error": error})  # type: ignore[return-value]


def test_messages_are_one_line_of_bounded_length() -> None:
    assert fault_of(planted(ValueError("a.json must be a list, got 3: make it again."))) is None
    for text in ("x" * 1001, "a\nb", "\x1b[31m", "", "Traceback (most recent call last)"):
        fault = fault_of(planted(ValueError(text)))
        assert fault is not None
        assert fault.kind == "message"
    assert fault_of(planted(DamagedFileError("x" * 5000 + "\n"))) is None  # it keeps what can be read


def test_memory_is_found_behind_a_clean_error() -> None:
    behind = DamagedFileError("a.json must be a list: make it again.")
    behind.__cause__ = MemoryError()
    assert (fault_of(planted(behind)) or pytest.fail()).kind == "memory"


def test_what_is_written_outside_is_seen(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "else"
    inside.mkdir()
    guard = Outside(inside)
    with guard.watched():
        (inside / "a").write_text("x")
        (inside / "b").mkdir()
        (inside / "a").read_text()
    assert guard.seen == []
    with guard.watched():
        outside.write_text("x")
        (tmp_path / "c").mkdir()
    assert len(guard.seen) == 2
    assert "else" in guard.seen[0]
