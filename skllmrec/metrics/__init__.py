"""Ranking metrics and scorers.

The metrics are functions of arrays: which items are relevant, which were recommended. They know nothing of
estimators; `make_ranking_scorer` connects the two.
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
from skllmrec.metrics._scorer import make_ranking_scorer
from skllmrec.metrics._segments import Segment, by_segment, fairness_gap, segment_by_count, segment_by_popularity

__all__ = [
    "RankedUsers",
    "Segment",
    "by_segment",
    "catalog_coverage",
    "fairness_gap",
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
