"""check_encoder: passes what keeps the contract, and finds each kind of fault by the check that is named after it."""

import itertools

import numpy as np
import pytest
from letter_encoder import LetterEncoder
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils.validation import check_is_fitted

from skllmrec import _texts
from skllmrec.base import BaseTextEncoder
from skllmrec.testing import check_encoder


def test_sound_encoder(tmp_path):
    for memory in (None, tmp_path):
        assert set(check_encoder(LetterEncoder(memory=memory)).values()) == {"passed"}


class IgnoresOut(LetterEncoder):
    def transform(self, X, *, out=None):
        return super().transform(X)


class ReturnsACopy(LetterEncoder):
    def transform(self, X, *, out=None):
        vectors = super().transform(X, out=out)
        return vectors.copy() if isinstance(out, np.ndarray) else vectors


class TakesAnyArray(LetterEncoder):
    def transform(self, X, *, out=None):
        if not isinstance(out, np.ndarray):
            return super().transform(X, out=out)
        vectors = super().transform(X)
        out.reshape(-1)[:5] = 1
        return vectors


class WritesAtOnce(LetterEncoder):
    def transform(self, X, *, out=None):
        if out is None or isinstance(out, np.ndarray):
            return super().transform(X, out=out)
        np.save(out, super().transform(list(X)))
        return np.load(out, mmap_mode="r")


class WritesUnderTheFinalName(LetterEncoder):
    def transform(self, X, *, out=None):
        if out is not None and not isinstance(out, np.ndarray):
            out.touch()
            out.unlink() if isinstance(X, list) else None
        return super().transform(X, out=out)


class KeepsNothing(LetterEncoder):
    def transform(self, X, *, out=None):
        if out is not None and not isinstance(out, np.ndarray):
            out.with_name(f"{out.name}.partial").unlink(missing_ok=True)
        return super().transform(X, out=out)


class CountsPositionsInBlocks(LetterEncoder):
    def transform(self, X, *, out=None):
        if isinstance(X, (list, tuple, np.ndarray)) or out is not None or not hasattr(X, "__next__"):
            return super().transform(X, out=out)
        blocks = iter(lambda: list(itertools.islice(X, 3)), [])
        return np.concatenate([super(CountsPositionsInBlocks, self).transform(block) for block in blocks])


class MovesWithTheBatch(LetterEncoder):
    def transform(self, X, *, out=None):
        vectors = super().transform(X, out=out)
        return vectors if out is not None else vectors + np.float32(len(vectors))


class AcceptsSurrogates(LetterEncoder):
    def transform(self, X, *, out=None):
        if isinstance(X, list):
            X = [text.encode("utf-8", "replace").decode() if isinstance(text, str) else text for text in X]
        return super().transform(X, out=out)


class AsksForTargetsInVain(LetterEncoder):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


FAULTS = {
    IgnoresOut: {"check_out_array", "check_out_file"},
    ReturnsACopy: {"check_out_array"},
    TakesAnyArray: {"check_out_array"},
    WritesAtOnce: {"check_out_file"},
    WritesUnderTheFinalName: {"check_out_file"},
    KeepsNothing: {"check_out_file"},
    CountsPositionsInBlocks: {"check_iterators"},
    MovesWithTheBatch: {"check_texts_do_not_influence_each_other"},
    AcceptsSurrogates: {"check_bad_texts"},
    AsksForTargetsInVain: {"check_tags"},
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_fault_is_found(fault):
    with pytest.raises(AssertionError) as caught:
        check_encoder(fault())
    found = {line.split(":")[0].removeprefix("- ") for line in str(caught.value).splitlines() if line.startswith("- ")}
    assert found >= FAULTS[fault]
    if fault is not MovesWithTheBatch:
        assert found == FAULTS[fault]


class Nameless(LetterEncoder):
    _identity = BaseTextEncoder._identity


class Foreign(TransformerMixin, BaseEstimator):
    """An encoder that knows nothing of this package but its rules."""

    def fit(self, X, y=None):
        self.embedding_size_ = 64
        self._read(X)
        return self

    def transform(self, X):
        check_is_fitted(self)
        hashed = HashingVectorizer(n_features=64, analyzer="char").transform(self._read(X))
        return hashed.toarray().astype(np.float32)

    def get_feature_names_out(self, input_features=None):
        return np.array([f"foreign{i}" for i in range(64)], dtype=object)

    def _read(self, X):
        return _texts.check_texts(X, name="Foreign").tolist()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def test_what_is_not_there_is_skipped():
    assert "does not name what its vectors depend on" in check_encoder(Nameless())["check_out_file"]
    outcomes = check_encoder(Foreign())
    skipped = {name for name, outcome in outcomes.items() if outcome.startswith("skipped: transform has no parameter")}
    assert skipped == {"check_iterators", "check_out_array", "check_out_file"}
