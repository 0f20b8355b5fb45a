"""Are the defaults good, and do features ever hurt? Defaults against tuned, with features against ids alone.

    python benchmarks/quality.py [--data FOLDER_OF_FOLDERS] [--sets ml_latest_small ...] [--folds 2] [--seed 0]

For each set, protocol (known items: per-user folds; cold items: a fifth of the items held out and ranked among
themselves) and kind of features, NDCG@20 with the defaults, NDCG@20 with alpha and the unobserved weight tuned on an
inner split of the training rows, and their ratio; for known items the paired permutation test of the defaults with
features against the defaults without, and for cold items the ratio of LLM to TF-IDF features. First, RMSE on
MovieLens 100K (5 random folds, defaults) on ids and with the features of films and users, beside scikit-surprise's SVD
where it is installed.
"""

import argparse
import os
import warnings
from pathlib import Path

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder

from skllmrec import (
    ColdItemKFold,
    EmbeddingWhitener,
    FeatureMFRecommender,
    LLMTextEncoder,
    PerUserKFold,
    PopularityRecommender,
    TextAnalyzer,
    TextTemplate,
    compare_recommenders,
    fetch_movielens_100k,
    load_interactions,
    make_ranking_scorer,
)
from skllmrec.comparison._job_models import FirstSplits

K = 20
# the text of an item, and from which rating on it is liked; tags made by the test users would leak and are left out
SETS = {
    "ml_latest_small": ("{title}. {genres}. {overview}", 3.5),
    "lastfm_hetrec": ("{title}", None),
    "book_crossing": ("{title}. {author}. {publisher}", None),
    "completejourney": ("{title}. {department}. {brand}. {product_category}", None),
}
ALPHAS = (0.005, 0.01, 0.02, 0.04)
DENSITY_FACTORS = (3, 8, 20)


def load(folder, name):
    """Likes of users with at least five and items with at least three of them, and the text columns."""
    _, threshold = SETS[name]
    frame = load_interactions(folder / name).frame
    if threshold is not None:
        frame = frame[frame["rating"] >= threshold]
    frame = frame.drop_duplicates(["user_id", "item_id"])
    while True:
        users, items = frame["user_id"].value_counts(), frame["item_id"].value_counts()
        kept = frame["user_id"].map(users).ge(5) & frame["item_id"].map(items).ge(3)
        if kept.all():
            return frame.reset_index(drop=True)
        frame = frame[kept]


def encoders(template, store):
    """TF-IDF, LLM and both on identical text."""
    columns = TextTemplate(template)
    tfidf = TfidfVectorizer(analyzer=TextAnalyzer(), sublinear_tf=True)
    llm = make_pipeline(LLMTextEncoder(max_length=64, memory=store), EmbeddingWhitener())
    return {
        "TF-IDF": make_pipeline(columns, tfidf),
        "LLM": make_pipeline(columns, llm),
        "TF-IDF + LLM": make_pipeline(columns, make_union(tfidf, llm)),
    }


def recommenders(frame, template, store, seed):
    """One recommender, without features and with each kind."""
    ids = {"user": "user_id", "item": "item_id", "feedback": "implicit", "random_state": seed}
    names = [column for column in frame.columns if f"{{{column}}}" in template]
    with_features = {
        label: FeatureMFRecommender(**ids, item_features=names, item_encoder=encoder)
        for label, encoder in encoders(template, store).items()
    }
    popularity = PopularityRecommender(user="user_id", item="item_id", feedback="implicit")
    return {"popularity": popularity, "ids": FeatureMFRecommender(**ids), **with_features}


def tuned(recommender, frame, inner, candidates):
    """Wrap the recommender in a search of alpha and the unobserved weight on an inner split."""
    density = len(frame) / (frame["user_id"].nunique() * frame["item_id"].nunique())
    grid = {"alpha": ALPHAS, "unobserved_weight": [factor * density for factor in DENSITY_FACTORS]}
    scorer = make_ranking_scorer("ndcg", k=K, candidates=candidates)
    return GridSearchCV(recommender, grid, scoring=scorer, cv=inner)


def first_splits(splitter, frame, n_splits):
    """Return the first folds of a splitter."""
    return [split for split, _ in zip(splitter.split(frame), range(n_splits), strict=False)]


def run(frame, template, store, protocol, n_folds, seed):
    """Compare defaults and tuned recommenders under one protocol; a frame, one row per recommender."""
    cold = protocol == "cold items"
    splitter = ColdItemKFold if cold else PerUserKFold
    columns = {"item": "item_id"} if cold else {"user": "user_id"}
    candidates = "test" if cold else "all"
    defaults = recommenders(frame, template, store, seed)
    inner = FirstSplits(splitter(5, **columns, random_state=seed + 1), 3 if cold else 1)
    searched = {
        f"{name}, tuned": tuned(recommender, frame, inner, candidates)
        for name, recommender in defaults.items()
        if name != "popularity"
    }
    return compare_recommenders(
        {**defaults, **searched},
        frame,
        cv=first_splits(splitter(5, **columns, random_state=seed), frame, n_folds),
        metrics=("ndcg", "recall", "coverage"),
        k=K,
        candidates=candidates,
        reference="TF-IDF" if cold else "ids",
        random_state=seed,
        verbose=True,
    ).frame


def report(name, protocol, frame):
    """Print one protocol's table."""
    ndcg = frame[frame["metric"] == f"ndcg@{K}"].set_index("estimator")
    print(f"\n{name}, {protocol}: NDCG@{K}; reference {'TF-IDF' if protocol == 'cold items' else 'ids'}")
    print(f"{'':14s} {'default':>8s} {'tuned':>8s} {'ratio':>6s} {'gain':>8s} {'p (Holm)':>9s}")
    for label in [label for label in ndcg.index if not label.endswith("tuned")]:
        value = ndcg.loc[label, "mean"]
        best = ndcg["mean"].get(f"{label}, tuned", np.nan)
        gain, p = ndcg.loc[label, "gain"], ndcg.loc[label, "p_holm"]
        print(f"{label:14s} {value:8.4f} {best:8.4f} {value / best:6.3f} {gain:+8.1%} {p:9.4f}")


def rating_features(store):
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


def rmse(seed, store):
    """RMSE of 5 random folds of MovieLens 100K."""
    data = fetch_movielens_100k()
    folds = KFold(5, shuffle=True, random_state=seed)
    print("MovieLens 100K, 5 random folds: RMSE of FeatureMFRecommender, defaults")
    for label, features in rating_features(store).items():
        recommender = FeatureMFRecommender(user="user_id", item="item_id", random_state=seed, **features)
        scores = cross_val_score(recommender, data.data, data.target, cv=folds, scoring="neg_root_mean_squared_error")
        print(f"  {label:38s}  {-scores.mean():.4f}", flush=True)
    try:
        import surprise
    except ImportError:
        print("  scikit-surprise is not installed here; its documentation reports .934 (SVD), .919 (SVD++)")
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


def main():
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("SKLLMREC_DATA"), help="default: SKLLMREC_DATA")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS), help="none: MovieLens 100K only")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", default=".embeddings", help="folder of the embedding store")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "Bins whose width are too small")  # half of the films are of few years
    rmse(options.seed, options.store)
    if options.data is None and options.sets:
        parser.error("name the folder of the data sets: --data, or SKLLMREC_DATA")
    for name in options.sets:
        frame = load(Path(options.data), name)
        print(f"\n{name}: {len(frame)} likes, {frame['user_id'].nunique()} users, {frame['item_id'].nunique()} items")
        for protocol in ("known items", "cold items"):
            table = run(frame, SETS[name][0], options.store, protocol, options.folds, options.seed)
            report(name, protocol, table)


if __name__ == "__main__":
    main()
