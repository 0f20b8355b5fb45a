"""No leakage: what test rows know does not help, and everything is fitted on training rows alone."""

import numpy as np
import pandas as pd
import pytest
from scripted import quality
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skllmrec import compare_recommenders
from skllmrec.base import FeatureTable
from skllmrec.encoders import EmbeddingWhitener
from skllmrec.exceptions import RepeatedRowsWarning
from skllmrec.metrics import make_ranking_scorer
from skllmrec.model_selection import ColdItemKFold, PerUserKFold, TemporalSplit
from skllmrec.recommenders import FeatureMFRecommender, NeighborsRecommender, PopularityRecommender

RNG = np.random.default_rng(0)
N_USERS, N_ITEMS = 40, 30
COLUMNS = {"user": "user", "item": "item", "feedback": "implicit"}
OPTIONS = {
    "k": 5, "metrics": ("ndcg", "recall", "coverage"), "n_permutations": 99, "n_resamples": 99, "random_state": 0,
}  # fmt: skip


def interactions():
    """Rows in order of time: user u likes the items of its half, i % 2 == u % 2."""
    rows = [(u, i) for u in range(N_USERS) for i in RNG.permutation(np.arange(u % 2, N_ITEMS, 2))[:9]]
    frame = pd.DataFrame(rows, columns=["user", "item"]).sample(frac=1, random_state=1, ignore_index=True)
    return frame.assign(time=range(len(frame)))


X = interactions()


def readers():
    """Recommenders that read every column which could tell something."""
    one_hot = OneHotEncoder(handle_unknown="ignore")
    features = {"user_features": ["answer"], "user_encoder": one_hot}
    of_items = {"item_features": ["fans"], "item_encoder": one_hot}
    return {
        "popularity": PopularityRecommender(**COLUMNS),
        "factors": FeatureMFRecommender(8, max_iter=3, random_state=0, **COLUMNS, **features, **of_items),
        "neighbours": NeighborsRecommender(**COLUMNS, **of_items),
    }


@pytest.mark.parametrize("split", ["per user", "temporal"])
def test_a_column_of_the_test_rows_that_knows_the_future_is_not_rewarded(split):
    cv = PerUserKFold(3, user="user", random_state=0) if split == "per user" else TemporalSplit(time="time")
    train, test = next(iter(cv.split(X)))
    # in training noise, in test rows the answer itself: which item the user will like, which user will like the item
    noise = X.assign(answer=RNG.permutation(X["item"]), fans=RNG.permutation(X["user"]))
    answer = noise.copy()
    answer.loc[test, "answer"], answer.loc[test, "fans"] = X.loc[test, "item"], X.loc[test, "user"]
    # and figures of the fold: how often an item occurs in the test rows, and times that follow it
    answer.loc[test, "time"] = noise["time"].max() + X.loc[test, "item"].map(X.loc[test, "item"].value_counts())
    honest, tempted = (compare_recommenders(readers(), rows, cv=[(train, test)], **OPTIONS) for rows in (noise, answer))
    assert set(X.loc[test, "item"]) <= set(X.loc[train, "item"])
    assert set(X.loc[test, "user"]) <= set(X.loc[train, "user"])
    pd.testing.assert_frame_equal(quality(honest), quality(tempted))
    assert honest.value("factors", "ndcg") > 0.1  # and not because nothing was recommended


def test_a_row_that_training_saw_cannot_be_a_hit():
    """Test rows among the training rows, as a faulty splitter would have it: they cost, instead of paying."""
    train, test = next(iter(PerUserKFold(3, user="user", random_state=0).split(X)))
    models = {"popularity": PopularityRecommender(**COLUMNS)}
    with pytest.warns(RepeatedRowsWarning, match=rf"^{len(test)} of {len(test)} test rows \(100.0%\)"):
        leaky = compare_recommenders(models, X, cv=[(np.concatenate([train, test]), test)], **OPTIONS)
    assert leaky.value("popularity", "ndcg") == 0
    assert compare_recommenders(models, X, cv=[(train, test)], **OPTIONS).value("popularity", "ndcg") > 0


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_ratings_of_test_rows_decide_what_is_relevant_and_nothing_else(feedback):
    cv = PerUserKFold(3, user="user", random_state=0)
    train, test = next(iter(cv.split(X)))
    y = pd.Series(np.where(X["item"] % 3 == 0, 2.0, 4.0))
    other = y.copy()
    other[test] = np.where(y[test] >= 3, 1000.0, -0.0)  # the same ones are relevant; means and spreads are not the same
    models = {
        "factors": FeatureMFRecommender(8, max_iter=3, random_state=0, **{**COLUMNS, "feedback": feedback}),
        "popularity": PopularityRecommender(**{**COLUMNS, "feedback": feedback}),
    }
    frames = [
        quality(compare_recommenders(models, X, ratings, cv=[(train, test)], threshold=3, **OPTIONS))
        for ratings in (y, other)
    ]
    pd.testing.assert_frame_equal(*frames)


class Spy(TransformerMixin, BaseEstimator):
    """Hands everything on to an encoder and writes down what it was fitted on."""

    seen = []  # of (name, texts or vectors)

    def __init__(self, name, encoder):
        self.name, self.encoder = name, encoder

    def fit(self, X, y=None):
        Spy.seen.append((self.name, X))
        self.encoder.fit(X)
        return self

    def transform(self, X):
        return self.encoder.transform(X)

    def __sklearn_is_fitted__(self):
        return True


TEXTS = {item: f"word{item} {'even' if item % 2 == 0 else 'odd'} thing" for item in range(N_ITEMS + 5)}
TABLE = FeatureTable(pd.DataFrame({"item": list(TEXTS), "text": list(TEXTS.values())}), key="item")


@pytest.mark.parametrize("splitter", [PerUserKFold, ColdItemKFold])
def test_encoders_are_fitted_on_the_items_of_their_training_rows(splitter):
    """TF-IDF, SVD and whitening, inside a search inside a fold, with the whole catalogue at hand."""
    by = {"user": "user"} if splitter is PerUserKFold else {"item": "item"}
    outer, inner = splitter(2, random_state=0, **by), splitter(2, random_state=1, **by)
    encoder = make_pipeline(
        Spy("tfidf", TfidfVectorizer()), Spy("svd", TruncatedSVD(3, random_state=0)), Spy("white", EmbeddingWhitener())
    )
    recommender = FeatureMFRecommender(
        4, max_iter=2, random_state=0, **COLUMNS, item_features="text", item_encoder=encoder
    )
    candidates = "test" if splitter is ColdItemKFold else "all"
    scorer = make_ranking_scorer("ndcg", k=5, candidates=candidates)
    search = GridSearchCV(recommender, {"alpha": [0.01]}, scoring=scorer, cv=inner)
    Spy.seen.clear()
    options = {**OPTIONS, "metrics": "ndcg", "candidates": candidates}
    compare_recommenders({"text": search}, X, cv=outer, item_table=TABLE, **options)
    allowed = set()
    for train, _ in outer.split(X):
        rows = X.iloc[train]
        parts = [*(part for part, _ in inner.split(rows)), np.arange(len(rows))]
        allowed |= {frozenset(TEXTS[item] for item in rows.iloc[part]["item"]) for part in parts}
    tfidf = [set(texts) for name, texts in Spy.seen if name == "tfidf"]
    assert set(map(frozenset, tfidf)) == allowed
    assert all(TEXTS[N_ITEMS] not in texts for texts in tfidf)  # of the catalogue, but nobody's
    for name in ("svd", "white"):
        sizes = [vectors.shape[0] for kind, vectors in Spy.seen if kind == name]
        assert sizes == [len(texts) for texts in tfidf]


def test_what_a_fit_finds_out_itself_is_that_of_the_training_rows():
    """Strengths, thresholds and shares of the automatic kind: the same as in a fit that never met the test rows."""
    kept = []

    class Witness(FeatureMFRecommender):
        def fit(self, X, y=None, *, sample_weight=None, user_table=None, item_table=None):
            super().fit(X, y, sample_weight=sample_weight, user_table=user_table, item_table=item_table)
            kept.append(self)
            return self

    model = Witness(
        4, max_iter=2, random_state=0, **COLUMNS, item_features="text",
        item_encoder=make_pipeline(TfidfVectorizer(), EmbeddingWhitener(3)),
    )  # fmt: skip
    cv = ColdItemKFold(2, item="item", random_state=0)
    compare_recommenders({"m": model}, X, cv=cv, candidates="test", item_table=TABLE, **{**OPTIONS, "metrics": "ndcg"})
    for compared, (train, _) in zip(list(kept), cv.split(X), strict=True):
        rows = X.iloc[train].reset_index(drop=True)
        alone = Witness(**model.get_params(deep=False)).fit(rows, item_table=TABLE)
        np.testing.assert_array_equal(compared.predict(X), alone.predict(X))
