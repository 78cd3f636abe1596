import json
from pathlib import Path

import pytest

from geocell.files import (
    DamagedFileError,
    documents,
    one_sentence,
    read_json,
    read_recipe_tables,
    reading,
    require_types,
)


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


def test_every_failure_of_a_block_is_one_of_the_file() -> None:
    class LibraryError(Exception):
        """What a library raises that knows no ValueError."""

    for failure in (
        LibraryError("x"),
        RecursionError(),
        OverflowError("y"),
        StopIteration(),
        MemoryError(),
        IndexError(),
    ):
        with pytest.raises(DamagedFileError, match=f"damaged file .{type(failure).__name__}"), reading("a", "a thing"):
            raise failure
    with pytest.raises(ImportError, match=r"^extra$"), reading("a", "a thing"):
        raise ImportError("extra")
    with pytest.raises(DamagedFileError) as caught, reading("a", "a thing"):
        raise ValueError("\x1b]0;title\x07")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("depth", [65, 500, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_json_is_refused(tmp_path: Path, depth: int, opening: str, closing: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(f'{{"format": 1, "x": {opening * depth}1{closing * depth}}}')
    with pytest.raises(DamagedFileError, match="nested at most 64 deep"):
        read_json(path, "a thing")


def test_json_within_the_depth_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(f'{{"format": 1, "x": {"[" * 62}1{"]" * 62}}}')
    assert read_json(tmp_path / "a.json", "a thing")["format"] == 1


def test_large_json_is_refused_before_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"format": 1}')
    assert read_json(path, "a thing", max_bytes=13) == {"format": 1}
    monkeypatch.setattr("json.loads", lambda _: pytest.fail("was parsed"))
    with pytest.raises(DamagedFileError, match="at most 12 bytes"):
        read_json(path, "a thing", max_bytes=12)


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b'{"format": 1, "x": "\xe9"}', b"1" * 5000, b"", b"\0"])
def test_what_is_no_json_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"a\.json"):
        read_json(tmp_path / "a.json", "a thing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 100_000, "nested at most 64 deep"),
        ("[fit]\na = " + "[" * 80 + "]" * 80, "nested at most 64 deep"),
        ("[fit]\n" + "#" * 300_000, "at most 262,144 bytes"),
        ("[fit", "must be TOML"),
        ("[fit]\nx = 1979-99-99", "must be TOML"),
        ("[other]", "tables among fit"),
        ('["\\u001b[31m"]', "got \ufffd"),
    ],
)
def test_recipes_within_bounds_alone_are_read(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_recipe_tables(path, ("fit",))


@pytest.mark.parametrize("content", ["[[],[],[]]", '[{},{"a":0}]', "[0,0,0,0,0]"])
def test_json_of_too_many_items_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """Small text becomes large objects: `[],` are three bytes, and 64 in memory."""
    (tmp_path / "a.json").write_text(f'{{"x": {content}}}')
    assert read_json(tmp_path / "a.json", "a thing", versioned=False)
    monkeypatch.setattr(documents, "_MAX_ITEMS", 4)
    monkeypatch.setattr("json.loads", lambda _: pytest.fail("was parsed"))
    with pytest.raises(DamagedFileError, match="at most 4 items"):
        read_json(tmp_path / "a.json", "a thing", versioned=False)


@pytest.mark.parametrize("value", ["x" * 5000, [0] * 2000, {"a" * 2000: 0}, "a\nb\x1b[31m"])
def test_a_message_about_a_file_is_one_short_line(tmp_path: Path, value: object) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"format": value}))
    with pytest.raises(DamagedFileError, match="is a thing of format") as caught:
        read_json(tmp_path / "a.json", "a thing")
    text = str(caught.value)
    assert len(text) <= 1000
    assert text.isprintable()
    assert text.endswith("or write it again.")


def test_half_of_a_surrogate_pair_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(r'{"a": ["\ud83d\ude00", "\\ud800"]}')
    assert read_json(path, "a thing", versioned=False) == {"a": ["\U0001f600", r"\ud800"]}
    for text in (r'{"a": "\ud800"}', r'{"\uDFFF": 0}'):
        path.write_text(text)
        with pytest.raises(DamagedFileError, match=r"a\.json must hold whole characters, got half of a surrogate pair"):
            read_json(path, "a thing", versioned=False)


def test_a_long_message_of_a_reader_is_shortened_and_others_pass() -> None:
    @one_sentence()
    def read(error: Exception) -> None:
        raise error

    with pytest.raises(DamagedFileError, match=r"^x+ … x+$"):
        read(ValueError("x" * 1001))
    with pytest.raises(DamagedFileError, match=r"^a b$"):
        read(ValueError("a\nb"))
    short, other = ValueError("a"), UnicodeDecodeError("utf-8", b"x" * 2000, 0, 1, "x" * 2000)
    for error in (short, other):
        with pytest.raises(ValueError, match=r"a|x") as caught:
            read(error)
        assert caught.value is error


def test_a_number_beyond_every_float_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(f'{{"format": 1, "a": [-{"9" * 307}, 18446744073709551616]}}')
    assert read_json(tmp_path / "a.json", "a thing")["a"] == [-(10**307 - 1), 1 << 64]
    for digits in (309, 5_000):
        (tmp_path / "a.json").write_text(f'{{"format": 1, "a": [1{"0" * (digits - 1)}]}}')
        with pytest.raises(DamagedFileError, match=rf"a\.json must have numbers of at most 308 digits, got {digits:,}"):
            read_json(tmp_path / "a.json", "a thing")
