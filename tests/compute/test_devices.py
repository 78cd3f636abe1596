"""Names of devices and dtypes."""

import pytest
import torch

from geocell.compute.devices import DTYPES, choose_device, choose_dtype


def test_auto_is_a_device_that_computes() -> None:
    device = choose_device("auto")
    assert torch.ones(2, device=device).sum().item() == 2
    assert choose_device(device) == device
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize(("rank", "device"), [(None, "cuda"), ("3", "cuda:3")])
def test_processes_of_torchrun_have_a_gpu_each(monkeypatch: pytest.MonkeyPatch, rank: str | None, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert choose_device("auto") == device
    assert choose_device("cuda:1") == "cuda:1"


@pytest.mark.parametrize("name", ["tpu", "cuda:0", ""])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"auto or one of cpu on this machine, got '{name}'"):
        choose_device(name)


@pytest.mark.parametrize(
    ("name", "device", "dtype"),
    [
        ("auto", "cpu", torch.float32),
        ("auto", "cuda:1", torch.bfloat16),
        ("auto", "mps", torch.float32),
        ("float32", "cuda", torch.float32),
        ("bfloat16", "cpu", torch.bfloat16),
    ],
)
def test_auto_is_half_precision_on_cuda_alone(name: str, device: str, dtype: torch.dtype) -> None:
    assert choose_dtype(name, device) == dtype


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(ValueError, match=f"dtype must be one of {', '.join(DTYPES)}, got 'float16'"):
        choose_dtype("float16", "cpu")


@pytest.mark.parametrize("name", ["cpu:x", "cpu:", "cuda:2", "cuda:-1"])
def test_a_device_of_no_such_number_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=f"device must be auto or one of .*, got '{name}'"):
        choose_device(name)
    assert choose_device("cuda:1") == "cuda:1"
