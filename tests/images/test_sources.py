"""Bytes of images: paths, tars, Parquet rows and saved datasets, in this process and in another."""

import pickle
import struct
import tarfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from geocell.images import sources as image_sources
from geocell.images.sources import DatasetImages, FileImages, ImageSource, ParquetImages, TarImages

CONTENTS = [f"image {i}".encode() * (i + 1) for i in range(50)]


def files(folder: Path) -> tuple[ImageSource, list[str]]:
    for i, content in enumerate(CONTENTS):
        (folder / f"{i}.jpg").write_bytes(content)
    return FileImages(str(folder)), [f"{i}.jpg" for i in range(50)]


def tar(folder: Path) -> tuple[ImageSource, list[str]]:
    files(folder)
    with tarfile.open(folder / "s.tar", "w") as archive:
        for i in range(50):
            archive.add(folder / f"{i}.jpg", f"{i}.jpg")
    with tarfile.open(folder / "s.tar") as archive:
        found = {m.name: m for m in archive}
    members = [f"s.tar::{i}.jpg@{found[f'{i}.jpg'].offset_data}+{len(CONTENTS[i])}" for i in range(50)]
    return TarImages(str(folder)), members


def rows(folder: Path) -> tuple[ImageSource, list[str]]:
    cells = [{"bytes": content, "path": None} for content in CONTENTS]
    parquet.write_table(pa.table({"image": cells}), folder / "p.parquet", row_group_size=20)
    return ParquetImages(str(folder), "image"), [f"p.parquet::{i}" for i in range(50)]


def remote(folder: Path) -> tuple[ImageSource, list[str]]:
    files(folder)
    return FileImages(folder.as_uri()), [f"{i}.jpg" for i in range(50)]


def dataset(folder: Path) -> tuple[ImageSource, list[str]]:
    datasets = pytest.importorskip("datasets")
    value = datasets.Dataset.from_dict(
        {"photo": [{"bytes": content, "path": None} for content in CONTENTS]},
        features=datasets.Features({"photo": datasets.Image()}),
    )
    value.save_to_disk(folder / "saved")
    return DatasetImages(str(folder / "saved"), "photo"), [f"::{i}" for i in range(50)]


def test_a_tar_file_and_a_member_may_have_colons_in_their_names(tmp_path: Path) -> None:
    (tmp_path / "a::b").mkdir()
    for shard in ("a::b/s.tar", "plain"):
        (tmp_path / shard).write_bytes(b"..image..")
    images = TarImages(str(tmp_path))
    assert images.read("a::b/s.tar::c::d.jpg@2+5") == b"image"
    assert images.read("plain::c::d.jpg@2+5") == b"image"


@pytest.mark.parametrize("make", [files, tar, rows, remote, dataset])
def test_every_source_gives_the_bytes_in_any_order(tmp_path: Path, make: object) -> None:
    source, references = make(tmp_path)  # type: ignore[operator]
    again = pickle.loads(pickle.dumps(source))  # noqa: S301 - its own
    assert again == source
    assert [again.read(reference) for reference in references] == CONTENTS
    assert source.at_once == 1
    for i in (49, 3, 3, 20, 19, 45, 0):
        assert source.read(references[i]) == CONTENTS[i]


def test_another_process_reads_the_same(tmp_path: Path) -> None:
    source, references = rows(tmp_path)
    assert source.read(references[40]) == CONTENTS[40]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(source.read, references[30:34])) == CONTENTS[30:34]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a", "^Is a directory$"),
        ("\0", "null"),
        ("b.jpg/c", "^Not a directory$"),
        ("nonsense://x", "^URLs of the scheme 'nonsense' are not opened$"),
    ],
)
def test_what_cannot_be_read_says_so(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b.jpg").write_bytes(b"b")
    with pytest.raises(OSError, match=words):
        FileImages(str(tmp_path)).read(name)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    for root in (str(tmp_path), tmp_path.as_uri()):
        with pytest.raises(FileNotFoundError, match=r"x\.jpg"):
            FileImages(root).read("x.jpg")


def test_files_of_absurd_size_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.jpg").write_bytes(b"12345")
    monkeypatch.setattr(image_sources, "MAX_FILE_BYTES", 4)
    with pytest.raises(OSError, match=r"^too large: 5 bytes$"):
        FileImages(str(tmp_path)).read("b.jpg")


def test_a_negative_size_is_not_the_rest_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar(tmp_path)
    monkeypatch.setattr(image_sources, "MAX_FILE_BYTES", 4)
    with pytest.raises(OSError, match=r"^no size of a file: -1 bytes$"):
        TarImages(str(tmp_path)).read("s.tar::0.jpg@0+-1")


def test_a_shard_that_was_cut(tmp_path: Path) -> None:
    source, references = tar(tmp_path)
    start = int(references[1].split("@")[1].split("+")[0])
    (tmp_path / "s.tar").write_bytes((tmp_path / "s.tar").read_bytes()[: start + 6])
    with pytest.raises(OSError, match=r"^the tar file ends after 6 of 14 bytes of this image$"):
        source.read(references[1])


def test_rows_without_an_image_and_rows_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "beside.jpg").write_bytes(b"beside")
    cells = [{"bytes": None, "path": "beside.jpg"}, {"bytes": None, "path": None}, None, {"bytes": b"x", "path": "y"}]
    parquet.write_table(pa.table({"image": cells}), tmp_path / "p.parquet")
    parquet.write_table(pa.table({"jpg": [b"raw", b"bytes"]}), tmp_path / "raw.parquet")
    source = ParquetImages(str(tmp_path), "image")
    assert source.read("p.parquet::0") == b"beside"
    for row, words in ((1, "no image in this row"), (2, "no image in this row"), (4, "the file has 4 rows")):
        with pytest.raises(OSError, match=words):
            source.read(f"p.parquet::{row}")
    assert source.read("p.parquet::3") == b"x"
    assert ParquetImages(str(tmp_path), "jpg").read("raw.parquet::1") == b"bytes"


@settings(max_examples=100)
@given(st.data())
def test_mutated_parquet_files_give_bytes_or_an_error_of_one_line(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        source, references = rows(Path(folder))
        path = Path(folder) / "p.parquet"
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        for reference in (references[0], references[45], references[20]):
            try:
                assert isinstance(source.read(reference), bytes)
            except OSError as error:
                assert "\n" not in str(error)


def test_a_damaged_offset_of_a_saved_dataset_is_no_end_of_the_process(tmp_path: Path) -> None:
    source, references = dataset(tmp_path)
    (path,) = (tmp_path / "saved").glob("*.arrow")
    content, last = path.read_bytes(), struct.pack("<ii", len(b"".join(CONTENTS[:49])), len(b"".join(CONTENTS)))
    assert content.count(last) == 1
    path.write_bytes(content.replace(last, struct.pack("<ii", 0, 1 << 30)))
    with pytest.raises(ValueError, match=r"must be a folder that `save_to_disk` wrote, got: .*[Oo]ffset"):
        source.read(references[-1])


@pytest.mark.parametrize("saved", [{"type": "numpy"}, {"columns": ["n"]}])
def test_a_dataset_that_was_saved_with_a_format(tmp_path: Path, saved: dict[str, object]) -> None:
    datasets = pytest.importorskip("datasets")
    photos = [{"bytes": content, "path": None} for content in CONTENTS[:2]]
    features = datasets.Features({"photo": datasets.Image(), "n": datasets.Value("int64")})
    made = datasets.Dataset.from_dict({"photo": photos, "n": [0, 1]}, features=features)
    made.with_format(**saved).save_to_disk(tmp_path / "saved")
    source = DatasetImages(str(tmp_path / "saved"), "photo")
    assert [source.read(f"::{row}") for row in range(2)] == CONTENTS[:2]
