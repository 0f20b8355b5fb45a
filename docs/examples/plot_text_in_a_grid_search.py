"""
TF-IDF or a language model? One grid search
===========================================

The encoder of a catalogue is a parameter like any other. A grid search over `item_encoder` selects it on items that
are not in training, and a plot shows the trade-off between accuracy and variety.
"""

# %%
# A catalogue with synonyms: a ship, a vessel or a boat
# -----------------------------------------------------
# The search ranks the new items of each fold for every user; vocabulary and whitening are fitted on the others.

import pandas as pd
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union

from skllmrec import (
    ColdItemKFold,
    EmbeddingWhitener,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    LLMTextEncoder,
    NeighborsRecommender,
    PerUserKFold,
    PopularityRecommender,
    make_interactions,
    make_ranking_scorer,
)
from skllmrec.inspection import FrontierDisplay

X = make_interactions(n_users=200, n_items=120, density=0.1, random_state=0).data
recommender = FeatureMFRecommender(
    16, user="user_id", item="item_id", feedback="implicit", item_features="description", random_state=0
)
tfidf = TfidfVectorizer(sublinear_tf=True)
llm = make_pipeline(LLMTextEncoder(max_length=48), EmbeddingWhitener())
encoders = {"TF-IDF": tfidf, "language model": llm, "both": make_union(tfidf, llm)}

search = GridSearchCV(
    recommender,
    {"item_encoder": list(encoders.values())},
    cv=ColdItemKFold(3, random_state=0),
    scoring=make_ranking_scorer("ndcg", k=10, candidates="test"),
).fit(X)
pd.DataFrame(
    {"NDCG@10": search.cv_results_["mean_test_score"], "± over folds": search.cv_results_["std_test_score"]},
    index=list(encoders),
).round(3)

# %%
# Accuracy against variety
# ------------------------
# Known items this time: a part of each user's rows is held out. Further to the right, more of the
# catalogue is recommended to at least one user; for a recommender on the line, no other one is better in both respects.

train, test = next(PerUserKFold(4, user="user_id", random_state=0).split(X))
columns = {"user": "user_id", "item": "item_id"}
contestants = {
    "popularity": PopularityRecommender(**columns, feedback="implicit"),
    "neighbours": NeighborsRecommender(**columns, feedback="implicit"),
    "autoencoder": LinearAutoencoderRecommender(**columns),
    "the search's choice": search.best_estimator_,
}
fitted = {name: clone(contestant).fit(X.iloc[train]) for name, contestant in contestants.items()}
FrontierDisplay.from_estimators(fitted, X.iloc[test], k=10)
