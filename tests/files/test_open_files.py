"""A process that has no file left says so, instead of blaming the file that it was about to read."""

import errno
import os
import pickle
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from geocell.features.shards import map_shard, read_header, shard_path, write_shard
from geocell.features.views_file import ViewsFile
from geocell.files import DamagedFileError, TooManyOpenError, is_out_of_files, require_open_files, too_many_open
from geocell.files.tensors import read_tensors


@contextmanager
def no_file_left() -> Iterator[None]:
    """Take every descriptor of this process that it may still have, of a low limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - names of numbers
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, hard))
        try:
            while True:
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            assert error.errno == errno.EMFILE
        yield


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    write_shard(tmp_path, 0, np.ones((3, 2), np.float16), {})
    return shard_path(tmp_path, 0)


READERS: dict[str, Callable[[Path], object]] = {
    "read_header": read_header,
    "map_shard": lambda path: map_shard(path, (3, 2)),
    "read_tensors": lambda path: read_tensors(path, "tensors", lambda *_: None),
    "ViewsFile": ViewsFile,
}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")
@pytest.mark.parametrize("name", READERS)
def test_a_file_is_not_blamed_for_the_limit(name: str, shard: Path) -> None:
    with suppress(DamagedFileError):  # it is no Parquet file; what readers import is there from now on
        READERS[name](shard)
    with no_file_left(), pytest.raises(OSError, match="too many files are open already") as caught:
        READERS[name](shard)
    assert not isinstance(caught.value, DamagedFileError)
    text = str(caught.value)
    assert text.startswith(f"{shard} must be opened, ")
    assert "encode" not in text
    assert "again: " not in text


def test_the_advice_is_more_than_the_limit() -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    text = str(too_many_open("a"))
    assert f"this process may have {limit:,}: raise the limit, with `ulimit -n {max(4096, 4 * limit)}` say" in text


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (OSError(errno.EMFILE, "x"), True),
        (OSError(errno.ENFILE, "x"), True),
        (OSError(errno.ENOENT, "x"), False),
        (ValueError("Too many open files"), False),
    ],
)
def test_errors_of_the_limit(error: Exception, is_one: bool) -> None:
    assert is_out_of_files(error) == is_one


def raised_from(error: BaseException, cause: BaseException | None) -> BaseException:
    error.__cause__ = cause
    return error


def test_the_limit_is_found_behind_other_errors() -> None:
    limit = OSError(errno.EMFILE, "x")
    require_open_files(raised_from(ValueError("no image"), OSError(errno.ENOENT, "x")), "a")
    with pytest.raises(TooManyOpenError, match=r"^a must be opened") as caught:
        require_open_files(raised_from(ValueError("failed"), raised_from(RuntimeError("it"), limit)), "a")
    assert str(caught.value.__cause__) == "failed"
    unexpected = KeyError("x")
    unexpected.__context__ = limit  # raised while the other was handled
    with pytest.raises(TooManyOpenError):
        require_open_files(unexpected, "a")
    unexpected.__suppress_context__ = True  # raised from None
    require_open_files(unexpected, "a")


def test_the_error_passes_from_process_to_process() -> None:
    there = pickle.loads(pickle.dumps(too_many_open("a")))  # noqa: S301 - made here
    assert type(there) is TooManyOpenError
    assert str(there) == str(too_many_open("a"))
