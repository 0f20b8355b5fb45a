"""The sets of the quality benchmark, their splits, and the features of a split, encoded once for all models."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skllmrec import (
    ColdItemKFold,
    EmbeddingWhitener,
    LLMFineTuner,
    LLMTextEncoder,
    PerUserKFold,
    TemporalSplit,
    TextAnalyzer,
    TextTemplate,
    WordVectorEncoder,
    load_interactions,
)
from skllmrec._typing import Array, Estimator, FloatArray, IntArray

USER, ITEM = "user_id", "item_id"
PROTOCOLS = ("warm", "temporal", "cold")
# results depend on which items are new, a few popular ones above all: two samples to evaluate on, two to choose on
N_SAMPLES = {"warm": 1, "temporal": 1, "cold": 2}
_N_PARTS = 5  # parts of a set, one of which is held out
# the text of an item, and the least rating of a like; tags made by the test users would leak and are left out
SETS = {
    "ml_latest_small": ("{title}. {genres}. {overview}", 3.5),
    "lastfm_hetrec": ("{title}", None),
    "book_crossing": ("{title}. {author}. {publisher}", None),
    "completejourney": ("{title}. {department}. {brand}. {product_category}", None),
}
TAGGED = {
    "lastfm_hetrec": ("user_item_tags.parquet", "{title}. {tags}", 20)
}  # tags are put together anew for each split
MAX_WORDS = 64  # word pieces of a text that the language model reads
_WHITENED = 128
_MIN_SHARED_USERS = 200  # fewer users before and after a moment: each user's own last interactions are held out instead


def core(frame: pd.DataFrame, least_items: int) -> pd.DataFrame:
    """Likes of users with at least five likes and items with at least `least_items`."""
    while True:
        users, items = frame[USER].value_counts(), frame[ITEM].value_counts()
        kept = frame[USER].map(users).ge(5) & frame[ITEM].map(items).ge(least_items)
        if kept.all():
            return frame.reset_index(drop=True)
        frame = frame[kept]


def load(folder: Path, name: str, max_items: int | None = None) -> pd.DataFrame:
    """Likes of users with at least five and items with at least three of them, and the text columns.

    With more than `max_items` items, items need more interactions: as few as keep to the bound.
    """
    _, threshold = SETS[name]
    frame = load_interactions(folder / name).frame
    if threshold is not None:
        frame = frame[frame["rating"] >= threshold]
    frame, least = core(frame.drop_duplicates([USER, ITEM]), 3), 3
    while max_items is not None and frame[ITEM].nunique() > max_items:
        least += 1
        frame = core(frame, least)
    return frame


@dataclass
class Dataset:
    """A set, ready to be split.

    Attributes
    ----------
    frame : DataFrame
        One row for each like.
    tags : DataFrame or None
        Who gave which item which tag.
    """

    name: str
    frame: pd.DataFrame
    tags: pd.DataFrame | None = None

    @classmethod
    def read(cls, folder: Path, name: str, max_items: int | None) -> "Dataset":
        """Read a set from a folder of folders."""
        frame = load(folder, name, max_items)
        tags = pd.read_parquet(folder / name / TAGGED[name][0]) if name in TAGGED else None
        return cls(name, frame, None if tags is None else tags[tags[ITEM].isin(frame[ITEM].unique())])

    @property
    def text_columns(self) -> list[str]:
        """Columns that the text is made of, without tags."""
        return [column for column in self.frame.columns if f"{{{column}}}" in SETS[self.name][0]]

    def texts(self, items: Array, evaluated: Array, held_out: pd.DataFrame) -> Array:
        """Text of items; tags that evaluated users gave to held-out items of theirs would leak and are left out."""
        table = self.frame.drop_duplicates(ITEM).set_index(ITEM).loc[items, self.text_columns]
        template = SETS[self.name][0]
        if self.tags is not None:
            hidden = held_out[held_out[USER].isin(evaluated)].set_index([USER, ITEM]).index
            known = self.tags[~pd.MultiIndex.from_frame(self.tags[[USER, ITEM]]).isin(hidden)]
            _, template, n_tags = TAGGED[self.name]
            counts = known.groupby([ITEM, "tag"], sort=True).size().rename("n").reset_index()
            counts = counts.sort_values([ITEM, "n", "tag"], ascending=[True, False, True]).groupby(ITEM).head(n_tags)
            table = table.assign(tags=counts.groupby(ITEM)["tag"].agg(", ".join).reindex(items).fillna(""))
        return TextTemplate(template).fit_transform(table)

    def split(
        self, frame: pd.DataFrame, protocol: str, seed: int, fold: int = 0, n_parts: int = _N_PARTS
    ) -> tuple[IntArray, IntArray]:
        """Split rows of the set: positions of (training, held-out) rows; `fold`: which part of the items is new."""
        if protocol == "cold":
            return list(ColdItemKFold(n_parts, item=ITEM, random_state=seed).split(frame))[fold]
        if protocol == "warm":
            return next(iter(PerUserKFold(_N_PARTS, user=USER, random_state=seed).split(frame)))
        train, test = next(iter(TemporalSplit(time="timestamp", test_size=0.2).split(frame)))
        shared = np.intersect1d(frame[USER].iloc[train], frame[USER].iloc[test])
        return (train, test) if len(shared) >= _MIN_SHARED_USERS else _last_of_each(frame, seed)

    @property
    def has_time(self) -> bool:
        """Whether the temporal protocol applies."""
        return "timestamp" in self.frame


def _last_of_each(frame, seed):
    """Hold out the last fifth of each user's rows; of equal times, any."""
    order = np.lexsort((np.random.default_rng(seed).random(len(frame)), frame["timestamp"], frame[USER].factorize()[0]))
    ranked = frame.iloc[order].groupby(USER, sort=False)
    share = ranked.cumcount() / ranked[USER].transform("size")
    late = np.zeros(len(frame), dtype=bool)
    late[order] = share.to_numpy() >= 0.8
    return np.flatnonzero(~late), np.flatnonzero(late)


@dataclass
class Split:
    """Training rows, evaluated users and their held-out rows, and the features of the items.

    Parameters
    ----------
    dataset : Dataset
    protocol : str
    rows : DataFrame
        Rows to split: all likes, or the training rows of another split.
    seed : int
    max_users : int
        Largest number of evaluated users; a sample where there are more.
    store : str
        Folder of the store of embeddings.
    fold, n_parts : int
        Which part of the items is new ("cold"), of how many.

    Attributes
    ----------
    train, test : DataFrame
    users : ndarray
        Ids of the evaluated users, all of them known in training.
    catalogue : ndarray
        Ids of all items in random order, so that the order of ties is random.
    is_candidate : ndarray of bool
        Which of them are ranked: all, or only those without training interactions (cold items).
    """

    dataset: Dataset
    protocol: str
    rows: pd.DataFrame
    seed: int
    max_users: int
    store: str
    fold: int = 0
    n_parts: int = _N_PARTS
    _features: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        train, test = self.dataset.split(self.rows, self.protocol, self.seed, self.fold, self.n_parts)
        self.train = self.rows.iloc[train].reset_index(drop=True)
        self.test = self.rows.iloc[test].reset_index(drop=True)
        generator = np.random.default_rng(self.seed)
        known = np.intersect1d(self.train[USER], self.test[USER])
        n_users = min(self.max_users, len(known) // 2 if self._needs_unevaluated_users else len(known))
        self.users = np.sort(generator.permutation(known)[:n_users])
        self.catalogue = generator.permutation(np.unique(self.rows[ITEM].to_numpy(dtype=object).astype(str)))
        trained = np.isin(self.catalogue, self.train[ITEM].to_numpy().astype(str))
        self.is_trained = trained
        self.is_candidate = ~trained if self.protocol == "cold" else np.ones(len(self.catalogue), dtype=bool)

    @property
    def _needs_unevaluated_users(self):
        """Whether half of the users are not evaluated, so that cold items keep the tags that those gave."""
        return self.protocol == "cold" and self.dataset.tags is not None

    def inner(self, rows: pd.DataFrame | None = None, fold: int = 0, n_parts: int = _N_PARTS) -> "Split":
        """Split training rows once more, for validation: all of this split, or some."""
        rows = self.train if rows is None else rows
        return Split(self.dataset, self.protocol, rows, self.seed + 1, self.max_users // 2, self.store, fold, n_parts)

    @cached_property
    def candidates(self) -> IntArray:
        """Positions in the catalogue of what is ranked."""
        return np.flatnonzero(self.is_candidate)

    def matrix(self, frame: pd.DataFrame, users: Array, items: Array) -> sparse.csr_matrix:
        """Interactions of some users with some items, csr_matrix of ones."""
        u, i = (pd.Index(ids).get_indexer(frame[name]) for ids, name in ((users, USER), (items, ITEM)))
        kept = (u >= 0) & (i >= 0)
        ones = np.ones(kept.sum(), dtype=np.float32)
        return sparse.csr_matrix((ones, (u[kept], i[kept])), shape=(len(users), len(items)))

    @cached_property
    def relevant(self) -> sparse.csr_matrix:
        """Interactions of the evaluated users in the test rows, with the candidates."""
        return self.matrix(self.test, self.users, self.catalogue[self.candidates])

    @cached_property
    def seen(self) -> sparse.csr_matrix:
        """Interactions of the evaluated users in training, with the candidates."""
        return self.matrix(self.train, self.users, self.catalogue[self.candidates])

    @cached_property
    def density(self) -> float:
        """Share of the pairs of users and items with an interaction in training."""
        return len(self.train) / (self.train[USER].nunique() * self.train[ITEM].nunique())

    @cached_property
    def texts(self) -> Array:
        """Texts of the catalogue."""
        return self.dataset.texts(self.catalogue, self.users, self.test)

    def features(self, kind: str) -> Any:
        """Features of the catalogue, learned on its training items: "words", "tfidf", "llm", "llm-white" or "tuned"."""
        if kind not in self._features:
            name = f"{self.dataset.name}-{self.protocol}-{self.seed}-{self.fold}of{self.n_parts}"
            encoder = make_encoder(kind, self.store, name)
            encoder.fit(self.texts[self.is_trained], self._targets if kind == "tuned" else None)
            self._features[kind] = encoder.transform(self.texts)
        return self._features[kind]

    @property
    def _targets(self):
        """Users who liked each training item: the targets of fine-tuning."""
        users = np.unique(self.train[USER].to_numpy())
        return self.matrix(self.train, users, self.catalogue[self.is_trained]).T.tocsr()

    @cached_property
    def evaluation_vectors(self) -> FloatArray:
        """Vectors of the candidates that no model uses, for the diversity of lists: weighted means of word vectors."""
        texts = self.texts[self.candidates]
        return WordVectorEncoder("glove-6b-50d", pooling="tfidf").fit_transform(texts)


def make_splits(
    dataset: Dataset, protocol: str, *, seed: int, max_users: int, store: str
) -> tuple[list[Split], list[Split]]:
    """Make the splits to evaluate on, and those to choose parameters on, made of rows that all of the former train on.

    Parameters
    ----------
    dataset : Dataset
    protocol : str
    seed, max_users, store
        As of `Split`; half as many users for the choice.

    Returns
    -------
    test, validation : list of Split
        `N_SAMPLES` of each. As many items are new in the latter as in the former.
    """
    n_samples = N_SAMPLES[protocol]
    test = [Split(dataset, protocol, dataset.frame, seed, max_users, store, fold) for fold in range(n_samples)]
    rows = test[0].train
    for other in test[1:]:
        rows = rows[rows[ITEM].isin(other.train[ITEM].unique())]
    rows, n_parts = rows.reset_index(drop=True), _N_PARTS - (n_samples if protocol == "cold" else 0)
    return test, [test[0].inner(rows, fold, n_parts) for fold in range(n_samples)]


def make_encoder(kind: str, store: str, name: str) -> Estimator:
    """Make the encoder of one kind of features; the weights of a tuned model are kept under a name."""
    if kind == "tuned":
        # with the folder, an earlier training on the same rows is reused
        tuner = LLMFineTuner(checkpoint_dir=f"{store}-tuned/{name}", memory=store, random_state=0)
        return make_pipeline(tuner, EmbeddingWhitener())
    if kind == "words":  # the set of words of a text, of unit length
        return TfidfVectorizer(analyzer=TextAnalyzer(), binary=True, use_idf=False, dtype=np.float32)
    if kind == "tfidf":
        return TfidfVectorizer(analyzer=TextAnalyzer(), sublinear_tf=True, dtype=np.float32)
    whitener = EmbeddingWhitener(_WHITENED, whiten=True) if kind == "llm-white" else EmbeddingWhitener()
    return make_pipeline(LLMTextEncoder(max_length=MAX_WORDS, memory=store), whitener)
