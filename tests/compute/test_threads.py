"""Work in threads of one core each: the results of all pieces in order, errors too, torch's threads as they were."""

import threading
from collections.abc import Iterator

import pytest
import torch

from geocell.compute.threads import over_cores


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
class TestOverCores:
    def test_results_come_in_order_from_threads_with_one_core_each(self) -> None:
        met = threading.Barrier(2, timeout=30)

        def piece(number: int) -> tuple[int, int, threading.Thread]:
            if number < 2:
                met.wait()  # only two threads get past here
            return number, torch.get_num_threads(), threading.current_thread()

        results = over_cores(piece, range(9), 2)
        assert [number for number, _, _ in results] == list(range(9))
        assert {cores for _, cores, _ in results} == {1}
        assert len({thread for _, _, thread in results}) == 2
        assert threading.current_thread() in {thread for _, _, thread in results}
        assert torch.get_num_threads() == 2

    @pytest.mark.parametrize(("pieces", "threads"), [(1, 2), (5, 1), (0, 2)])
    def test_one_piece_or_one_thread_stays_here(self, pieces: int, threads: int) -> None:
        here = [threading.current_thread()] * pieces
        assert over_cores(lambda _: threading.current_thread(), range(pieces), threads) == here

    @pytest.mark.parametrize("here", [False, True])
    def test_an_error_of_a_piece_is_raised_and_torch_left_as_it_was(self, here: bool) -> None:
        met, main = threading.Barrier(2, timeout=30), threading.current_thread()

        def piece(_: int) -> None:
            met.wait()
            if (threading.current_thread() is main) == here:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            over_cores(piece, range(2), 2)
        assert torch.get_num_threads() == 2
