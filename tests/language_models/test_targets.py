"""Targets: what y is read as, and which rows tell something."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import coo_array, csr_array

from skllmrec.language_models.fine_tuning._targets import read_targets, targets_digest

SPARSE = csr_array([[2.0, 0.0], [0.5, 1.0], [-1.0, 0.0]])


def read(y, objective="auto", threshold=None, weights=None):
    return read_targets(y, objective, 3, threshold=threshold, weights=weights)


@pytest.mark.parametrize(
    ("y", "names", "kind"),
    [
        (SPARSE, ("contrastive", "factors"), "interactions"),
        ([0.5, 1.25, 0.0], ("regression",), "numbers"),
        ([[0.5], [1.25], [0.0]], ("regression",), "numbers"),
        (np.arange(6.0).reshape(3, 2), ("regression",), "numbers"),
        ([3, 1, 3], ("classification",), "labels"),
        ([1.0, 2.0, 1.0], ("classification",), "labels"),
        (["b", "a", "b"], ("classification",), "labels"),
        (np.array(["b", "a", "b"], dtype=object), ("classification",), "labels"),
        ([True, False, True], ("classification",), "labels"),
    ],
)
def test_auto(y, names, kind):
    found = read(y)
    assert tuple(found) == names and {own.kind for own in found.values()} == {kind}


def test_positives():
    assert_array_equal(read(SPARSE)["factors"].values.toarray(), [[1, 0], [1, 1], [0, 0]])
    assert_array_equal(read(SPARSE, threshold=1)["factors"].values.toarray(), [[1, 0], [0, 1], [0, 0]])
    assert_array_equal(read(SPARSE)["factors"].informative, [True, True, False])
    assert_array_equal(read(SPARSE.toarray(), "contrastive")["contrastive"].values.toarray(), [[1, 0], [1, 1], [0, 0]])


def test_labels_are_codes_and_numbers_are_columns():
    assert_array_equal(read(["b", "a", "b"])["classification"].values, [1, 0, 1])
    assert_array_equal(read([3, 1, 3], "regression")["regression"].values, [[3], [1], [3]])
    assert_array_equal(read([0.5, 1.25, 0.5], "classification")["classification"].values, [0, 1, 0])


def test_several_objectives():
    assert tuple(read(SPARSE, "multitask")) == ("contrastive", "factors")
    assert tuple(read(SPARSE, "multitask", weights={"interactions": 1.0})) == ("interactions",)
    found = read({"factors": np.arange(6.0).reshape(3, 2), "classification": [0, 1, 1]}, "multitask")
    assert [own.kind for own in found.values()] == ["numbers", "labels"]


@pytest.mark.parametrize(
    ("y", "weights", "message"),
    [
        ({"factors": SPARSE}, {"contrastive": 1.0}, r"names \['contrastive'\], but y has targets for \['factors'\]"),
        ({"factors": SPARSE}, {"factors": "1"}, "numbers above 0"),
        (SPARSE, {}, r"task_weights names the objectives \[\]"),
        ({}, None, r"y names the objectives \[\]"),
    ],
)
def test_targets_and_weights_are_of_the_same_objectives(y, weights, message):
    with pytest.raises(ValueError, match=message):
        read(y, "multitask", weights=weights)


def test_digest_depends_on_all_of_it():
    texts = ["a", "b", "c"]
    same = targets_digest(texts, read(SPARSE)), targets_digest(list(texts), read(SPARSE.copy()))
    assert same[0] == same[1]
    others = [
        targets_digest(["a", "b", "d"], read(SPARSE)),
        targets_digest(["ab", "", "c"], read(SPARSE)),
        targets_digest(texts, read(SPARSE, threshold=1)),
        targets_digest(texts, read(csr_array([[0.0, 2.0], [0.5, 1.0], [0.0, 0.0]]))),
        targets_digest(texts, read([0, 1, 0])),
        targets_digest(texts, read([0, 1, 1])),
        targets_digest(texts, read([0.0, 1.5, 0.0])),
    ]
    assert len({same[0], *others}) == 1 + len(others)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (pd.array(["a", pd.NA, "b", "a"], dtype="string"), r"1 missing label\(s\); the first, <NA>, is in row 1"),
        (np.array(["a", "b", pd.NaT, "a"], dtype=object), r"1 missing label\(s\); the first, NaT, is in row 2"),
        (np.array([0.5, 1.5, None, pd.NA], dtype=object), r"2 value\(s\) that are not finite.* is in row 2"),
        (np.array([1, "a", 1, "a"], dtype=object), r"labels of the types int, str, which have no order.*astype\(str\)"),
        (pd.DataFrame({"kind": ["a", "b"] * 2, "mood": ["c"] * 4}), "such as 'a' where numbers are needed"),
        (coo_array([1.0, 0.0, 1.0, 0.0]), r"y has shape \(4,\)"),
    ],
)
def test_targets_that_say_nothing_are_named(y, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read_targets(y, "auto", 4, threshold=None, weights=None)


def test_numbers_that_were_kept_as_objects_are_numbers():
    (targets,) = read(np.array([0.5, 1.25, 3], dtype=object)).values()
    assert targets.kind == "numbers" and targets.values.dtype == np.float64
    (targets,) = read(np.array([10**20, 10**20 + 1, 3], dtype=object)).values()
    assert targets.kind == "labels" and len(set(targets.values)) == 3
