"""Explicit ratings: RMSE on MovieLens 100K, on ids and with the features of films and users."""

from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder

from skllmrec import (
    EmbeddingWhitener,
    FeatureMFRecommender,
    LLMTextEncoder,
    TextTemplate,
    fetch_movielens_100k,
)


def rating_features(store: str) -> dict[str, dict[str, Any]]:
    """Describe films and users of MovieLens 100K in several ways: parameters of the recommender, by label."""
    users = {
        "user_features": ["gender", "occupation", "age"],
        "user_encoder": make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["gender", "occupation"]), (KBinsDiscretizer(7), ["age"])
        ),
    }
    llm = make_pipeline(
        TextTemplate("{title} ({year}). {genres}"), LLMTextEncoder(max_length=64, memory=store), EmbeddingWhitener()
    )
    kinds = make_column_transformer(
        (CountVectorizer(token_pattern=r"[^,\s][^,]*"), "genres"),  # noqa: S106 - a pattern, no password
        (make_pipeline(SimpleImputer(strategy="median"), KBinsDiscretizer(10)), ["year"]),
    )

    def items(encoder):
        return {"item_features": ["title", "year", "genres"], "item_encoder": encoder}

    return {
        "ids": {},
        "users": users,
        "genres, year": items(kinds),
        "LLM": items(llm),
        "LLM, genres, year, users": {**items(make_union(llm, kinds)), **users},
    }


def rmse(seed: int, store: str) -> None:
    """RMSE of 5 random folds of MovieLens 100K."""
    data = fetch_movielens_100k()
    folds = KFold(5, shuffle=True, random_state=seed)
    print("MovieLens 100K, 5 random folds: RMSE of FeatureMFRecommender, defaults")
    for label, features in rating_features(store).items():
        recommender = FeatureMFRecommender(
            user="user_id", item="item_id", random_state=seed, feedback="explicit", **features
        )
        scores = cross_val_score(recommender, data.data, data.target, cv=folds, scoring="neg_root_mean_squared_error")
        print(f"  {label:38s}  {-scores.mean():.4f}", flush=True)
    try:
        import surprise
    except ImportError:
        print("  scikit-surprise is not installed here; its documentation reports 0.934 (SVD), 0.919 (SVD++)")
        return
    triples = data.frame[["user_id", "item_id", "rating"]]
    reader = surprise.Reader(rating_scale=(1, 5))
    errors = []
    for train, test in folds.split(triples):
        fitted = surprise.SVD(random_state=seed).fit(
            surprise.Dataset.load_from_df(triples.iloc[train], reader).build_full_trainset()
        )
        predictions = fitted.test(list(triples.iloc[test].itertuples(index=False, name=None)))
        errors.append(surprise.accuracy.rmse(predictions, verbose=False))
    print(f"  scikit-surprise SVD                     {np.mean(errors):.4f}")
