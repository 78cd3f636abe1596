from pathlib import Path

import pytest

from geocell.files import DamagedFileError, new_folder, read_json, reading, require_new, require_types, write_json


def test_json_round_trip_and_format(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"format": 1, "x": 0.1 + 0.2, "name": "Łódź"})
    assert read_json(path, "a thing") == {"format": 1, "x": 0.30000000000000004, "name": "Łódź"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"format": 2}', "format 2, and this geocell reads format 1"), ("{", "syntax error"), ("[]", "got list")],
)
def test_other_formats_and_broken_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "a.json", "a thing")


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"a thing needs the file a\.json"):
        read_json(tmp_path / "a.json", "a thing")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"there is none in {tmp_path}: check the folder"):
        read_json(Path("a.json"), "a thing")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), new_folder(out) as folder:
        (folder / "x").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with new_folder(out) as folder:
        (folder / "x").write_text("1")
        assert not out.exists()
    assert (out / "x").read_text() == "1"


def test_an_existing_folder_is_replaced_only_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with new_folder(out) as folder:  # an empty folder is no output
        (folder / "x").write_text("1")
    with pytest.raises(FileExistsError, match="--overwrite"), new_folder(out):
        pass
    with new_folder(out, overwrite=True) as folder:
        (folder / "y").write_text("2")
    assert [p.name for p in out.iterdir()] == ["y"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_failed_replacement_keeps_the_old(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_folder(out) as folder:
        (folder / "x").write_text("1")
    with pytest.raises(RuntimeError), new_folder(out, overwrite=True):
        raise RuntimeError
    assert (out / "x").read_text() == "1"
    require_new(tmp_path / "other", overwrite=False)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "a file must be a JSON object, got list of 0: copy it again"),
        ({}, "a file must have 'n', a whole number, and lacks it: copy it again"),
        ({"n": 1.5, "x": 1}, "a file must have a whole number as 'n', got 1.5: copy it again"),
        ({"n": True, "x": 1}, "a file must have a whole number as 'n', got true"),
        ({"n": 1, "x": float("inf")}, "a file must have a number or null as 'x', got Infinity"),
        ({"n": 1, "x": "a" * 99}, f'got "{"a" * 59}…: copy'),
    ],
)
def test_values_of_another_type_are_refused(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_types(value, {"n": int, "x": (float, type(None))}, "a file")
    require_types({"n": 1, "x": None, "more": 1}, {"n": int, "x": (float, type(None))}, "a file")


def test_what_python_says_of_a_damaged_file_is_one_sentence() -> None:
    with (
        pytest.raises(
            ValueError, match=r"a\.json must be a thing, got something else or a damaged file \(KeyError: 'x'\)"
        ),
        reading("a.json", "a thing"),
    ):
        {}["x"]
    with pytest.raises(ValueError, match=r"^inner$"), reading("a.json", "a thing"):
        raise DamagedFileError("inner")
    with pytest.raises(FileNotFoundError, match=r"^missing$"), reading("a.json", "a thing"):
        raise FileNotFoundError("missing")
