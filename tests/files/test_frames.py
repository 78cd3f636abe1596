"""Tables of Arrow are checked before they become DataFrames."""

import pyarrow as pa
import pytest

from geocell.files import validated_frame


def test_a_valid_table_is_the_frame() -> None:
    frame = validated_frame(pa.table({"a": [1, 2], "b": ["x", None]}))
    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "column",
    [
        pa.Array.from_buffers(pa.utf8(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xff")]),
        pa.Array.from_buffers(pa.utf8(), 2, [None, pa.py_buffer(b"\0\0\0\0\xff\0\0\0\2\0\0\0"), pa.py_buffer(b"ab")]),
    ],
    ids=["no text", "an offset beyond the column"],
)
def test_what_arrow_did_not_look_at_is_refused(column: pa.Array) -> None:
    with pytest.raises(pa.ArrowInvalid, match=r"UTF8|offset|Length"):
        validated_frame(pa.table({"a": column}))
