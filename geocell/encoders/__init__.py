"""Frozen vision encoders: StreetCLIP and other towers through transformers, timm, EfficientNet-Lite0, and your own.

An encoder has two steps, the first of which can run in worker processes: `preprocess` turns one image into an (H, W, 3)
array of bytes, and calling the encoder turns a batch of those into (B, D) features.
"""

from geocell.encoders.augmented import AveragedEncoder
from geocell.encoders.lite0 import LITE0, EfficientNetLite0
from geocell.encoders.loading import check_encoder_settings, describe_encoder, encoder_for, load_encoder
from geocell.encoders.protocol import Encoder
from geocell.encoders.tower import STREETCLIP, StreetCLIP, TowerEncoder, hub_id

__all__ = [
    "LITE0",
    "STREETCLIP",
    "AveragedEncoder",
    "EfficientNetLite0",
    "Encoder",
    "StreetCLIP",
    "TowerEncoder",
    "check_encoder_settings",
    "describe_encoder",
    "encoder_for",
    "hub_id",
    "load_encoder",
]
