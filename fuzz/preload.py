"""What every reading process needs, imported once in the process that they are forked from; nothing is run."""

import geopandas  # noqa: F401
import h3  # noqa: F401
import openpyxl  # noqa: F401
import pandas as pd  # noqa: F401
import PIL.Image  # noqa: F401
import pyarrow.parquet  # noqa: F401
import scipy.spatial  # noqa: F401
import shapely  # noqa: F401
import sklearn.cluster  # noqa: F401
import torch
import transformers  # noqa: F401

import fuzz.worker  # noqa: F401

torch.set_num_threads(1)
