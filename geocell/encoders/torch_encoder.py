"""Base of the built-in encoders: transfer to the device, normalisation there, overlapping batches, no gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.images.transforms import Normalisation, Transform

if TYPE_CHECKING:
    import torch


class TorchEncoder:
    """A frozen torch model with its transform and normalisation; subclasses select the pooled tensor in `forward`.

    Attributes:
        model: the model, on its device.
        device: where it runs.
        dtype: its arithmetic.
        preprocess: picklable transform of one image to bytes.
        normalisation: of those bytes, as the model expects it.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - torch has not typed all that is asked of a module
        info: EncoderInfo,
        preprocess: Transform,
        normalisation: Normalisation,
        *,
        device: str,
        dtype: torch.dtype,
        compile: bool = False,
    ) -> None:
        """Move a model to its device.

        Args:
            model: the model that `forward` uses.
            info: identity of the encoder; its `dtype` is set here.
            preprocess: one image -> (H, W, 3) bytes.
            normalisation: of those bytes, as the model expects it.
            device: an available torch device.
            dtype: arithmetic of the model.
            compile: run `forward` through `torch.compile`.
        """
        import torch

        self.model: Any = model.eval().requires_grad_(False)
        self.model.to(device=device, dtype=dtype, memory_format=torch.channels_last)
        self.device: str = device
        self.dtype: Any = dtype
        self.preprocess: Transform = preprocess
        self._info = replace(info, dtype=str(dtype).removeprefix("torch.") + (", compiled" if compile else ""))
        self._forward = torch.compile(self.forward) if compile else self.forward
        self.normalisation = normalisation
        self._scale = normalisation.scale
        self._mean = torch.tensor(normalisation.mean, device=device)
        self._std = torch.tensor(normalisation.std, device=device)
        self._cuda = device.startswith("cuda")

    @property
    def info(self) -> EncoderInfo:
        """Identity of the encoder."""
        return self._info

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the (B, D) features of (B, 3, H, W) normalised pixels, which are on the device in its dtype."""
        raise NotImplementedError

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (B, D) features of (B, H, W, 3) bytes."""
        return self.start(pixels)()

    def start(self, pixels: NDArray[Any]) -> Callable[[], NDArray[np.float32]]:
        """Start a batch and return a function that waits for its features.

        On CUDA this returns while the device works, so that the next batch can be assembled meanwhile.
        """
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(pixels)
            if self._cuda:
                batch = batch.pin_memory()
            features = self._forward(self._normalised(batch)).float()
            if not self._cuda:
                there = features.cpu().numpy()
                return lambda: there
            host = torch.empty(features.shape, dtype=torch.float32, pin_memory=True)
            host.copy_(features, non_blocking=True)
            done: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(torch.cuda.current_stream(torch.device(self.device)))

        def wait() -> NDArray[np.float32]:
            done.synchronize()
            return np.asarray(host.numpy())

        return wait

    def _normalised(self, batch: torch.Tensor) -> torch.Tensor:
        """Return (B, 3, H, W) pixels on the device, normalised in float32 and cast to the model's dtype."""
        import torch

        moved = batch.to(self.device, non_blocking=True)
        mean, std = (values.repeat(moved.shape[2]) for values in (self._mean, self._std))  # of a line of pixels
        lines = moved.flatten(2).to(torch.float32) * self._scale
        normalised = lines.sub_(mean).div_(std).view(moved.shape)
        return normalised.permute(0, 3, 1, 2).to(self.dtype)  # (B, H, W, 3) is channels last already
