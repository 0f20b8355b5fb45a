"""Checks of `fit` and `partial_fit`, one part of the contract of recommenders."""
# ruff: noqa: D401, D403 - the docstring of a check is the rule that it checks

import inspect
import io
import pickle
from collections.abc import Callable
from importlib import import_module
from typing import Any, Self
from unittest import SkipTest

import joblib
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone

from skllmrec._typing import Array, Estimator
from skllmrec.base import FeatureTable
from skllmrec.exceptions import UnknownIdError
from skllmrec.testing._expectations import (
    TOLERANCE,
    all_results,
    expect_error,
    require,
    require_finite,
    require_same,
)
from skllmrec.testing._group_data import N_ITEMS, N_USERS, GroupData

# (method, texts, targets) of each call of the recording encoder; not an attribute, since the encoder is cloned
_CALLS: list[tuple[str, list[Any], Any]] = []


class _RecordingEncoder(TransformerMixin, BaseEstimator):
    """Encodes a text by its length and first letter, and records every call."""

    def fit_transform(self, X: Any, y: Any = None) -> Array:
        _CALLS.append(("fit", list(X), y))
        self.fitted_ = True
        return self._encode(X)

    def fit(self, X: Any, y: Any = None) -> Self:
        self.fit_transform(X, y)
        return self

    def transform(self, X: Any) -> Array:
        _CALLS.append(("transform", list(X), None))
        return self._encode(X)

    def _encode(self, X):
        return np.array([[len(text), ord((text + " ")[0])] for text in X], dtype=float)


def _frame_library(name):
    """Import a library of frames, which is optional; None if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def _make_frame():
    """Return the frame class of pandas or polars."""
    library = _frame_library("pandas") or _frame_library("polars")
    if library is None:
        raise SkipTest("neither pandas nor polars is installed")
    return library.DataFrame


def check_fitted_attributes(recommender: Estimator, personalised: bool) -> None:
    """`fit` returns self and sets `users_`, `items_` (sorted ids) and `seen_` (CSR, one row per user)."""
    data = GroupData(recommender)
    model = clone(data.recommender)
    require(model.fit(data.X, data.y) is model, "fit does not return self")
    assert_array_equal(model.users_, data.ids("user", np.arange(N_USERS)))
    assert_array_equal(model.items_, data.ids("item", np.arange(N_ITEMS)))
    require(getattr(model.seen_, "format", None) == "csr", "seen_ is not a CSR matrix")
    require(model.seen_.shape == (N_USERS, N_ITEMS), f"seen_ has shape {model.seen_.shape}")
    users, items = model.seen_.nonzero()
    order = np.lexsort((data.item_codes, data.user_codes))
    assert_array_equal(users, data.user_codes[order], err_msg="seen_ does not hold the pairs of X")
    assert_array_equal(items, data.item_codes[order], err_msg="seen_ does not hold the pairs of X")


def check_nothing_is_modified(recommender: Estimator, personalised: bool) -> None:
    """`fit` and the methods after it modify neither the parameters nor the data."""
    data = GroupData(recommender)
    X, y, model = data.X.copy(), data.y.copy(), clone(data.recommender)
    before = {name: repr(value) for name, value in model.get_params().items()}
    model.fit(X, y)
    model.predict(X)
    model.recommend(data.ids("user", [0]), n_items=2)
    assert_array_equal(X, data.X, err_msg="X was modified")
    assert_array_equal(y, data.y, err_msg="y was modified")
    after = {name: repr(value) for name, value in model.get_params().items()}
    require(after == before, "parameters were modified by fit")


def check_ids_compare_by_value(recommender: Estimator, personalised: bool) -> None:
    """Integer, float and string ids give equal results, in arrays and in lists."""
    integers, item_codes = GroupData(recommender), np.arange(N_ITEMS)
    expected = all_results(integers.fitted(), integers)
    for kind in ("float", "str"):
        data = GroupData(recommender, kind=kind)
        scores, ids, best = all_results(data.fitted(), data)
        assert_allclose(scores, expected[0], **TOLERANCE, err_msg=f"predictions with {kind} ids")
        assert_allclose(best, expected[2], **TOLERANCE, err_msg=f"recommended scores with {kind} ids")
        names = dict(zip(integers.ids("item", item_codes), data.ids("item", item_codes), strict=True))
        renamed = np.array([[names[item] for item in row] for row in expected[1].tolist()], dtype=ids.dtype)
        assert_array_equal(ids, renamed, err_msg=f"recommended items with {kind} ids")
    model = integers.fitted()
    for users in ([10, 16], [10.0, 16.0], np.array([10, 16], np.int32), np.array([10, 16], object)):
        ids, _ = model.recommend(users, n_items=3)
        assert_array_equal(ids, expected[1][[0, 2]], err_msg=f"users as {type(users).__name__} {users!r}")


def _frames(data):
    """Yield X as a frame of each installed library, with plain and with categorical ids."""
    pandas, polars = _frame_library("pandas"), _frame_library("polars")
    if pandas is None and polars is None:
        raise SkipTest("neither pandas nor polars is installed")
    if pandas is not None:
        frame = data.frame(pandas.DataFrame)
        yield "pandas", frame
        yield "pandas with categoricals", frame.astype({"user_id": "category", "item_id": "category"})
    if polars is not None:
        frame = data.frame(polars.DataFrame)
        yield "polars", frame
        if data.kind == "str":
            yield "polars with categoricals", frame.cast({"user_id": polars.Categorical, "item_id": polars.Categorical})


def check_frames_equal_arrays(recommender: Estimator, personalised: bool) -> None:
    """pandas and polars frames, with and without categorical ids, give the results of arrays."""
    for kind in ("int", "str"):
        data = GroupData(recommender, kind=kind)
        model = data.fitted()
        for name, frame in _frames(data):
            other = data.by_name().fit(frame, data.y)
            assert_allclose(other.predict(frame), model.predict(data.X), **TOLERANCE, err_msg=f"{name}, {kind} ids")
            ids, scores = other.recommend(frame["user_id"][:3], n_items=3)
            expected = model.recommend(data.X[:3, 0], n_items=3)
            assert_array_equal(ids, expected[0], err_msg=f"{name}, {kind} ids")
            assert_allclose(scores, expected[1], **TOLERANCE, err_msg=f"{name}, {kind} ids")


def check_unknown_ids_raise(recommender: Estimator, personalised: bool) -> None:
    """With `handle_unknown="error"`, unknown users and items raise an UnknownIdError that names the id.

    Raises
    ------
    SkipTest
        If the recommender has no parameter `handle_unknown`.
    """
    if "handle_unknown" not in recommender.get_params(deep=False):
        raise SkipTest("the recommender has no parameter handle_unknown")
    data = GroupData(recommender, handle_unknown="error")
    model = data.fitted()
    user, item = data.ids("user", [N_USERS])[0], data.ids("item", [N_ITEMS])[0]
    known = data.ids("user", [0])
    expect_error(UnknownIdError, lambda: model.predict(data.rows([0, N_USERS], 0)), user, "position 1")
    expect_error(UnknownIdError, lambda: model.predict(data.rows(0, [0, 1, N_ITEMS])), item, "position 2")
    expect_error(UnknownIdError, lambda: model.recommend([known[0], user], n_items=1), user, "position 1")
    expect_error(UnknownIdError, lambda: model.recommend(known, n_items=1, candidates=[item]), item, "position 0")


def check_refit_equals_fresh_fit(recommender: Estimator, personalised: bool) -> None:
    """A second `fit` does not depend on the first one."""
    data = GroupData(recommender)
    half = slice(0, len(data.y) // 2)
    model = data.fitted(data.X[half], data.y[half]).fit(data.X, data.y)
    require_same(model, data.fitted(), data, "a second fit differs from a fresh one")


def check_clone_and_round_trips(recommender: Estimator, personalised: bool) -> None:
    """A clone is unfitted and fits equally; pickle and joblib do not change results."""
    data = GroupData(recommender)
    model = data.fitted()
    copy = clone(model)
    require(not hasattr(copy, "seen_"), "the clone of a fitted recommender is fitted")
    require_same(copy.fit(data.X, data.y), model, data, "a clone fits differently")
    require_same(pickle.loads(pickle.dumps(model)), model, data, "pickle changes results")  # noqa: S301 - just written
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    require_same(joblib.load(file), model, data, "joblib changes results")


def check_row_order_does_not_matter(recommender: Estimator, personalised: bool) -> None:
    """The order of the rows of X does not matter."""
    data = GroupData(recommender)
    order = np.random.default_rng(0).permutation(len(data.y))
    model = data.fitted(data.X[order], data.y[order])
    require_same(model, data.fitted(), data, "shuffled rows give another model")


def check_weight_zero_is_removed(recommender: Estimator, personalised: bool) -> None:
    """A row with a `sample_weight` of zero is equivalent to a removed row."""
    data = GroupData(recommender)
    kept = np.arange(len(data.y)) % 4 != 0
    model = data.fitted(data.X, data.y, sample_weight=kept.astype(float))
    require_same(model, data.fitted(data.X[kept], data.y[kept]), data, "weight zero and removed differ")


def check_weight_two_is_repeated(recommender: Estimator, personalised: bool) -> None:
    """A row with a `sample_weight` of two is equivalent to a repeated row."""
    data = GroupData(recommender)
    repeats = 1 + np.arange(len(data.y)) % 2
    model = data.fitted(data.X, data.y, sample_weight=repeats.astype(float))
    X, y = np.repeat(data.X, repeats, axis=0), np.repeat(data.y, repeats)
    require_same(model, data.fitted(X, y), data, "weight two and repeated differ")


def check_items_of_a_table(recommender: Estimator, personalised: bool) -> None:
    """Items of a FeatureTable without interactions are in `items_`, can be recommended, and score like new items.

    Raises
    ------
    SkipTest
        If `fit` does not take `item_table`.
    """
    if "item_table" not in inspect.signature(recommender.fit).parameters:
        raise SkipTest("fit does not take item_table")
    data, make_frame = GroupData(recommender, describe=True), _make_frame()
    cold = N_ITEMS + np.arange(3)
    columns = [column for column, name in enumerate(data.names) if name.startswith("item")]
    catalogue = data.frame(make_frame, data.rows(0, np.append(cold, np.arange(N_ITEMS))))
    table = FeatureTable(catalogue[[data.names[column] for column in columns]], key="item_id")
    misleading = data.rows(data.user_codes, data.item_codes + 1)  # the features in X must not be used
    misleading[:, 1] = data.X[:, 1]
    model = data.by_name().fit(data.frame(make_frame, misleading), data.y, item_table=table)
    assert_array_equal(model.items_, data.ids("item", np.arange(N_ITEMS + 3)), err_msg="items_ lacks cold items")
    ids, scores = model.recommend(data.ids("user", [0]), n_items=3, candidates=data.ids("item", cold))
    require(set(ids[0]) == set(data.ids("item", cold)), "cold items cannot be recommended")
    require(np.isfinite(scores).all(), "a score of a cold item is NaN or inf")
    without = data.by_name().fit(data.frame(make_frame), data.y)
    rows = data.frame(make_frame, data.rows(np.repeat([0, 1, 2], 3), np.tile(cold, 3)))
    assert_allclose(model.predict(rows), without.predict(rows), **TOLERANCE, err_msg="cold and new items differ")


def check_items_are_encoded_once(recommender: Estimator, personalised: bool) -> None:
    """An encoder is fitted once, on the distinct items with their interactions as targets, and not called again.

    Raises
    ------
    SkipTest
        If the recommender takes no `item_encoder`.
    """
    if not {"item_features", "item_encoder"} <= set(recommender.get_params(deep=False)):
        raise SkipTest("the recommender takes no item_encoder")
    prepared = clone(recommender).set_params(item_encoder=_RecordingEncoder(), item_features=0)
    data = GroupData(prepared)
    _CALLS.clear()
    model = data.fitted()
    (name, texts, targets), *later = _CALLS
    require(name == "fit" and not later, f"the encoder was called {len(_CALLS)} times in fit, not once")
    require(
        texts == [data.rows(0, item)[0, data.names.index("item_text")] for item in range(N_ITEMS)],
        "the encoder did not get the items in the order of items_",
    )
    require(sparse.issparse(targets), "targets are not sparse")
    require(targets.shape == (N_ITEMS, N_USERS), "targets are not items x users")
    _CALLS.clear()
    model.predict(data.X)
    model.recommend(data.ids("user", [0]), n_items=2)
    require(not _CALLS, "known items were encoded again")
    model.predict(data.rows([0, 1, 2], [N_ITEMS, N_ITEMS, 0]))
    require([len(texts) for _, texts, _ in _CALLS] == [1], "a new item was not encoded exactly once")


def _data_for_partial_fit(recommender):
    """Return the data; skip the check if the recommender has no `partial_fit`."""
    data = GroupData(recommender)
    if not hasattr(data.recommender, "partial_fit"):
        raise SkipTest("the recommender has no partial_fit")
    return data


def _folded_in(data):
    """Fit a model on all interactions, and another one that also folds in rows of known and new users and items."""
    model = data.fitted()
    changed = data.fitted()
    X = data.rows([N_USERS, N_USERS, 0], [0, N_ITEMS, N_ITEMS])
    # the mean rating, which does not change the means of a model
    rating = np.average(data.y) if not data.implicit else 1.0
    return model, changed.partial_fit(X, np.full(len(X), rating))


def check_partial_fit_on_unfitted_is_fit(recommender: Estimator, personalised: bool) -> None:
    """`partial_fit` on an unfitted recommender is `fit`.

    Raises
    ------
    SkipTest
        If the recommender has no `partial_fit`.
    """
    data = _data_for_partial_fit(recommender)
    model = clone(data.recommender).partial_fit(data.X, data.y)
    require_same(model, data.fitted(), data, "partial_fit on an unfitted recommender differs from fit")


def check_partial_fit_takes_in_new_ids(recommender: Estimator, personalised: bool) -> None:
    """`partial_fit` adds new users and items and their interactions, and does not change the scores of other pairs.

    Of recommenders that learn from all rows again, as a fit on all of them would, other pairs may change.

    Raises
    ------
    SkipTest
        If the recommender has no `partial_fit`.
    """
    data = _data_for_partial_fit(recommender)
    before, after = _folded_in(data)
    assert_array_equal(after.users_, data.ids("user", np.arange(N_USERS + 1)), err_msg="users_ after partial_fit")
    assert_array_equal(after.items_, data.ids("item", np.arange(N_ITEMS + 1)), err_msg="items_ after partial_fit")
    require(after.seen_.shape == (N_USERS + 1, N_ITEMS + 1), f"seen_ has shape {after.seen_.shape}")
    require(after.seen_[N_USERS, 0] > 0 and after.seen_[N_USERS, N_ITEMS] > 0, "the new interactions are not in seen_")
    ids, scores = after.recommend(data.ids("user", [N_USERS]), n_items=N_ITEMS - 1)
    require(np.isfinite(scores).all(), "a score of a new user is NaN or inf")
    require(not np.isin(ids, data.ids("item", [0, N_ITEMS])).any(), "an item of the new rows was recommended")
    if getattr(after, "_learns_from_all_rows_again", False):
        return
    users, items = np.divmod(np.arange((N_USERS - 1) * (N_ITEMS - 1)), N_ITEMS - 1)
    untouched = data.rows(users + 1, items + 1)  # without user 0 and item 0, which got new interactions
    message = "pairs without new interactions changed"
    assert_allclose(after.predict(untouched), before.predict(untouched), **TOLERANCE, err_msg=message)


def check_degenerate_data(recommender: Estimator, personalised: bool) -> None:
    """Scores are finite for one row, one user, one item, equal ratings, and a user who has seen all items."""
    data = GroupData(recommender)
    one = {"row": slice(0, 1), "user": data.user_codes == 0, "item": data.item_codes == 0}
    for rows in one.values():
        require_finite(data.fitted(data.X[rows], data.y[rows]), data, [0, 1, 0, N_USERS], [0, 0, 1, N_ITEMS])
    require_finite(data.fitted(data.X, np.full(len(data.y), 2.0)), data, [0, N_USERS], [0, N_ITEMS])
    X = np.concatenate([data.X, data.rows(0, np.setdiff1d(np.arange(N_ITEMS), data.seen(0)))])
    model = data.fitted(X, np.append(data.y, np.full(len(X) - len(data.y), data.y.max())))
    require_finite(model, data, [0, 1], [0, N_ITEMS])
    _, scores = model.recommend(data.ids("user", [0]), n_items=2)
    assert_array_equal(scores, [[-np.inf, -np.inf]], err_msg="a user who has seen everything gets missing ids")


def check_empty_text(recommender: Estimator, personalised: bool) -> None:
    """An empty text is valid and gives finite results.

    Raises
    ------
    SkipTest
        If the recommender has no encoder of texts.
    """
    data = GroupData(recommender)
    columns = [column for column, name in enumerate(data.names) if name.endswith("text")]
    if not columns:
        raise SkipTest("the recommender has no encoder of texts")
    X = data.X.copy()
    for column in columns:
        X[data.user_codes == 0, column] = X[data.item_codes == 0, column] = ""
    require_finite(data.fitted(X, data.y), data, [0, 1, N_USERS], [0, 1, N_ITEMS])
    new = data.rows(N_USERS, N_ITEMS)
    new[:, columns] = ""
    require(np.isfinite(data.fitted().predict(new)).all(), "predict of an empty text returned NaN or inf")


def check_bad_input(recommender: Estimator, personalised: bool) -> None:
    """Empty X, a missing id or rating, and a string instead of a list of users raise a ValueError that says where."""
    data = GroupData(recommender)
    model = clone(data.recommender)
    X = data.X.astype(object)
    X[3, 1] = None
    expect_error(ValueError, lambda: model.fit(X, data.y), "position 3")
    y = data.y.copy()
    y[5] = np.nan
    expect_error(ValueError, lambda: model.fit(data.X, y), "y", "position 5")
    expect_error(ValueError, lambda: model.fit(data.X[:0], data.y[:0]), "0 sample")
    require(not hasattr(model, "seen_"), "a fit that failed left the recommender fitted")
    fitted = data.fitted()
    expect_error(ValueError, lambda: fitted.recommend("ann", n_items=1), "ann", "list")
    expect_error(ValueError, lambda: fitted.recommend([None], n_items=1), "position 0")


FITTING_CHECKS: list[Callable[[Estimator, bool], None]] = [
    check_fitted_attributes,
    check_nothing_is_modified,
    check_ids_compare_by_value,
    check_frames_equal_arrays,
    check_unknown_ids_raise,
    check_refit_equals_fresh_fit,
    check_clone_and_round_trips,
    check_row_order_does_not_matter,
    check_weight_zero_is_removed,
    check_weight_two_is_repeated,
    check_items_of_a_table,
    check_items_are_encoded_once,
    check_partial_fit_on_unfitted_is_fit,
    check_partial_fit_takes_in_new_ids,
    check_degenerate_data,
    check_empty_text,
    check_bad_input,
]
