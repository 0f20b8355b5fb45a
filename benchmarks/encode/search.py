"""The same grid search with LLMTextEncoder and with the encoders of skrub and embetter in the same pipelines."""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer

from benchmarks.common.measure import Table, take_turns
from benchmarks.encode.texts import MODEL
from skllmrec import EmbeddingWhitener, FeatureMFRecommender, LLMTextEncoder, TextTemplate, load_interactions
from skllmrec._weights import find_weights

COLUMNS = ["title", "genres", "overview"]
SIZES = [16, 32]


def ratings(folder: Path, n_items: int) -> pd.DataFrame:
    """Ratings of the films with a description that were rated most often."""
    frame = load_interactions(folder / "ml_latest_small").frame
    frame = frame[frame["overview"].fillna("").str.strip().ne("")]
    kept = frame["item_id"].value_counts().index[:n_items]
    return frame[frame["item_id"].isin(kept)].reset_index(drop=True)


def _peers():
    """Make the encoders of the peers, by name, each a step that takes an array of texts."""
    path, found = str(find_weights(MODEL).path), {}
    try:
        from skrub import LLMEncoder  # the name of TextEncoder since skrub 0.11
    except ImportError:
        pass
    else:
        found["skrub 0.11 TextEncoder"] = make_pipeline(
            FunctionTransformer(pd.Series), LLMEncoder(path, n_components=None, device="cpu")
        )
    try:
        from embetter.text import SentenceEncoder
    except ImportError:
        pass
    else:
        found["embetter 0.9 SentenceEncoder"] = SentenceEncoder(path)
    return found


def _search(llm, cache=None):
    """Build a search over six candidates: two kinds of features with the language model, one without, two sizes."""
    llm = Pipeline([("encode", llm), ("whiten", EmbeddingWhitener())], memory=cache)
    tfidf = TfidfVectorizer(sublinear_tf=True)
    features = [llm, make_union(clone(tfidf), clone(llm)), tfidf]
    recommender = FeatureMFRecommender(
        user="user_id",
        item="item_id",
        item_features=COLUMNS,
        item_encoder=Pipeline(
            [("text", TextTemplate(". ".join(f"{{{name}}}" for name in COLUMNS))), ("features", tfidf)]
        ),
        random_state=0,
        feedback="explicit",
    )
    grid = {"item_encoder__features": features, "n_components": SIZES}
    cv = KFold(3, shuffle=True, random_state=0)
    return GridSearchCV(recommender, grid, scoring="neg_root_mean_squared_error", cv=cv, error_score="raise")


def grid_search(options: argparse.Namespace) -> Iterator[Table]:
    """Time 19 fits with every encoder, in the same pipelines."""
    frame = ratings(options.data, options.items)
    X, y = frame.drop(columns="rating"), frame["rating"]
    peers = _peers()

    def ours():
        with tempfile.TemporaryDirectory() as store:  # cold at the start
            return _search(LLMTextEncoder(MODEL, device="cpu", memory=store)).fit(X, y)

    def cached(peer):
        with tempfile.TemporaryDirectory() as folder:
            return _search(peer, cache=folder).fit(X, y)

    runs = {"LLMTextEncoder(memory=...)": ours}
    runs |= {name: lambda peer=peer: _search(peer).fit(X, y) for name, peer in peers.items()}
    # scikit-learn's own cache; not for embetter, whose encoder holds its weights, which joblib would hash
    runs |= {
        f"{name} in Pipeline(memory=...)": lambda peer=peer: cached(peer)
        for name, peer in peers.items()
        if name.startswith("skrub")
    }
    timings = take_turns(runs, 1)
    first = next(iter(timings))
    yield (
        f"GridSearchCV, 3 folds x 6 candidates + refit = 19 fits; {len(frame):,} ratings of "
        f"{frame['item_id'].nunique()} films with descriptions; the store is empty at the start",
        [
            {
                "encoder": name,
                "wall s": f"{timing.wall[0]:.1f}",
                "CPU s": f"{timing.cpu[0]:.1f}",
                "wall, times ours": f"{timing.wall[0] / timings[first].wall[0]:.1f} x",
                "CPU, times ours": f"{timing.cpu[0] / timings[first].cpu[0]:.1f} x",
                "best RMSE": f"{-timing.result.best_score_:.4f}",
            }
            for name, timing in timings.items()
        ],
    )
