"""The fitted state of TwoTowerRecommender: vectors, and the maps that give new users and items theirs."""

from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted

from skllmrec._kernels.feature_map import (
    STRENGTHS,
    FeatureBasis,
    FeatureMap,
    choose_strength,
    factorise_features,
    fit_map,
)
from skllmrec._typing import Array, Column, FloatArray, IntArray, Matrix, Rows
from skllmrec.base import Interactions
from skllmrec.base._interactions import interactions_of
from skllmrec.recommenders._factor_tables import FactorTableRecommender

_OTHER = {"user": "item", "item": "user"}
HISTORY_PRIOR = 2.0  # interactions: the weight of the prior in an estimate from a history


def basis_of(features: Matrix, counts: IntArray) -> FeatureBasis | None:
    """Decompose features for `fit_ridge`, with rows weighted by the logarithm of their numbers of interactions.

    Parameters
    ----------
    features : {ndarray, csr_matrix} of shape (n, k)
    counts : ndarray of shape (n,)

    Returns
    -------
    FeatureBasis, or None where all rows are equal.
    """
    lowest, highest = (getattr(features, extreme)(axis=0) for extreme in ("min", "max"))
    varies = abs(highest - lowest).max() > 0
    return factorise_features(features, np.log1p(counts)) if varies else None


def fit_ridge(basis: FeatureBasis | None, n_features: int, table: FloatArray) -> FeatureMap:
    """Fit a ridge map to a table, with the strength chosen by leave-one-out; the mean row without a basis.

    Parameters
    ----------
    basis : FeatureBasis or None
    n_features : int
    table : ndarray of shape (n, width)

    Returns
    -------
    FeatureMap
    """
    table = table.astype(np.float64)
    if basis is None:
        return FeatureMap(np.zeros((n_features, table.shape[1])), table.mean(axis=0))
    return fit_map(basis, table, STRENGTHS[choose_strength(basis, table)])


class TowerVectorRecommender(FactorTableRecommender):
    """A recommender that holds vectors and biases of both sides, and ridge maps to those of new users and items.

    Two maps for each side predict a row ``[vector, bias]``: from its features, and from its history (the sum of the
    vectors of the items or users it interacted with, see `_history_sums`). With both, the predictions are averaged, and
    the weight of the history grows with its length. The maps are fitted in closed form on the rows that the network
    learned; the network itself is not needed after the training.
    """

    def _adopt(self, trained, interactions, bases):
        """Set the fitted attributes: scaled vectors and biases, maps, and the rows that only a table contains."""
        n_users, n_items = interactions.trained_shape
        for side, vectors, bias in zip(("user", "item"), trained.vectors, trained.biases, strict=True):
            self._keep(side, np.column_stack([vectors * self._scale**0.5, bias * self._scale]))
        transposed, ratings = interactions.transposed()
        weights = {"user": interactions.weights[:n_users, :n_items], "item": transposed[:n_items, :n_users]}
        ratings = {"user": interactions.ratings, "item": ratings}
        tables = {side: self._table(side) for side in _OTHER}
        features = {"user": interactions.user_features, "item": interactions.item_features}
        self._feature_maps, self._history_maps = {}, {}
        for side, table in tables.items():
            known = features[side]
            self._feature_maps[side] = None if known is None else fit_ridge(bases[side], known.shape[1], table)
            counts = np.diff(weights[side].indptr)
            histories, _ = self._history_sums(side, weights[side], ratings[side])
            self._history_maps[side] = fit_ridge(basis_of(histories, counts), histories.shape[1], table)
        self._typical = {side: table.mean(axis=0) for side, table in tables.items()}
        self._priors = dict.fromkeys(tables)
        for side, n_trained, n_rows in zip(tables, (n_users, n_items), interactions.weights.shape, strict=True):
            if features[side] is not None:
                self._priors[side] = self._predicted(side, features[side][:n_trained], n_trained)
            self._append(side, None if features[side] is None else features[side][n_trained:], n_rows)

    # -- new rows -----------------------------------------------------------------------------------------------

    def _predicted(self, side, features, n_rows):
        """Predict [vector | bias] of rows without interactions from their features; the mean row without features."""
        feature_map = self._feature_maps[side]
        if features is None or feature_map is None:
            return np.tile(self._typical[side], (n_rows, 1))
        return feature_map.predict(features).astype(self._typical[side].dtype)

    def _history_sums(self, side, weights, ratings):
        """Compute ``sum_j w_j r_j [q_j, 1] / (sum_j w_j + 2)`` of histories, with r_j the rating minus mean and bias.

        Implicit feedback has r_j = 1 and w_j = 1 for every observed pair, because counts are not strengths.

        Parameters
        ----------
        side : {"user", "item"}
            The side that the histories belong to.
        weights : csr_matrix of shape (n_rows, n_others)
        ratings : ndarray of shape (nnz,) or None

        Returns
        -------
        histories : ndarray of shape (n_rows, n_components + 1)
        sizes : ndarray of shape (n_rows, 1)
            Sums of the w_j.
        """
        others = self._table(_OTHER[side])[: weights.shape[1]].astype(np.float64)
        counted = weights.data if ratings is not None else (weights.data > 0).astype(np.float64)
        values = counted if ratings is None else counted * (ratings - self.mean_ - others[weights.indices, -1])
        sizes, values = (
            sparse.csr_matrix((data, weights.indices, weights.indptr), weights.shape) for data in (counted, values)
        )
        sizes = np.asarray(sizes.sum(axis=1)).reshape(-1, 1)
        return values @ np.column_stack([others[:, :-1], np.ones(len(others))]) / (sizes + HISTORY_PRIOR), sizes

    def _estimate_from_history(self, side, weights, ratings, prior):
        """Estimate [vector | bias] from histories, shrunk towards the prior; without a prior, not shrunk at all."""
        histories, sizes = self._history_sums(side, weights, ratings)
        if prior is None:
            share, prior = sizes > 0, self._typical[side]
        else:
            share = sizes / (sizes + HISTORY_PRIOR)
        return share * self._history_maps[side].predict(histories) + (1 - share) * prior

    def _moved(self, side, table, prior, before, after):
        """Update rows after their history has grown: the deviation of a row from the estimate by its history is kept.

        Parameters
        ----------
        side : {"user", "item"}
        table : ndarray of shape (n_rows, n_components + 1)
            Current rows.
        prior : ndarray of the same shape, or None
        before, after : tuple (weights, ratings)
            Histories; a row without a history before is its prior and has no deviation.
        """
        deviation = table - self._estimate_from_history(side, *before, prior)
        return (self._estimate_from_history(side, *after, prior) + deviation).astype(table.dtype)

    # -- fold-in ------------------------------------------------------------------------------------------------

    def _partial_fit_interactions(self, interactions, users, items):
        features = {"user": interactions.user_features, "item": interactions.item_features}
        for side, n_rows in zip(features, interactions.weights.shape, strict=True):
            self._append(side, features[side], n_rows)
        shape = interactions.weights.shape
        seen = sparse.csr_matrix((self.seen_.data, self.seen_.indices, _longer(self.seen_.indptr, shape[0])), shape)
        before = Interactions(interactions.users, interactions.items, seen, self._ratings)
        for side, rows in (("user", users), ("item", items)):
            histories = [
                interactions_of(*((each.weights, each.ratings) if side == "user" else each.transposed()), rows)
                for each in (before, interactions)
            ]
            table, prior = self._table(side), self._priors[side]
            table[rows] = self._moved(side, table[rows], None if prior is None else prior[rows], *histories)
            self._keep(side, table)

    # -- inference ----------------------------------------------------------------------------------------------

    def _side_table(self, side, entities):
        """Return [vector | bias] of known and new entities."""
        new = None
        if entities.features is not None and self._feature_maps[side] is not None:
            new = self._predicted(side, entities.features, entities.features.shape[0])
        return self._filled(side, entities, new, self._typical[side])

    def _user_vectors(self, users):
        table = self._side_table("user", users)
        if users.history is not None:
            table = self._with_history(users, table)
        if self.feedback == "implicit":
            return np.ascontiguousarray(table[:, :-1])
        return np.column_stack([table[:, :-1], table[:, -1] + self.mean_, np.ones(len(table), table.dtype)])

    def _with_history(self, users, table):
        """Update rows of users by the history passed to `recommend`."""
        rows = np.flatnonzero(np.diff(users.history.weights.indptr))
        users, prior = users.take(rows), None
        if self._priors["user"] is not None:
            known = (users.codes >= 0)[:, np.newaxis]
            prior = np.where(known, self._priors["user"][users.codes], table[rows])
        before = replace(users, history=None)
        table[rows] = self._moved(
            "user", table[rows], prior, self._interactions_of(before), self._interactions_of(users)
        )
        return table

    def _item_vectors(self, items):
        table = self._side_table("item", items)
        if self.feedback == "implicit":
            return np.ascontiguousarray(table[:, :-1])
        return np.column_stack([table[:, :-1], np.ones(len(table), table.dtype), table[:, -1]])

    # -- tasks --------------------------------------------------------------------------------------------------

    @property
    def task_classes_(self) -> dict[Column, Array]:
        """Labels of the classification tasks."""
        check_is_fitted(self)
        return {name: task.classes for name, task in self._tasks.items() if task.kind == "classification"}

    def predict_task(self, X: Rows, task: Column) -> Array:
        """Predict a task's column.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Rows laid out as in `fit`; what they hold in the column itself is not read.
        task : str or int
            A key of `tasks`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Numbers in the units of the column (regression) or the likeliest labels (classification).

        Raises
        ------
        ValueError
            If there is no such task.
        UnknownIdError
            If a user or item is unknown and `handle_unknown="error"`.
        """
        outputs = self._task_output(X, task)
        if self._tasks[task].kind == "regression":
            return outputs[:, 0]
        return self._tasks[task].classes[outputs.argmax(axis=1)]

    def predict_task_proba(self, X: Rows, task: Column) -> FloatArray:
        """Probabilities of the labels of a classification task.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Rows laid out as in `fit`.
        task : str or int
            A key of `tasks`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``task_classes_[task]``.

        Raises
        ------
        ValueError
            If there is no such task, or it is a regression.
        UnknownIdError
            If a user or item is unknown and `handle_unknown="error"`.
        """
        outputs = self._task_output(X, task)
        if self._tasks[task].kind == "regression":
            raise ValueError(f"task {task!r} is a regression, which has no probabilities: use predict_task")
        return softmax(outputs, axis=1)

    def _task_output(self, X, task):
        check_is_fitted(self)
        if task not in self._tasks:
            raise ValueError(f"{task!r} is not a task of this recommender; tasks={list(self._tasks)}")
        users, items = self._pairs(X)
        tables = (self._side_table(side, entities) for side, entities in (("user", users), ("item", items)))
        return self._tasks[task].output(*(table[:, :-1] / self._scale**0.5 for table in tables))


def _longer(indptr, n_rows):
    """Row pointers with empty rows at the end."""
    return np.append(indptr, np.full(n_rows + 1 - len(indptr), indptr[-1], indptr.dtype))
