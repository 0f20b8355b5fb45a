"""The protocols and the estimators of the main job."""

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.pipeline import make_pipeline, make_union
from sklearn.utils import check_random_state

from skllmrec._cli.compare.data import JobData
from skllmrec._cli.compare.files import HISTORY, ITEM, LAST_ITEM, NEXT_ITEM, TIME, USER
from skllmrec._typing import Feedback, Frame
from skllmrec.encoders import EmbeddingWhitener, LLMTextEncoder
from skllmrec.metrics import make_ranking_scorer
from skllmrec.model_selection import ColdItemKFold, LeaveLastOut, PerUserKFold, TemporalSplit
from skllmrec.model_selection._first_splits import FirstSplits
from skllmrec.preprocessing import CountWeighter, TextAnalyzer, TextTemplate
from skllmrec.recommenders import FeatureMFRecommender, PopularityRecommender

POPULARITY, IDS, TFIDF, LLM, BOTH = "popularity", "ids", "ids + TF-IDF", "ids + LLM", "ids + TF-IDF + LLM"
BUILT_IN = (POPULARITY, IDS, TFIDF, LLM, BOTH)
# what every search draws its candidates from; all of it matters to recommenders with and without text
_SPACES = {
    "implicit": {"n_components": [32, 64, 128], "alpha": [None, 0.01, 0.04], "unobserved_weight": [None, 3, 12]},
    "explicit": {"n_components": [16, 32, 64], "alpha": [None, 0.06, 0.24]},
}


@dataclass
class Protocol:
    """How rows are split, outside and inside, and what is ranked.

    Attributes
    ----------
    outer, inner : splitters
        `inner` gives the validation splits of the searches, which mirror the outer ones.
    candidates : {"all", "test"}
    text : str
        In words.
    history : str or None
        The column of X that makes each test row a question of the next item.
    exclude_seen : bool
        Whether lists leave out what a user had.
    """

    outer: Any
    inner: Any
    candidates: Literal["all", "test"]
    text: str
    history: str | None = None
    exclude_seen: bool = True

    @property
    def ranking(self) -> dict[str, Any]:
        """How lists are made, as parameters of scorers and comparisons."""
        return {"candidates": self.candidates, "exclude_seen": self.exclude_seen, "history": self.history}


def make_protocol(name: str, *, folds: int, seed: int, columns: Iterable[str]) -> Protocol:
    """Make the protocol of a name.

    Parameters
    ----------
    name : {"warm", "cold-items", "temporal", "next-item", "last-item"}
    folds : int
        Outer folds; a temporal protocol has one.
    seed : int
    columns : sequence of str
        Of X, where the times are looked for.

    Returns
    -------
    protocol : Protocol

    Raises
    ------
    ValueError
        If a temporal protocol finds no times.
    """
    if name == "warm":
        outer, inner = (PerUserKFold(n, user=USER, random_state=seed) for n in (folds, 5))
        text = f"{folds} folds that part the rows of every user; every item is ranked but those of the training rows"
        # one split would choose by chance: candidates differ by less than a split's noise
        return Protocol(outer, FirstSplits(inner, 3), "all", text)
    if name == "cold-items":
        outer, inner = (ColdItemKFold(n, item=ITEM, random_state=seed) for n in (folds, 5))
        text = f"{folds} folds of items: those of a test fold have no training row and are ranked among themselves"
        # folds of items differ a lot, by the few that everyone knows: one validation split would choose at random
        return Protocol(outer, FirstSplits(inner, 3), "test", text)
    if name == LAST_ITEM:
        last = LeaveLastOut(user=USER, time=TIME if TIME in columns else None)
        text = "the last row of every user is asked for, after the up to 10 items before it; every item is ranked"
        return Protocol(last, last, "all", text, HISTORY)
    if TIME not in columns:
        raise ValueError(
            f"--protocol {name} needs times: the interactions have no column {TIME!r}, only {list(columns)}; "
            "--time names the column of the times"
        )
    split = TemporalSplit(time=TIME, test_size=0.2)
    if name == NEXT_ITEM:
        text = (
            "the last 20 % of the rows in time are asked for, each after the up to 10 items that its user had before, "
            "by models that were trained on the rows before; every item is ranked"
        )
        return Protocol(split, split, "all", text, HISTORY)
    text = "the last 20 % of the rows in time are tested, by models that know the rows before; every item is ranked"
    return Protocol(split, split, "all", text)


def make_llm_encoder(options: Namespace) -> LLMTextEncoder:
    """Make the text encoder of the job; its store keeps every vector."""
    return LLMTextEncoder(options.model, max_length=options.max_length, memory=options.store)


def _text_encoders(template, options):
    """One encoder per kind of text features; all read the same text."""
    tfidf = TfidfVectorizer(analyzer=TextAnalyzer(), sublinear_tf=True)
    # centred and of unit length: texts of one catalogue share a direction that says nothing about any of them
    llm = make_pipeline(make_llm_encoder(options), EmbeddingWhitener())
    kinds = {TFIDF: tfidf, LLM: llm, BOTH: make_union(tfidf, llm)}
    return {name: make_pipeline(TextTemplate(template), encoder) for name, encoder in kinds.items()}


def make_candidates(X: Frame, feedback: Feedback, trials: int, seed: int) -> list[dict[str, Any]]:
    """Make the settings that every search tries: the defaults first, then random ones of a common space.

    The weight of what was not observed is drawn in units of the density of X, as the default is.

    Parameters
    ----------
    X : pandas.DataFrame
        The interactions.
    feedback : {"implicit", "explicit"}
    trials : int
        How many; fewer where the space is smaller.
    seed : int

    Returns
    -------
    candidates : list of dict
        A parameter grid of one point each.
    """
    density = len(X) / (X[USER].nunique() * X[ITEM].nunique())
    defaults = dict.fromkeys(_SPACES[feedback])
    points = [point for point in ParameterGrid(_SPACES[feedback]) if point != {**defaults, "n_components": 64}]
    kept = check_random_state(seed).permutation(len(points))[: trials - 1]
    drawn = [{**points[j]} for j in sorted(kept)]
    for point in drawn:
        if point.get("unobserved_weight"):
            point["unobserved_weight"] = float(f"{point['unobserved_weight'] * density:.3g}")
    return [{}, *({name: [value] for name, value in point.items()} for point in drawn)]


def make_estimators(data: JobData, options: Namespace, protocol: Protocol) -> dict[str, Any]:
    """Make the estimators that are compared; all but popularity are searches over the same candidates.

    Parameters
    ----------
    data : JobData
    options : argparse.Namespace
        ``feedback, weights, trials, k, seed, model, max_length, store``.
    protocol : Protocol

    Returns
    -------
    estimators : dict of str to estimator
    """
    columns = {"user": USER, "item": ITEM, "feedback": options.feedback}
    if getattr(options, "weights", None) is not None:
        columns["weighter"] = CountWeighter(options.weights)
    scorer = make_ranking_scorer(
        "ndcg",
        k=options.k,
        **protocol.ranking,
        threshold=data.threshold if options.feedback == "explicit" else None,
    )
    candidates = make_candidates(data.X, options.feedback, options.trials, options.seed)

    def search(**parameters: Any) -> GridSearchCV:
        recommender = FeatureMFRecommender(**columns, random_state=options.seed, **parameters)
        return GridSearchCV(recommender, candidates, scoring=scorer, cv=protocol.inner, error_score="raise")

    estimators = {POPULARITY: PopularityRecommender(**columns), IDS: search()}
    sides = {"item": (data.columns, data.template), "user": (data.user_columns, data.user_template)}
    for name in (TFIDF, LLM, BOTH):
        parameters: dict[str, Any] = {}
        for side, (features, template) in sides.items():
            if template is not None:
                encoder = _text_encoders(template, options)[name]
                parameters |= {f"{side}_features": list(features), f"{side}_encoder": encoder}
        estimators[name] = search(**parameters)
    return estimators
