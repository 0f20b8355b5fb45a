"""Ranking metrics and scorers.

The metrics are functions of arrays: which items are relevant, which were recommended. They know nothing of
estimators; `make_ranking_scorer` connects the two. Each is a `Metric` in one table, so that scorers and
comparisons find it by its name; a `Metric` of one's own can be passed instead of a name.
"""

from skllmrec.metrics._accuracy import (
    hit_rate_at_k,
    map_at_k,
    mrr_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from skllmrec.metrics._diversity import catalog_coverage, gini_index, intra_list_diversity, novelty
from skllmrec.metrics._history import miscalibration, personalization, popularity_lift, serendipity
from skllmrec.metrics._ranking import RankedUsers, rank_test_users
from skllmrec.metrics._registry import Metric, get_metric, get_metric_names
from skllmrec.metrics._scorer import make_ranking_scorer
from skllmrec.metrics._segments import Segment, by_segment, fairness_gap, segment_by_count, segment_by_popularity

__all__ = [
    "Metric",
    "RankedUsers",
    "Segment",
    "by_segment",
    "catalog_coverage",
    "fairness_gap",
    "get_metric",
    "get_metric_names",
    "gini_index",
    "hit_rate_at_k",
    "intra_list_diversity",
    "make_ranking_scorer",
    "map_at_k",
    "miscalibration",
    "mrr_at_k",
    "ndcg_at_k",
    "novelty",
    "personalization",
    "popularity_lift",
    "precision_at_k",
    "rank_test_users",
    "recall_at_k",
    "segment_by_count",
    "segment_by_popularity",
    "serendipity",
]
