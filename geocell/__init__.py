"""geocell: image geolocation by geocell classification.

Names are imported when they are first used, so that `import geocell` loads none of torch, transformers, geopandas
or scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from geocell._version import __version__

if TYPE_CHECKING:
    from geocell.compute.cluster import ray_cluster as ray_cluster
    from geocell.decoders.table import decode as decode
    from geocell.encoders import AveragedEncoder as AveragedEncoder
    from geocell.encoders import EfficientNetLite0 as EfficientNetLite0
    from geocell.encoders import Encoder as Encoder
    from geocell.encoders import StreetCLIP as StreetCLIP
    from geocell.encoders import TowerEncoder as TowerEncoder
    from geocell.encoders import load_encoder as load_encoder
    from geocell.encoders.info import EncoderInfo as EncoderInfo
    from geocell.encoding import encode as encode
    from geocell.encoding import import_features as import_features
    from geocell.evaluation.audit import Audit as Audit
    from geocell.evaluation.audit import audit as audit
    from geocell.evaluation.baselines import Baseline as Baseline
    from geocell.evaluation.baselines import baselines as baselines
    from geocell.evaluation.calibrate import calibrate as calibrate
    from geocell.evaluation.combine import combine as combine
    from geocell.evaluation.comparison import Comparison as Comparison
    from geocell.evaluation.comparison import compare as compare
    from geocell.evaluation.decoders import DecoderComparison as DecoderComparison
    from geocell.evaluation.decoders import compare_decoders as compare_decoders
    from geocell.evaluation.leaks import Leaks as Leaks
    from geocell.evaluation.leaks import leaks as leaks
    from geocell.evaluation.named_baselines import named_baseline as named_baseline
    from geocell.evaluation.predictions import compare_predictions as compare_predictions
    from geocell.evaluation.predictions import score_predictions as score_predictions
    from geocell.evaluation.score import score as score
    from geocell.evaluation.zero_shot import ZeroShotScores as ZeroShotScores
    from geocell.evaluation.zero_shot import score_zero_shot as score_zero_shot
    from geocell.exporting.export import ExportedModel as ExportedModel
    from geocell.exporting.export import export_model as export_model
    from geocell.features import FeatureCache as FeatureCache
    from geocell.features.locations import Locations as Locations
    from geocell.features.neighbours import NeighbourIndex as NeighbourIndex
    from geocell.features.training_places import TrainingPlaces as TrainingPlaces
    from geocell.geo.geodesy import distance_km as distance_km
    from geocell.heads.calibration import Calibration as Calibration
    from geocell.heads.combination import Combination as Combination
    from geocell.heads.combination import load_combination as load_combination
    from geocell.heads.ensemble import Ensemble as Ensemble
    from geocell.heads.ensemble import average_heads as average_heads
    from geocell.heads.ensemble import load_ensemble as load_ensemble
    from geocell.heads.fit_config import FitConfig as FitConfig
    from geocell.heads.head import Head as Head
    from geocell.heads.head import load_head as load_head
    from geocell.heads.pooling import Pooling as Pooling
    from geocell.heads.region import fit_region as fit_region
    from geocell.heads.words_head import head_from_words as head_from_words
    from geocell.heads.zero_shot import ZeroShot as ZeroShot
    from geocell.heads.zero_shot_folder import load_zero_shot as load_zero_shot
    from geocell.heads.zero_shot_folder import save_zero_shot as save_zero_shot
    from geocell.images.downloads import DownloadConfig as DownloadConfig
    from geocell.images.downloads import Downloads as Downloads
    from geocell.imagetext.loading import load_image_text as load_image_text
    from geocell.imagetext.protocol import ImageTextModel as ImageTextModel
    from geocell.metrics.outcomes import balscore as balscore
    from geocell.metrics.scores import Scores as Scores
    from geocell.partitioners.base import OUTSIDE as OUTSIDE
    from geocell.partitioners.base import Partition as Partition
    from geocell.partitioners.h3 import H3Partitioner as H3Partitioner
    from geocell.partitioners.h3_adaptive import H3AdaptivePartitioner as H3AdaptivePartitioner
    from geocell.partitioners.kdtree import KDTreePartitioner as KDTreePartitioner
    from geocell.partitioners.kmeans import KMeansPartitioner as KMeansPartitioner
    from geocell.partitioners.nuts import NUTSPartitioner as NUTSPartitioner
    from geocell.partitioners.polygons import PolygonsPartitioner as PolygonsPartitioner
    from geocell.partitioners.quadtree import QuadtreePartitioner as QuadtreePartitioner
    from geocell.partitioners.s2 import S2Partitioner as S2Partitioner
    from geocell.partitioners.semantic import SemanticPartitioner as SemanticPartitioner
    from geocell.plots.plot import plot as plot
    from geocell.prediction.classify import Classification as Classification
    from geocell.prediction.classify import classify as classify
    from geocell.prediction.geolocator import Geolocator as Geolocator
    from geocell.prediction.predictions import Predictions as Predictions
    from geocell.prediction.records import Prediction as Prediction
    from geocell.publishing.push import pull_head as pull_head
    from geocell.publishing.push import push_head as push_head
    from geocell.reporting.report import Report as Report
    from geocell.reporting.report import report as report
    from geocell.splits.draw import make_splits as make_splits
    from geocell.splits.draw import split as split
    from geocell.splits.splits import Splits as Splits
    from geocell.sweeps.plan import SweepConfig as SweepConfig
    from geocell.sweeps.run import sweep as sweep
    from geocell.training.fit import fit_head as fit_head
    from geocell.uncertainty.region_model import RegionModel as RegionModel
    from geocell.views import ColumnNames as ColumnNames
    from geocell.views import ViewTable as ViewTable
    from geocell.views import read_views as read_views
    from geocell.zeroshot.candidate_files import read_candidates as read_candidates
    from geocell.zeroshot.candidates import Candidate as Candidate
    from geocell.zeroshot.candidates import Candidates as Candidates
    from geocell.zeroshot.candidates import gazetteer_candidates as gazetteer_candidates
    from geocell.zeroshot.settings import ZeroShotSettings as ZeroShotSettings

_HOMES = {
    "evaluation.audit": ("Audit", "audit"),
    "features": ("FeatureCache",),
    "evaluation.baselines": ("Baseline", "baselines"),
    "evaluation.calibrate": ("calibrate",),
    "evaluation.combine": ("combine",),
    "evaluation.comparison": ("Comparison", "compare"),
    "evaluation.decoders": ("DecoderComparison", "compare_decoders"),
    "heads.calibration": ("Calibration",),
    "decoders.table": ("decode",),
    "images.downloads": ("DownloadConfig", "Downloads"),
    "encoding": ("encode", "import_features"),
    "compute.cluster": ("ray_cluster",),
    "encoders": ("AveragedEncoder", "TowerEncoder", "EfficientNetLite0", "Encoder", "StreetCLIP", "load_encoder"),
    "heads.combination": ("Combination", "load_combination"),
    "heads.pooling": ("Pooling",),
    "heads.ensemble": ("Ensemble", "average_heads", "load_ensemble"),
    "training.fit": ("fit_head",),
    "geo.geodesy": ("distance_km",),
    "prediction.geolocator": ("Geolocator",),
    "heads.head": ("Head", "load_head"),
    "heads.region": ("fit_region",),
    "encoders.info": ("EncoderInfo",),
    "features.locations": ("Locations",),
    "features.neighbours": ("NeighbourIndex",),
    "features.training_places": ("TrainingPlaces",),
    "metrics.outcomes": ("balscore",),
    "evaluation.named_baselines": ("named_baseline",),
    "evaluation.predictions": ("compare_predictions", "score_predictions"),
    "evaluation.leaks": ("Leaks", "leaks"),
    "evaluation.score": ("score",),
    "partitioners.base": ("OUTSIDE", "Partition"),
    "partitioners.h3": ("H3Partitioner",),
    "partitioners.h3_adaptive": ("H3AdaptivePartitioner",),
    "partitioners.kdtree": ("KDTreePartitioner",),
    "partitioners.kmeans": ("KMeansPartitioner",),
    "partitioners.nuts": ("NUTSPartitioner",),
    "partitioners.polygons": ("PolygonsPartitioner",),
    "partitioners.quadtree": ("QuadtreePartitioner",),
    "partitioners.s2": ("S2Partitioner",),
    "partitioners.semantic": ("SemanticPartitioner",),
    "prediction.predictions": ("Predictions",),
    "prediction.records": ("Prediction",),
    "exporting.export": ("ExportedModel", "export_model"),
    "reporting.report": ("Report", "report"),
    "publishing.push": ("pull_head", "push_head"),
    "heads.fit_config": ("FitConfig",),
    "metrics.scores": ("Scores",),
    "splits.draw": ("make_splits", "split"),
    "splits.splits": ("Splits",),
    "sweeps.plan": ("SweepConfig",),
    "sweeps.run": ("sweep",),
    "uncertainty.region_model": ("RegionModel",),
    "evaluation.zero_shot": ("ZeroShotScores", "score_zero_shot"),
    "imagetext.loading": ("load_image_text",),
    "imagetext.protocol": ("ImageTextModel",),
    "plots.plot": ("plot",),
    "prediction.classify": ("Classification", "classify"),
    "zeroshot.candidate_files": ("read_candidates",),
    "zeroshot.candidates": ("Candidate", "Candidates", "gazetteer_candidates"),
    "heads.zero_shot": ("ZeroShot",),
    "heads.zero_shot_folder": ("load_zero_shot", "save_zero_shot"),
    "zeroshot.settings": ("ZeroShotSettings",),
    "heads.words_head": ("head_from_words",),
    "views": ("ColumnNames", "ViewTable", "read_views"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = ["__version__", *sorted(_HOME_OF)]  # noqa: PLE0604 - the names are text


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'geocell' has no attribute {name!r}")
    value = getattr(import_module(f"geocell.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
