"""Vision towers that transformers knows: CLIP, SigLIP, DINO and others, from the Hub or a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.compute.devices import choose_device, choose_dtype
from geocell.encoders.info import EncoderInfo
from geocell.encoders.pooling import POOLINGS, check_pooling, pool, prefix_tokens
from geocell.encoders.processors import Processor, load_processor
from geocell.encoders.torch_encoder import TorchEncoder
from geocell.encoders.trust import ModelError, require_architecture, require_data_only
from geocell.files import sentence

if TYPE_CHECKING:
    import torch
    from PIL import Image

STREETCLIP = "geolocal/StreetCLIP"
TIMM = "timm:"
DEFAULTS = ("pooler_output", "cls", "mean")
"""Default poolings in order of preference: the first that the tower has is used."""


class TowerEncoder(TorchEncoder):
    """The vision tower of a checkpoint, with a named pooling of its output.

    Images are resized, cropped and normalised as transformers' own image processor of the checkpoint does it.
    """

    def __init__(
        self,
        name: str = STREETCLIP,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        compile: bool = False,
        pooling: str | None = None,
        backend: str = "pil",
    ) -> None:
        """Load weights and processor; see `load_encoder`."""
        check_pooling(pooling)
        where = model_origin(name)
        chosen = choose_device(device)
        arithmetic = choose_dtype(dtype, chosen)
        with load_errors(name):
            commit = None if is_folder(name) else commit_of(where, revision)
            config = model_config(where, commit)
            model, self._missing = _tower(config, where, commit, arithmetic, pooling == "projection")
            processor = load_processor(config, where, commit, backend)
            image = processor.transform(_grey())
            self._prefix = prefix_tokens(model)
        self._pooling = pooling or DEFAULTS[0]
        info = _info(name, commit, self._pooling, image, processor)
        super().__init__(
            model, info, processor.transform, processor.normalisation, device=chosen, dtype=arithmetic, compile=compile
        )
        self._settle(name, [pooling] if pooling else DEFAULTS, image)

    def _settle(self, name: str, poolings: Sequence[str], image: NDArray[Any]) -> None:
        """Choose the first pooling that the tower has, and determine D, by encoding one grey image."""
        import torch

        refusal = ""
        for pooling in poolings:
            self._pooling = pooling
            try:
                with torch.inference_mode():
                    dim = self.forward(self._normalised(torch.from_numpy(np.stack([image])))).shape[1]
            except ValueError as error:
                refusal = refusal or str(error)
                continue
            except Exception as error:  # a configuration may say anything
                first = str(error).split("\n", maxsplit=1)[0]
                raise ModelError(
                    f"{name} must be a model of one image of fixed size, got: {first}: encode elsewhere and use "
                    "`geocell cache import`."
                ) from error
            self._info = replace(self._info, pooling=pooling, dim=int(dim))
            return
        raise ModelError(f"{name}: {refusal}")

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the (B, D) pooled tensor of (B, 3, H, W) normalised pixels."""
        if self._missing and self._pooling in {"pooler_output", "projection"}:
            raise ModelError(
                f"the checkpoint has no weights for {self._missing[0]}, which {self._pooling} needs: choose cls, mean "
                "or patch_mean."
            )
        return pool(self.model(pixel_values=pixels), self._pooling, self._prefix)


def describe_tower(
    name: str = STREETCLIP, revision: str | None = None, pooling: str | None = None, backend: str = "pil"
) -> EncoderInfo:
    """Return which encoder a vision tower is, by its configuration and image processor alone; its `dim` is 0.

    Args:
        name: Hub id or folder; see `load_encoder`.
        revision: branch, tag or commit on the Hub.
        pooling: the pooling; the first of `DEFAULTS` when omitted, whether or not the tower has it.
        backend: what resizes.
    """
    check_pooling(pooling)
    where = model_origin(name)
    with load_errors(name):
        commit = None if is_folder(name) else commit_of(where, revision)
        processor = load_processor(model_config(where, commit), where, commit, backend)
        image = processor.transform(_grey())
    return _info(name, commit, pooling or DEFAULTS[0], image, processor)


def is_folder(name: str) -> bool:
    """Return whether the name of an encoder is a folder on this machine."""
    return Path(name).expanduser().is_dir()


def model_origin(name: str) -> str:
    """Return the folder or Hub id that a name means."""
    where = str(Path(name).expanduser()) if is_folder(name) else hub_id(name)
    if where is None:
        raise FileNotFoundError(f"expected a Hub id (user/model) or a folder, got {name!r}, which is neither.")
    return where


def _info(name: str, commit: str | None, pooling: str, image: NDArray[Any], processor: Processor) -> EncoderInfo:
    path, local = Path(name).expanduser(), commit is None
    return EncoderInfo(
        name=path.resolve().name if local else model_origin(name),
        revision=weights_hash(path) if local else str(commit),
        pooling=pooling,
        dim=0,
        image_size=int(image.shape[1]),
        processor=processor.identity,
        source=str(path.resolve()) if local else model_origin(name),
    )


class StreetCLIP(TowerEncoder):
    """StreetCLIP (Haas et al., 2023): CLIP ViT-L/14@336 adapted to street-level images, 1024-d pooled output."""

    def __init__(self, device: str = "auto", revision: str | None = None) -> None:
        """Load StreetCLIP from the Hub or its local cache."""
        super().__init__(STREETCLIP, revision=revision, device=device)


def hub_id(name: str) -> str | None:
    """Return the Hub id of an encoder's name, None when it is a folder or not an id.

    >>> hub_id("timm:vit_small_patch16_224.dino"), hub_id("./models/clip"), hub_id("efficientnet-lite0")
    ('timm/vit_small_patch16_224.dino', None, None)
    """
    name = f"timm/{name.removeprefix(TIMM)}" if name.startswith(TIMM) else name
    local = Path(name).expanduser().is_dir() or name.startswith((".", "/", "~"))
    return None if local or name.count("/") != 1 or ":" in name else name


@contextmanager
def load_errors(name: str) -> Iterator[None]:
    """Turn the errors of loading a checkpoint into one sentence with a next step."""
    from huggingface_hub.errors import GatedRepoError

    try:
        yield
    except GatedRepoError as error:
        raise PermissionError(
            f"{name} is gated on the Hub: accept its terms on its page, then log in with `hf auth login`."
        ) from error
    except OSError as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise OSError(
            sentence(
                f"the weights of {name} could not be loaded ({first.removesuffix('.')}): check the name and the "
                "network, or pass a folder that holds the model."
            )
        ) from error
    except ImportError as error:
        extra = "timm" if name.startswith((TIMM, "timm/")) else "torchvision"
        raise ImportError(
            f'{name} needs {extra}, which is not there or does not load: run `pip install "geocell-heads[{extra}]"`.'
        ) from error
    except ModelError:
        raise
    except Exception as error:  # transformers and those below it have kinds of their own for damaged files
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise ModelError(
            f"{name} must be a model that transformers can load, got a damaged or another one "
            f"({type(error).__name__}: {first.removesuffix('.')}): copy it again from its origin."
        ) from error


def commit_of(repo: str, revision: str | None) -> str:
    """Return the commit of a branch or tag: the current one, or without a network the last one that was seen.

    Configuration, weights and processor are all read at this commit.
    """
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repo, "config.json", revision=revision)).parent.name


def model_config(where: str, revision: str | None) -> Any:  # noqa: ANN401 - a class of transformers
    """Return the configuration of a checkpoint that has a vision tower."""
    import transformers

    base: Any = transformers.PreTrainedConfig
    settings = base.get_config_dict(where, revision=revision)[0]
    require_data_only(settings, where, "config.json")
    require_architecture(settings, where)
    config: Any = transformers.AutoConfig.from_pretrained(where, revision=revision, trust_remote_code=False)
    if not any(hasattr(config, name) for name in ("vision_config", "image_size", "num_channels", "pretrained_cfg")):
        raise ModelError(
            f"{where} must be a checkpoint with a vision tower, got model type {config.model_type!r}: encode elsewhere "
            "and use `geocell cache import`."
        )
    return config


def _tower(
    config: Any,  # noqa: ANN401 - a class of transformers
    where: str,
    commit: str | None,
    dtype: torch.dtype,
    projected: bool,
) -> tuple[Any, list[str]]:
    """Return the vision tower of a checkpoint, and the names of pooling weights missing from the checkpoint.

    The tower of a model of images and texts is loaded alone: `CLIPModel` has `CLIPVisionModel`, and so on.
    """
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    whole = str(MODEL_MAPPING_NAMES.get(config.model_type, "AutoModel"))
    alone = whole if "VisionModel" in whole else whole.removesuffix("Model") + "VisionModel"
    name = f"{alone}WithProjection" if projected else alone
    if projected and not hasattr(transformers, name):
        raise ModelError(f"{where} has no projection: choose another of {', '.join(POOLINGS)}.")
    loader: Any = getattr(transformers, name if projected or hasattr(transformers, alone) else "AutoModel")
    model, report = loader.from_pretrained(
        where, revision=commit, dtype=dtype, output_loading_info=True, trust_remote_code=False
    )
    missing = sorted(report["missing_keys"])
    lost = [key for key in missing if "pooler" not in key and "projection" not in key]
    if lost:
        raise ModelError(f"{where} must hold all weights of {type(model).__name__}, got none for {lost[0]}.")
    return model, missing


def _grey() -> Image.Image:
    from PIL import Image

    return Image.new("RGB", (64, 64), (127, 127, 127))


def weights_hash(folder: Path) -> str:
    """Return `sha256:` of the weight files of a local model: its identity, independent of the folder's path."""
    files = sorted(p for p in folder.iterdir() if p.suffix in {".safetensors", ".bin"})
    if not files:
        raise FileNotFoundError(f"{folder} must hold model.safetensors, got no weights: save a model there first.")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"
