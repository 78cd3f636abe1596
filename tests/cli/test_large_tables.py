"""Commands give of a table that is read in pieces what they give of the whole table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from geocell.cli import main
from geocell.views import StoredViews, open_views, reading, stored, storing

pytestmark = pytest.mark.skipif(int(pd.__version__.split(".")[0]) < 3, reason="texts are objects before pandas 3")

ROWS = 60


def frame(**columns: object) -> pd.DataFrame:
    """Return views, of which two each show a location and four locations have a coordinate of another one."""
    rng = np.random.default_rng(1)
    latlon = np.round(np.stack((rng.uniform(40, 60, ROWS // 2), rng.uniform(0, 20, ROWS // 2)), axis=1), 4)
    latlon[4:8] = latlon[:4]
    lat, lon = np.repeat(latlon, 2, axis=0).T
    whole = pd.DataFrame(
        {
            "image": [f"{row}.jpg" for row in range(ROWS)],
            "location": [f"l{row // 2}" for row in range(ROWS)],
            "lat": lat,
            "lon": lon,
            "country": [("DE", "FR", None)[row // 2 % 3] for row in range(ROWS)],
            "split": [("train", "val", "test")[min(row // 2 % 4, 2)] for row in range(ROWS)],
            "user": [row // 6 for row in range(ROWS)],
        }
    ).assign(**columns)  # type: ignore[arg-type]
    return whole[[name for name in whole if whole[name].notna().any()]].sample(frac=1, random_state=3)


def with_gaps(name: str, *rows: int) -> list[Any]:
    values = frame().sort_index()[name].tolist()
    return [None if row in rows else value for row, value in enumerate(values)]


TABLES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "a location id per view": {"location": [f"{row}" for row in range(ROWS)]},
    "no ids": {"location": None},
    "no images": {"image": None},
    "commas and quotes in ids": {"location": [f'a,"{row // 2}"; é' for row in range(ROWS)]},
    "integer ids": {"location": [row // 2 for row in range(ROWS)]},
    "integer ids and gaps": {"location": [None if row in (3, 50) else float(row // 2) for row in range(ROWS)]},
    "no coordinates": {"lat": with_gaps("lat", 5, 17, 58), "lon": with_gaps("lon", 5, 30)},
    "no images somewhere": {"image": with_gaps("image", 0, 1, 44)},
    "texts as degrees": {name: with_gaps(name, 8) for name in ("lat", "lon")},
    "commas as points": {
        name: [None if v is None else str(v).replace(".", ",") for v in with_gaps(name, 8)] for name in ("lat", "lon")
    },
    "mixed types elsewhere": {"user": [7 if row < 50 else "x" for row in range(ROWS)]},
    "no country": {"country": None},
    "our own names": {"status": "s", "problem": "p"},
    "an empty split": {"split": with_gaps("split", 9)},
    "a split per view": {"split": [("train", "test")[row % 2] for row in range(ROWS)]},
}

REFUSED: dict[str, dict[str, Any]] = {
    "a bad number": {"lat": ["north" if row == 41 else "50.5" for row in range(ROWS)]},
    "out of range": {"lat": [97.0 if row == 41 else 50.5 for row in range(ROWS)], "lon": 170.0},
    "swapped": {"lat": [97.0 if row == 41 else 50.5 for row in range(ROWS)], "lon": 7.0},
    "far apart": {"lon": [19.0 if row == 41 else 5.0 for row in range(ROWS)]},
    "two latitudes": {"latitude": 7.0},
    "nothing anywhere": {"lat": None, "latitude": [None] * (ROWS - 1) + ["NA"]},
}

COMMANDS = {
    "split": "split {table} --out {out} --json",
    "split --from-column": "split {table} --from-column --out {out} --json",
    "split --by": "split {table} --by user --stratify country --out {out} --json",
    "split --buffer-km": "split {table} --buffer-km 30 --fractions 0.5 0.5 0 --out {out}",
    "partition": "partition kdtree --max-count 9 --min-count 1 --table {table} --out {out} --json",
    "audit": "audit {folder}/cells --table {table} --by-country --json",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder with a partition."""
    where = tmp_path_factory.mktemp("large")
    frame().to_csv(where / "all.csv", index=False)
    assert main(f"partition kdtree --max-count 9 --table {where}/all.csv --out {where}/cells --json".split()) == 0
    yield where


def results(command: str, table: Path, folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Any, ...]:
    """Return the status, what is printed, and the bytes of what is written."""
    capsys.readouterr()
    status = main([word.format(table=table, folder=folder, out=out) for word in command.split()])
    printed = capsys.readouterr()
    files = [out] if out.is_file() else sorted(path for path in out.rglob("*") if path.is_file())
    written = {path.relative_to(out.parent).as_posix(): path.read_bytes() for path in files}
    for path in files:
        path.unlink()
    if out.is_dir():
        out.rmdir()
    return status, printed.out, printed.err, written


def cases() -> Iterator[Any]:
    """Yield a table, a command and a kind of file: every table by every command, half of them as CSV."""
    for i, name in enumerate(TABLES):
        for j, command in enumerate(COMMANDS):
            suffix = (
                "csv" if (i + j) % 2 or name == "mixed types elsewhere" else "parquet"
            )  # no Parquet file holds these
            yield pytest.param(TABLES[name], command, suffix, id=f"{name}, {command}, {suffix}")


def both(
    columns: dict[str, Any],
    command: str,
    suffix: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the results of a command with the whole table and with pieces of it."""
    table, out = tmp_path / f"t.{suffix}", tmp_path / "out"
    whole = frame(**columns)
    if suffix == "csv":
        whole.to_csv(table, index=False)
    else:
        whole.to_parquet(table)
    expected = results(COMMANDS[command], table, folder, out, capsys)
    for module in (stored, storing, reading):
        monkeypatch.setattr(module, "PIECE", 7)
    monkeypatch.setattr(reading, "LARGE_ROWS", 0)
    monkeypatch.setattr(reading, "LARGE_BYTES", 0)
    opened = []

    def open_and_note(*args: Any, **kwargs: Any) -> Any:
        opened.append(open_views(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr("geocell.views.open_views", open_and_note)
    found = results(COMMANDS[command], table, folder, out, capsys)
    assert opened or expected[0]
    assert all(isinstance(views, StoredViews) for views in opened) or "user" in columns
    return found, expected


@pytest.mark.parametrize(("columns", "command", "suffix"), list(cases()))
def test_a_table_in_pieces_gives_the_same(
    columns: dict[str, Any],
    command: str,
    suffix: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, expected = both(columns, command, suffix, folder, tmp_path, capsys, monkeypatch)
    assert found == expected
    if command in {"split", "partition"}:
        assert found[0] == 0


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_table_in_pieces_is_refused_in_the_same_words(
    name: str,
    suffix: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, expected = both(REFUSED[name], "split", suffix, folder, tmp_path, capsys, monkeypatch)
    assert found == expected
    assert found[0] == 1
    assert found[2].count("\n") == 1
