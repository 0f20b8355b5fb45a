"""A comparison with given means, for tests of verdicts."""

import numpy as np
import pandas as pd

from skllmrec.comparison import Comparison
from skllmrec.comparison._summary import summarise

NAMES = ["popularity", "ids", "ids + TF-IDF", "ids + LLM", "ids + TF-IDF + LLM"]


def made_up(means, spread=0.02, names=NAMES, *, hits=None, baselines=("popularity",)):
    """A comparison in which every estimator has a mean NDCG, with noise between users.

    `hits` gives the numbers of the 300 users with a hit; the users of a smaller number are among those of a larger one.
    """
    noise = np.random.default_rng(0).normal(0, spread, (300, len(names)))
    values = np.asarray(means) + noise - noise.mean(axis=0)
    per_user = pd.concat(
        [
            pd.DataFrame({"estimator": n, "fold": 0, "user": range(300), "ndcg@9": values[:, j]})
            for j, n in enumerate(names)
        ]
    )
    metrics = ["ndcg@9"]
    if hits is not None:
        per_user["hit_rate@9"] = np.concatenate([np.arange(300) < number for number in hits]).astype(float)
        metrics.append("hit_rate@9")
    per_fold = pd.DataFrame({"estimator": names, "fold": 0, "coverage@9": np.arange(1, len(names) + 1) / 10})
    options = {"level": 0.95, "n_permutations": 9999, "n_resamples": 200}
    frame = summarise(
        per_user,
        per_fold,
        estimators=names,
        reference=names[2],
        user_metrics=metrics,
        fold_metrics=["coverage@9"],
        random_state=0,
        **options,
    )
    settings = {"reference": names[2], "baselines": list(baselines), "k": 9, "seed": 0, **options}
    return Comparison(frame, per_user, per_fold, pd.DataFrame(), settings)
