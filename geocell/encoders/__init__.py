"""Frozen vision encoders: StreetCLIP and other towers through transformers, timm, EfficientNet-Lite0, and your own.

An encoder turns images into features in two steps, so that the first can run in other processes: `preprocess` makes one
image an (H, W, 3) array of bytes, and calling the encoder makes a batch of those (B, D) features.
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
