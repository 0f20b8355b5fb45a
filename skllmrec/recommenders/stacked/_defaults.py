"""The parts of a stack whose parameters name none."""

from typing import Any

from skllmrec._typing import Estimator
from skllmrec.recommenders._linear_autoencoder import LinearAutoencoderRecommender
from skllmrec.recommenders._markov import MarkovRecommender
from skllmrec.recommenders._neighbors import NeighborsRecommender
from skllmrec.recommenders._popularity import PopularityRecommender
from skllmrec.recommenders.feature_mf._estimator import FeatureMFRecommender

_MOST_ITEMS = 12_000  # of a linear autoencoder, whose time grows with their cube
# Chosen on held-out rows, these may differ from fold to fold, and what the second stage learned of the factors would
# not hold for the last fit. The strength is that of the factors that read features: the others go by ids alone.
_N_COMPONENTS, _PRIOR_STRENGTH = 64, 0.75


def default_parts(
    columns: dict[str, Any], texts: dict[str, Any], about_users: dict[str, Any], time: Any, n_items: int
) -> list[tuple[str, Estimator]]:
    """Parts for the columns that there are.

    Parameters
    ----------
    columns, texts, about_users : dict
        Parameters that name the ids, the features of items with their encoder, and those of users; empty without.
    time : column key or None
    n_items : int
        Number of items with interactions.

    Returns
    -------
    list of (str, recommender)
    """
    implicit = {**columns, "feedback": "implicit"}
    parts: list[tuple[str, Estimator]] = [
        ("popularity", PopularityRecommender(**implicit, **texts, scale="log")),
        ("factors", FeatureMFRecommender(_N_COMPONENTS, **implicit, **about_users)),
        ("neighbors", NeighborsRecommender(**implicit)),
    ]
    closed_form = n_items <= _MOST_ITEMS
    if closed_form:
        parts.append(("autoencoder", LinearAutoencoderRecommender(**columns)))
    if texts:
        reading = FeatureMFRecommender(
            _N_COMPONENTS, **implicit, **texts, **about_users, prior_strength=_PRIOR_STRENGTH
        )
        parts.append(("text_factors", reading))
        parts.append(("text_neighbors", NeighborsRecommender(**implicit, **texts)))
        if closed_form:
            parts.append(("text_autoencoder", LinearAutoencoderRecommender(**columns, **texts)))
    if time is not None:
        parts.append(("markov", MarkovRecommender(**columns, time=time, **texts)))
    return parts
