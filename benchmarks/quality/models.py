"""The models of the quality benchmark: a line of `MODELS` each, with the space that its parameters are drawn from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from benchmarks.quality.data import ITEM, PROTOCOLS, USER, Split
from benchmarks.quality.peers import SPACES, als_implicit, als_irspack, warp_lightfm
from benchmarks.quality.space import Log, Params, Space, Span, among
from skllmrec import (
    BlendRecommender,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    MarkovRecommender,
    NeighborsRecommender,
    PopularityRecommender,
    TwoTowerRecommender,
)
from skllmrec._typing import Array, Estimator, IntArray, Matrix

KINDS = {"ids": "ids", "tfidf": "TF-IDF", "llm": "LLM", "both": "TF-IDF + LLM", "tuned": "TF-IDF + tuned LLM"}
_WHITEN: Space = {"whiten": (False, among(False, True))}
FEATURE_SPACES: dict[str, Space] = {
    "ids": {},
    "words": {},
    "tfidf": {},
    "llm": _WHITEN,
    "both": {**_WHITEN, "llm_weight": (1.0, among(0.5, 1.0, 2.0))},
    "tuned": {"llm_weight": (1.0, among(0.5, 1.0, 2.0))},
}
_COLUMNS = {"user": USER, "item": ITEM}


class Shared:
    """Features of a catalogue by id, which copies of an estimator share instead of copying them."""

    def __init__(self, ids: Array, matrix: Matrix | None) -> None:
        self._index = pd.Index(ids)
        self._matrix = matrix

    def __deepcopy__(self, memo):
        return self

    def of(self, ids: Array) -> Matrix:
        """Rows of some ids."""
        return self._matrix[self._index.get_indexer(np.asarray(ids))]


class Lookup(TransformerMixin, BaseEstimator):
    """An encoder of ids whose features are known: they are learned once for each split, not once for each trial."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def fit(self, X: Array, y: object = None) -> "Lookup":
        """Do nothing."""
        return self

    def transform(self, X: Array) -> Matrix:
        """Look features up."""
        return self.shared.of(X)


def features_of(kind: str, params: Params, split: Split) -> Matrix | None:
    """Features of the catalogue; parameters are whitening and the weight of vectors beside TF-IDF."""
    if kind == "ids":
        return None
    if kind in ("words", "tfidf"):
        return split.features(kind)
    name = "tuned" if kind == "tuned" else "llm-white" if params["whiten"] else "llm"
    vectors = split.features(name).astype(np.float32)
    if kind == "llm":
        return vectors
    # as make_union(TF-IDF, LLM, transformer_weights=...), from parts that all trials share
    return sparse.hstack([split.features("tfidf"), sparse.csr_matrix(vectors * params["llm_weight"])], format="csr")


@dataclass(frozen=True)
class Model:
    """A recommender of ours.

    Attributes
    ----------
    make : callable
        From parameters, `Split` and seed to a recommender without features.
    kind : {"ids", "words", "tfidf", "llm", "both", "tuned"}
        Its features of items.
    own_space : dict of str to (default, distribution)
        Without the parameters of the features.
    seeded : bool
        Whether a fit depends on the seed.
    protocols : tuple of str
    parts : tuple of str
        Models that a blend consists of, with their tuned parameters.
    parts_for_new : tuple of str
        More of them where new items are ranked.
    columns : tuple of str
        Columns of the rows that it is fitted on.
    """

    make: Callable[[Params, Split, int], Estimator] | None
    kind: str = "ids"
    own_space: Space = field(default_factory=dict)
    seeded: bool = False
    protocols: tuple[str, ...] = PROTOCOLS
    parts: tuple[str, ...] = ()
    parts_for_new: tuple[str, ...] = ()
    columns: tuple[str, ...] = (USER, ITEM)
    is_peer = False
    is_installed = True

    def parts_in(self, protocol: str) -> tuple[str, ...]:
        """Return the models that a blend is made of under a protocol."""
        return self.parts + (self.parts_for_new if protocol == "cold" else ())

    @property
    def space(self) -> Space:
        """Default and distribution of each parameter."""
        return {} if self.parts else {**self.own_space, **FEATURE_SPACES[self.kind]}

    def estimator(self, params: Params, split: Split, seed: int) -> Estimator:
        """Return the recommender, not fitted."""
        own = {name: value for name, value in params.items() if name not in FEATURE_SPACES["both"]}
        made = self.make(own, split, seed)
        if self.kind == "ids":
            return made
        shared = Shared(split.catalogue, features_of(self.kind, params, split))
        return made.set_params(item_features=ITEM, item_encoder=Lookup(shared))

    def recommend(self, params: Params, split: Split, seed: int, k: int, tuned: dict[str, Params]) -> IntArray:
        """Rank candidates: positions among `split.candidates`, ndarray of shape (n_users, k), -1 is padding."""
        if self.parts:
            names = self.parts_in(split.protocol)
            parts = [(name, MODELS[name].estimator(tuned[name], split, seed)) for name in names]
            recommender = BlendRecommender(parts, **_COLUMNS, random_state=seed)
        else:
            recommender = self.estimator(params, split, seed)
        recommender.fit(split.train[list(self.columns)])
        candidates = split.catalogue[split.candidates]
        ids, _ = recommender.recommend(split.users, k, candidates=pd.DataFrame({ITEM: candidates}))
        return pd.Index(candidates).get_indexer(ids.ravel()).reshape(ids.shape)


@dataclass(frozen=True)
class Peer:
    """A recommender of another package: a function that ranks, and attributes as those of `Model`."""

    package: str
    rank: Callable[[Params, Split, int, int], IntArray]
    kind: str = "ids"
    own_space: Space = field(default_factory=dict)
    protocols: tuple[str, ...] = PROTOCOLS
    seeded: bool = True
    parts: tuple[str, ...] = ()
    is_peer = True

    @property
    def is_installed(self) -> bool:
        """Whether its package is there; `make bench-env` installs it."""
        return find_spec(self.package) is not None

    def parts_in(self, protocol: str) -> tuple[str, ...]:
        """Return nothing: a peer is no blend."""
        return ()

    @property
    def space(self) -> Space:
        """Default and distribution of each parameter."""
        return self.own_space

    def recommend(self, params: Params, split: Split, seed: int, k: int, tuned: dict[str, Params]) -> IntArray:
        """Rank candidates, as `Model.recommend`."""
        return self.rank(params, split, seed, k)


# -- how parameters become recommenders -------------------------------------------------------------------------


def _popularity(params, split, seed):
    return PopularityRecommender(**_COLUMNS, feedback="implicit", scale="log", **params)


def _factors(params, split, seed):
    params = dict(params)
    factor, strength = params.pop("unobserved_factor"), params.pop("strength")
    if factor is not None:
        params |= {"unobserved_weight": factor * split.density, "alpha": strength / (1 + factor)}
    return FeatureMFRecommender(**_COLUMNS, feedback="implicit", random_state=seed, **params)


def _neighbors(params, split, seed):
    return NeighborsRecommender(**_COLUMNS, feedback="implicit", **params)


def _autoencoder(method):
    def make(params, split, seed):
        params = dict(params)
        share = params.pop("feature_share", None)  # of alpha
        if share is not None:
            params["feature_weight"] = share * params["alpha"]
        return LinearAutoencoderRecommender(**_COLUMNS, method=method, **params)

    return make


def _towers(params, split, seed):
    return TwoTowerRecommender(**_COLUMNS, feedback="implicit", random_state=seed, **params)


def _markov(params, split, seed):
    return MarkovRecommender(**_COLUMNS, time="timestamp", **params)


_FACTORS = {
    "n_components": (64, among(32, 64, 128)),
    "unobserved_factor": (None, Log(2, 30)),  # unobserved_weight, over the density of the interactions
    "strength": (None, Log(0.05, 0.4)),  # alpha times 1 + unobserved_factor: what a mean history is regularised by
}
_PRIOR = {"prior_strength": ("auto", among(0.25, 0.5, 0.75, 0.9))}
_NEIGHBORS = {
    "n_neighbors": (100, among(20, 50, 100, 200, 400)),
    "metric": ("auto", among("cosine", "tfidf", "bm25")),
    "shrinkage": ("auto", Log(1, 5000)),
}
_RIDGE = {"alpha": (None, Log(20, 2000))}
_SHARE = {"feature_share": (None, Log(0.02, 2))}  # feature_weight, over alpha
_FEATURE_RIDGE = {"feature_alpha": (None, Log(0.5, 50))}
_WEIGHTED = {
    "dropout": (None, Span(0.05, 0.8)),
    "user_exponent": (None, Span(0, 1)),
    "popularity_exponent": (None, Span(0, 0.5)),
}
_ADDITIVE = {**_RIDGE, **_FEATURE_RIDGE, "feature_weight": (None, Span(0.02, 0.6))}
_TOWERS = {
    "n_layers": (2, among(0, 1, 2, 3)),
    "temperature": (0.2, Log(0.1, 0.4)),
    "weight_decay": (3.0, Log(0.3, 10)),
}
_MARKOV = {"window": (3, among(1, 3, 5, 10)), "decay": (0.8, Span(0.5, 1)), "backoff": (5.0, Log(0.5, 50))}
_KNOWN = ("warm", "temporal")  # without features, cold items cannot be ranked
_TIMED = {"protocols": ("temporal",), "columns": (USER, ITEM, "timestamp")}


def _with_text(name, make, space, kinds=("tfidf", "llm", "both"), **more):
    return {f"{name} + {KINDS[kind]}": Model(make, kind, space, **more) for kind in kinds}


def _with_tuned_text(name, make, space, **more):
    # tuning takes minutes in each split: only where it should help, at new items
    return _with_text(name, make, space, kinds=("tuned",), **more, protocols=("cold",))


def _blend_of(kind, **more):
    parts = tuple(f"{name} + {KINDS[kind]}" for name in ("FeatureMF", "Additive", "Neighbors"))
    popular = (f"Popularity + {KINDS[kind]}",)
    return {f"Blend + {KINDS[kind]}": Model(None, kind, seeded=True, parts=parts, parts_for_new=popular, **more)}


MODELS = {
    "Popularity": Model(_popularity),
    # ids only
    "FeatureMF ids": Model(_factors, "ids", _FACTORS, seeded=True, protocols=_KNOWN),
    "EASE": Model(_autoencoder("ease"), "ids", _RIDGE, protocols=_KNOWN),
    "EDLAE": Model(_autoencoder("edlae"), "ids", {**_RIDGE, "dropout": (None, Span(0.05, 0.8))}, protocols=_KNOWN),
    "Autoencoder ids": Model(_autoencoder("auto"), "ids", {**_RIDGE, **_WEIGHTED}, protocols=_KNOWN),
    "Neighbors ids": Model(_neighbors, "ids", _NEIGHBORS, protocols=_KNOWN),
    "implicit ALS": Peer("implicit", als_implicit, "ids", SPACES["implicit"], protocols=_KNOWN),
    "irspack iALS": Peer("irspack", als_irspack, "ids", SPACES["irspack"], protocols=_KNOWN),
    "lightfm ids": Peer("lightfm", warp_lightfm("ids"), "ids", SPACES["lightfm"], protocols=_KNOWN),
    "Markov ids": Model(_markov, "ids", _MARKOV, **_TIMED),
    # with the text of items
    **_with_text("Popularity", _popularity, {}, protocols=("cold",)),
    **_with_text("FeatureMF", _factors, {**_FACTORS, **_PRIOR}, seeded=True),
    **_with_text("CEASE", _autoencoder("cease"), {**_RIDGE, **_SHARE}),
    **_with_text("Additive", _autoencoder("additive"), _ADDITIVE),
    **_with_text("Autoencoder", _autoencoder("auto"), {**_ADDITIVE, **_WEIGHTED}),
    **_with_text("L3AE", _autoencoder("l3ae"), {**_RIDGE, **_SHARE, **_FEATURE_RIDGE}, kinds=("both",)),
    **_with_text("Neighbors", _neighbors, _NEIGHBORS),
    **_with_text("Markov", _markov, _MARKOV, kinds=("both",), **_TIMED),
    "TwoTower ids": Model(_towers, "ids", _TOWERS, seeded=True, protocols=_KNOWN),
    **_with_text("TwoTower", _towers, _TOWERS, seeded=True),
    "lightfm + TF-IDF": Peer(
        "lightfm", warp_lightfm("tfidf"), "tfidf", SPACES["lightfm + features"], protocols=("cold",)
    ),
    "lightfm + LLM": Peer("lightfm", warp_lightfm("llm"), "llm", SPACES["lightfm + features"], protocols=("cold",)),
    "lightfm + TF-IDF + LLM": Peer(
        "lightfm", warp_lightfm("both"), "both", SPACES["lightfm + features"], protocols=("cold",)
    ),
    # several of the above with the parameters found for them: no trials of their own
    "Blend ids": Model(None, "ids", seeded=True, protocols=_KNOWN, parts=("FeatureMF ids", "EASE", "Neighbors ids")),
    **_blend_of("tfidf"),
    **_blend_of("llm"),
    **_blend_of("both"),
    # ids and texts: where texts mislead, their models get no weight
    "Blend of six": Model(
        None,
        "both",
        seeded=True,
        protocols=_KNOWN,
        parts=(
            "FeatureMF ids",
            "EASE",
            "Neighbors ids",
            "FeatureMF + LLM",
            "Additive + TF-IDF + LLM",
            "Neighbors + TF-IDF + LLM",
        ),
    ),
    **_with_tuned_text("Popularity", _popularity, {}),
    **_with_tuned_text("FeatureMF", _factors, {**_FACTORS, **_PRIOR}, seeded=True),
    **_with_tuned_text("Additive", _autoencoder("additive"), _ADDITIVE),
    **_with_tuned_text("Neighbors", _neighbors, _NEIGHBORS),
    **_blend_of("tuned", protocols=("cold",)),
}
