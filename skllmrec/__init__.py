"""scikit-learn compatible recommenders on text that large language models encode.

Importing the package is cheap: a name is imported when it is first used, torch and transformers when a
model is first loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers see instead of `__getattr__`
    from skllmrec.base import FeatureTable as FeatureTable
    from skllmrec.comparison import *  # noqa: F403
    from skllmrec.datasets import *  # noqa: F403
    from skllmrec.encoders import *  # noqa: F403
    from skllmrec.inspection import *  # noqa: F403
    from skllmrec.language_models import *  # noqa: F403
    from skllmrec.metrics import *  # noqa: F403
    from skllmrec.model_selection import *  # noqa: F403
    from skllmrec.preprocessing import *  # noqa: F403
    from skllmrec.recommenders import *  # noqa: F403

__version__ = "0.1.0"

# public name -> the package that holds it
_PUBLIC = {
    "BlendRecommender": "recommenders",
    "ColdItemKFold": "model_selection",
    "ColdStartDisplay": "inspection",
    "ColdUserKFold": "model_selection",
    "Comparison": "comparison",
    "CountWeighter": "preprocessing",
    "DataDescription": "preprocessing",
    "DenseTargets": "preprocessing",
    "DiversifiedRecommender": "recommenders",
    "EmbeddingMapDisplay": "inspection",
    "EmbeddingStore": "encoders",
    "EmbeddingWhitener": "encoders",
    "ExactIndex": "retrieval",
    "FeatureMFRecommender": "recommenders",
    "FeatureTable": "base",
    "FrontierDisplay": "inspection",
    "HistoryText": "preprocessing",
    "InteractionFilter": "preprocessing",
    "LLMFineTuner": "language_models",
    "LLMPretrainer": "language_models",
    "LLMProfileWriter": "language_models",
    "LLMTextEncoder": "encoders",
    "LearningHistoryDisplay": "inspection",
    "LeaveLastOut": "model_selection",
    "LinearAutoencoderRecommender": "recommenders",
    "MarkovRecommender": "recommenders",
    "NeighborsRecommender": "recommenders",
    "PairwiseRecommender": "recommenders",
    "PerUserKFold": "model_selection",
    "PopularityDisplay": "inspection",
    "PopularityRecommender": "recommenders",
    "RankedUsers": "metrics",
    "RemoteTextEncoder": "encoders",
    "Segment": "metrics",
    "SequentialRecommender": "recommenders",
    "StackedRecommender": "recommenders",
    "TemporalSplit": "model_selection",
    "TextAnalyzer": "preprocessing",
    "TextAugmenter": "preprocessing",
    "TextCleaner": "preprocessing",
    "TextTemplate": "preprocessing",
    "TwoTowerRecommender": "recommenders",
    "VectorIndex": "retrieval",
    "WordVectorEncoder": "encoders",
    "add_histories": "model_selection",
    "by_segment": "metrics",
    "catalog_coverage": "metrics",
    "compare_recommenders": "comparison",
    "describe_data": "preprocessing",
    "fairness_gap": "metrics",
    "fetch_movielens_100k": "datasets",
    "get_data_home": "datasets",
    "gini_index": "metrics",
    "hit_rate_at_k": "metrics",
    "interactions_from_matrix": "preprocessing",
    "intra_list_diversity": "metrics",
    "load_interactions": "datasets",
    "make_interactions": "datasets",
    "make_ranking_scorer": "metrics",
    "map_at_k": "metrics",
    "matrix_from_interactions": "preprocessing",
    "miscalibration": "metrics",
    "mrr_at_k": "metrics",
    "ndcg_at_k": "metrics",
    "next_item_split": "model_selection",
    "novelty": "metrics",
    "personalization": "metrics",
    "popularity_lift": "metrics",
    "precision_at_k": "metrics",
    "rank_test_users": "metrics",
    "recall_at_k": "metrics",
    "segment_by_count": "metrics",
    "segment_by_popularity": "metrics",
    "serendipity": "metrics",
}
_PACKAGES = (
    *("base", "comparison", "datasets", "encoders", "exceptions", "inspection", "language_models", "metrics"),
    *("model_selection", "preprocessing", "recommenders", "retrieval", "testing"),
)

__all__ = sorted([*_PUBLIC, *_PACKAGES, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
