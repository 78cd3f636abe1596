"""Arrays made for Arrow and read from it are those that pyarrow makes with pandas, and pandas is not imported."""

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.files.arrow import arrow_bytes, arrow_mask, arrow_rows, binary_texts, is_text, numpy_values

KINDS = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.float64(): st.floats(allow_nan=False),
    pa.float32(): st.floats(width=32, allow_nan=False),
    pa.bool_(): st.booleans(),
}

CODE = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise AssertionError("pandas is imported")
sys.meta_path.insert(0, Blocked())
import pyarrow as pa
from geocell.files.arrow import arrow_bytes, arrow_mask, arrow_rows, is_text, numpy_values
texts = arrow_bytes([b"ok", b"", b"ok"]).cast(pa.string())
numbers = arrow_rows([2, 0])
print(is_text(pa.chunked_array([texts]), "ok"), numpy_values(numbers), numpy_values(arrow_mask([True, False])))
print(texts.take(numbers).to_pylist(), texts.filter(arrow_mask([False, True, True])).to_pylist())
"""


@given(data=st.data(), kind=st.sampled_from(list(KINDS)))
def test_values_are_those_of_arrow(data: st.DataObject, kind: pa.DataType) -> None:
    parts: list[list[Any]] = data.draw(st.lists(st.lists(KINDS[kind], max_size=20), max_size=3))
    column = pa.chunked_array([pa.array(part, kind) for part in parts], kind)
    first = data.draw(st.integers(0, len(column)))
    for found in (column, column.slice(first)):
        values = numpy_values(found)
        assert values.dtype == kind.to_pandas_dtype()
        assert values.tolist() == found.to_pylist()


def test_texts_of_any_type_are_bytes() -> None:
    texts = pa.array(["b", "", "é\0"])
    for column in (texts, texts.cast(pa.large_string()), texts.dictionary_encode(), texts.cast(pa.binary())):
        for piece in (column, pa.chunked_array([column])):
            found = binary_texts(piece)
            assert found.type == pa.large_binary()
            assert found.to_pylist() == [b"b", b"", "é\0".encode()]


def test_missing_numbers_are_nan() -> None:
    column = pa.chunked_array([pa.array([1, None, 3])])
    np.testing.assert_array_equal(numpy_values(column), [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(numpy_values(column.chunk(0)), [1.0, np.nan, 3.0])


@given(rows=st.lists(st.integers(-(2**63), 2**63 - 1)), mask=st.lists(st.booleans()), texts=st.lists(st.binary()))
def test_arrays_are_those_of_arrow(rows: list[int], mask: list[bool], texts: list[bytes]) -> None:
    assert arrow_rows(rows).equals(pa.array(rows, pa.int64()))
    assert arrow_mask(mask).equals(pa.array(mask, pa.bool_()))
    assert arrow_bytes(texts).equals(pa.array(texts, pa.large_binary()))
    for array in (arrow_rows(rows), arrow_mask(mask), arrow_bytes(texts)):
        array.validate(full=True)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_texts_are_found_whatever_holds_them(kind: pa.DataType) -> None:
    column = pa.chunked_array([pa.array(["ok", "", "okay"]).cast(kind), pa.array(["ok"]).cast(kind)])
    assert is_text(column, "ok").tolist() == [True, False, False, True]
    assert not is_text(column, "none").any()
    assert is_text(column.slice(4), "ok").tolist() == []


def test_pandas_is_not_imported() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "[ True False  True] [2 0] [ True False]",
        "['ok', 'ok'] ['', 'ok']",
    ], done.stderr
