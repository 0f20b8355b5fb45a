"""Write the files of tests/formats/<version>/: one of each kind that the package saves, and what to expect of them.

`make fixtures` runs it once for a release. The folders of earlier releases stay: every later version must open them.
A recommender or an encoder that is worth keeping is one more entry of `recommenders` or `transformers`.
"""

import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.cross_decomposition import PLSRegression
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import skllmrec
from skllmrec import compare_recommenders, encoders, preprocessing
from skllmrec import recommenders as rec

sys.path.insert(0, str(Path(__file__).parents[1]))
from letter_encoder import LetterEncoder

HERE = Path(__file__).parent
WRITTEN_BY = ("scikit-learn", "numpy", "scipy")  # an older one need not open what a newer one has pickled
NAMES = {"user": "user_id", "item": "item_id"}
N_USERS, N_ITEMS = 16, 10
WORDS = ("star", "sea", "night", "letter", "storm", "piano")


def interactions():
    """Interactions by a formula, the same on every machine: (frame with titles and times, ratings)."""
    users, items = np.divmod(np.arange(N_USERS * N_ITEMS), N_ITEMS)
    kept = (
        users * users * 7 + items**3 * 3 + users * items * 11
    ) % 17 < 7  # irregular: twin items would tie, and rounding decide
    users, items = users[kept], items[kept]
    frame = pd.DataFrame({"user_id": users + 100, "item_id": [f"i{item}" for item in items]})
    frame["title"] = [f"{WORDS[item % 6]} {WORDS[item % 4]} of the {WORDS[item // 3]}" for item in items]
    frame["time"] = (items * 5 + users) % 11
    return frame, 1.0 + (users * 3 + items * items) % 5


def asked():
    """Rows to score: pairs of known users and items, and a new item with its title."""
    frame, _ = interactions()
    rows = frame.iloc[[0, 5, 11, 23]].reset_index(drop=True)
    new = rows.iloc[[1]].assign(item_id="new", title="night storm")
    return pd.concat([rows, new], ignore_index=True)


def texts():
    """Texts to encode."""
    return [f"the {a} and the {b}" for a in WORDS for b in WORDS[:2]]


def two_tower(folder=None):
    """Two towers that train for a few steps, with or without a checkpoint."""
    return rec.TwoTowerRecommender(
        4, **NAMES, feedback="implicit", tower="linear", max_iter=2, checkpoint_dir=folder, device="cpu", random_state=0
    )


def recommenders():
    """Fitted recommenders, by the name of their file."""
    frame, ratings = interactions()
    titles = make_pipeline(
        preprocessing.TextTemplate("{title}"), TfidfVectorizer(analyzer=preprocessing.TextAnalyzer(ngram_range=(1, 2)))
    )
    text = {**NAMES, "item_features": ["title"], "item_encoder": titles}
    models = {
        "feature_mf_explicit": (
            rec.FeatureMFRecommender(4, **text, feedback="explicit", max_iter=3, random_state=0),
            ratings,
        ),
        "feature_mf_implicit": (rec.FeatureMFRecommender(4, **NAMES, feedback="implicit", random_state=0), None),
        "two_tower": (two_tower(), None),
        "autoencoder": (rec.LinearAutoencoderRecommender(**text, method="additive", alpha=5.0), None),
        "neighbors": (rec.NeighborsRecommender(5, feedback="explicit", **text, content_weight=0.5), ratings),
        "markov": (rec.MarkovRecommender(5, **NAMES, time="time"), None),
        "popularity": (rec.PopularityRecommender(feedback="explicit", **NAMES), ratings),
        "pairwise": (rec.PairwiseRecommender(Ridge(), feedback="explicit", **text), ratings),
        "blend": (
            rec.BlendRecommender(
                [
                    ("popular", rec.PopularityRecommender(**NAMES, feedback="implicit")),
                    ("ids", rec.LinearAutoencoderRecommender(**NAMES, method="ease", alpha=5.0)),
                ],
                **NAMES,
                random_state=0,
            ),
            None,
        ),
    }
    return {name: model.fit(frame, y) for name, (model, y) in models.items()}


def transformers():
    """Fitted transformers and what they are given, by the name of their file."""
    frame, _ = interactions()
    numbers = np.arange(48.0).reshape(12, 4) ** 1.5 % 7
    title, words = frame[["title"]], texts()
    return {
        "whitener": (encoders.EmbeddingWhitener(3).fit(numbers), numbers),
        "cleaner": (preprocessing.TextCleaner().fit(words), words),
        "template": (preprocessing.TextTemplate("A {title}.").fit(title), title),
        "dense_targets": (preprocessing.DenseTargets(PLSRegression(2), 2).fit(numbers, numbers[:, ::-1]), numbers),
        "letters": (LetterEncoder().fit(words), words),
    }


def answers(model):
    """What a recommender predicts and recommends, as JSON."""
    users = np.array([100, 103, 110])
    rows = asked()
    rows = rows if getattr(model, "item_features", None) else rows.iloc[:-1][[*dict.fromkeys(interactions()[0])]]
    ids, scores = model.recommend(users, n_items=3)
    return {
        "predict": model.predict(rows).tolist(),
        "ids": ids.tolist(),
        "scores": [[float(score) if np.isfinite(score) else None for score in row] for row in scores],
    }


def vectors(transformed):
    """The output of a transformer, as JSON."""
    return np.asarray(transformed).tolist()


def compared(folder=None):
    """Compare two recommenders on three folds."""
    from skllmrec import PerUserKFold

    frame, _ = interactions()
    return compare_recommenders(
        {
            "popularity": rec.PopularityRecommender(**NAMES, feedback="implicit"),
            "ids": rec.LinearAutoencoderRecommender(**NAMES, method="ease", alpha=5.0),
        },
        frame,
        cv=PerUserKFold(2, user="user_id", random_state=0),
        metrics=("ndcg", "coverage"),
        k=3,
        checkpoint_dir=folder,
        random_state=0,
    )


def write(folder):
    """Write all files into a new folder."""
    from skops import io

    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    expected = {"written_by": {name: version(name) for name in WRITTEN_BY}, "recommenders": {}, "transformers": {}}
    for kind, models in (("recommenders", recommenders()), ("transformers", transformers())):
        for name, model in models.items():
            model, given = (model, None) if kind == "recommenders" else model
            joblib.dump(model, folder / f"{name}.joblib", compress=("zlib", 9))
            io.dump(model, folder / f"{name}.skops", compression=8, compresslevel=9)
            expected[kind][name] = answers(model) if given is None else vectors(model.transform(given))
    LetterEncoder(memory=folder / "store").fit(texts()).transform(texts())
    (folder / "store" / "lock").unlink()
    LetterEncoder().fit(texts()).transform(texts(), out=folder / "vectors.npy")
    expected["letters"] = vectors(LetterEncoder().fit(texts()).transform(texts()))
    frame, _ = interactions()
    expected["checkpoint"] = answers(two_tower(folder / "checkpoint").fit(frame))
    comparison = compared(folder / "comparison")
    comparison.to_json(folder / "comparison" / "results.json")
    computed = comparison.frame[~comparison.frame["metric"].str.contains("seconds|_mb|_ms")]
    expected["comparison"] = computed[["estimator", "metric", "mean"]].to_dict("list")
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    target = HERE / skllmrec.__version__
    write(target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    sys.stdout.write(f"{target}: {size / 1000:.0f} kB\n")
