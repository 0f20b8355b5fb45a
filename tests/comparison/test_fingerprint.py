"""Fingerprints: equal in every process, different where the result may differ."""

import sys
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from fresh_process import run_python
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skllmrec.base import FeatureTable
from skllmrec.comparison import _fingerprint
from skllmrec.comparison._fingerprint import Fingerprint, digest, fingerprint_data, fingerprint_program, versions
from skllmrec.metrics import make_ranking_scorer
from skllmrec.model_selection import PerUserKFold
from skllmrec.preprocessing import TextAnalyzer
from skllmrec.recommenders import FeatureMFRecommender


def cut(text, length=3):
    return text[:length]


def build():
    """A configuration with everything in it that usually is."""
    encoder = make_pipeline(TfidfVectorizer(analyzer=TextAnalyzer(), tokenizer=partial(cut, length=2)))
    search = GridSearchCV(
        FeatureMFRecommender(item_encoder=encoder, item_features=slice(1, 3), random_state=np.random.RandomState(0)),
        [{"alpha": [None, np.float32(0.1)]}], scoring=make_ranking_scorer("ndcg", k=3), cv=PerUserKFold(2),
    )  # fmt: skip
    parts = [lambda text: text in {"a", "b", "c"}, {"x", "y", "z"}, np.arange(3), np.dtype("f4"), np.log, len, Ridge]
    return [search, *parts]


def test_the_same_in_another_process():
    code = "from test_fingerprint import build, Fingerprint; f = Fingerprint(build()); print(f.digest, f.unknown)"
    output, errors = run_python(code, environment={"PYTHONHASHSEED": "1"})
    here = Fingerprint(build())
    assert output.split() == [here.digest, "[]"], errors
    assert here.unknown == []


@pytest.mark.parametrize(
    "pair",
    [
        (Ridge(alpha=1), Ridge(alpha=2)),
        (Ridge(alpha=1), Ridge(alpha="1")),
        (make_pipeline(Ridge(alpha=1)), make_pipeline(Ridge(alpha=2))),
        (PerUserKFold(2, random_state=0), PerUserKFold(2, random_state=1)),
        (make_ranking_scorer("ndcg", k=3), make_ranking_scorer("ndcg", k=4)),
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x, y=1: y, lambda x, y=2: y),
        (partial(cut, length=1), partial(cut, length=2)),
        (np.random.RandomState(0), np.random.RandomState(1)),
        (np.random.default_rng(0), np.random.default_rng(1)),
        (["ab", "c"], ["a", "bc"]),
        ([1, 2], (1, 2)),
        ({"a": None}, {"b": None}),
        (np.float32, np.float64),
    ],
    ids=[
        "value",
        "type",
        "nested",
        "splitter",
        "scorer",
        "code",
        "default",
        "partial",
        "random state",
        "generator",
        "borders",
        "container",
        "key",
        "class",
    ],
)
def test_what_changes_the_result_changes_the_fingerprint(pair):
    first, second = map(Fingerprint, pair)
    assert first.digest != second.digest
    assert first.unknown == second.unknown == []


def test_closures_and_constants_inside_functions_count():
    def make(bound):
        return lambda x: x > bound

    assert Fingerprint(make(1)).digest == Fingerprint(make(1)).digest != Fingerprint(make(2)).digest


def test_processes_and_talk_do_not_count():
    first, second = (GridSearchCV(Ridge(), {}, n_jobs=n, verbose=n) for n in (1, 2))
    assert Fingerprint(first).digest == Fingerprint(second).digest


@pytest.mark.parametrize("unknown", [object(), torch.ones(2), iter([1])], ids=["object", "tensor", "iterator"])
def test_what_lives_in_memory_alone_is_named(unknown):
    found = Fingerprint(make_pipeline(Ridge(alpha=[1, unknown])))
    assert len(found.unknown) == 1
    assert found.unknown[0].startswith("steps.0.1.alpha.1 (")


def test_nothing_goes_round_in_circles():
    class Loop:
        pass

    loop = Loop()
    loop.self = loop
    assert "(Loop)" in Fingerprint(loop).unknown[0]


def test_the_code_of_a_class_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "own_model_of_a_test.py"
    body = "from sklearn.linear_model import Ridge\nclass Own(Ridge):\n    def extra(self): return {}\n"
    digests = []
    for value in ("1", "1", "22"):
        path.write_text(body.format(value))
        sys.modules.pop(path.stem, None)
        digests.append(Fingerprint(__import__(path.stem).Own()).digest)
    sys.modules.pop(path.stem, None)
    assert digests[0] == digests[1] != digests[2]


def test_versions_and_source_of_the_program_count(tmp_path, monkeypatch):
    (tmp_path / "comparison").mkdir()
    monkeypatch.setattr(_fingerprint, "__file__", str(tmp_path / "comparison" / "_fingerprint.py"))
    source, digests = tmp_path / "recommenders.py", []
    for text, known in (("x = 1", {}), ("x = 1", {}), ("x = 22", {}), ("x = 22", {"torch": "0.1"})):
        source.write_text(text)
        monkeypatch.setattr(_fingerprint, "versions", lambda known=known: versions() | known)
        digests.append(fingerprint_program.__wrapped__())
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


FRAME = pd.DataFrame({"user": ["a", "b", None], "item": [1, 2, 3], "score": [0.5, np.nan, 1.0]})


@pytest.mark.parametrize(
    "other",
    [
        FRAME.rename(columns={"item": "thing"}),
        FRAME.astype({"item": float}),
        FRAME.assign(score=[0.5, np.nan, 2.0]),
        FRAME.assign(user=["a", "b", "c"]),
        FRAME.iloc[::-1],
        FRAME.iloc[:2],
        FRAME[["item", "user", "score"]],
        FeatureTable(FRAME[["item", "score"]], key="item"),
        None,
    ],
    ids=["name", "type", "value", "missing", "order", "rows", "columns", "table", "none"],
)
def test_other_data(other):
    assert fingerprint_data(FRAME) == fingerprint_data(FRAME.copy())
    assert fingerprint_data(FRAME) != fingerprint_data(other)


def test_kinds_of_data():
    polars = pl.DataFrame({"a": ["x", None], "b": [1, 2]})
    for data in (FRAME.to_numpy(), polars, csr_array(np.eye(3)), [1, 2], FRAME["item"]):
        assert fingerprint_data(data) == fingerprint_data(data)
    assert fingerprint_data(csr_array(np.eye(3))) != fingerprint_data(csr_array(2 * np.eye(3)))
    key = FRAME[["item", "score"]].assign(score=[7, 8, 9])
    assert fingerprint_data(FeatureTable(key, key="item")) != fingerprint_data(FeatureTable(key, key="score"))
    assert fingerprint_data(np.zeros(2)) != fingerprint_data(np.zeros(2, dtype=np.int64))  # the same bytes
    objects = [np.array(values, dtype=object) for values in ([1, 2], ["1", 2], ["1", "2"])]
    assert len(set(map(fingerprint_data, objects))) == 3


def test_a_digest_knows_where_parts_end():
    assert digest("ab", "c") != digest("a", "bc")
