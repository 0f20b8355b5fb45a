"""The fitted state of a factorisation with priors: scores, fold-in, and factors of new users and items."""

import numpy as np

from skllmrec._kernels.als.feature_als import FactorModel, FittedSide, fold_in
from skllmrec._kernels.als.row_solver import gram_of
from skllmrec.base._interactions import interactions_of
from skllmrec.recommenders._factor_tables import FactorTableRecommender
from skllmrec.recommenders._order import FadingRecommender


class PriorFactorRecommender(FadingRecommender, FactorTableRecommender):
    """A recommender that holds a `FactorModel`: factors, biases, and maps from features to both.

    A subclass has the parameter ``feedback``, and its ``_fit_interactions`` ends with ``_adopt``.
    """

    def _adopt(self, model, interactions):
        """Set the fitted attributes."""
        self.mean_, self.n_iter_, self.alpha_ = model.mean, model.n_iter, model.alpha
        self.unobserved_weight_ = model.unobserved_weight
        self.n_components_ = model.items.vectors.shape[1]
        self._settings = {
            name: getattr(model, name) for name in ("scale", "explicit", "alpha", "nu", "unobserved_weight")
        }
        self._ridge_scale, self._priors = {}, {}
        self._store("user", model.users, interactions.weights.shape[0], interactions.user_features)
        self._store("item", model.items, interactions.weights.shape[1], interactions.item_features)
        self._learn_typical_user()

    def _store(self, side, fitted, n_rows, features):
        """Store one side of the fitted model, extended to the rows that only a table contains."""
        n_trained = len(fitted.vectors)
        setattr(self, f"_{side}_map", fitted.feature_map)
        setattr(self, f"{side}_prior_strength_", fitted.prior_strength)
        self._ridge_scale[side] = fitted.ridge_scale
        self._priors[side] = None
        if fitted.feature_map is not None:
            width = self.n_components_ + (self.feedback == "explicit")
            prior = fitted.prior_strength * self._predicted(side, features[:n_trained], n_trained)[:, :width]
            self._priors[side] = prior.astype(fitted.vectors.dtype)
        self._keep(side, np.column_stack([fitted.vectors, fitted.bias]))
        self._append(side, None if features is None else features[n_trained:], n_rows)

    def _predicted(self, side, features, n_rows):
        """Predict factors and biases by the map of a side, (n_rows, n_components + 1); zeros where there is none."""
        table = np.zeros((n_rows, self.n_components_ + 1))
        feature_map = getattr(self, f"_{side}_map")
        if feature_map is not None and features is not None:
            predicted = feature_map.predict(features)
            table[:, : predicted.shape[1]] = predicted
        return table

    def _partial_fit_interactions(self, interactions, users, items):
        n_users, n_items = interactions.weights.shape
        self._extend_order(interactions)
        self._append("user", interactions.user_features, n_users)
        self._append("item", interactions.item_features, n_items)
        self._fold_in("user", users, self._faded(interactions.weights), interactions.ratings)
        self._fold_in("item", items, *interactions.transposed())
        self._learn_typical_user()

    def _learn_typical_user(self):
        """Store the factors that users without any data get: those of the mean user, without biases."""
        self._typical_user = np.zeros(self.n_components_ + 1)
        if self.feedback == "implicit":
            self._typical_user[:-1] = self.user_factors_.mean(axis=0)

    def _refresh_users(self, users, weights, ratings=None):
        self._fold_in("user", users, weights, ratings)

    def _fold_in(self, side, rows, weights, ratings):
        """Solve the factors of some rows of a side exactly, with the other side held fixed."""
        prior = self._priors[side]
        vectors, biases = fold_in(
            self._factor_model(),
            f"{side}s",
            *interactions_of(weights, ratings, rows),
            prior=None if prior is None else prior[rows],
        )
        getattr(self, f"{side}_factors_")[rows] = vectors
        getattr(self, f"{side}_biases_")[rows] = biases

    def _factor_model(self):
        """Return the fitted state in the form that the kernels expect."""
        sides = (
            FittedSide(self.user_factors_, self.user_biases_, ridge_scale=self._ridge_scale["user"]),
            FittedSide(self.item_factors_, self.item_biases_, ridge_scale=self._ridge_scale["item"]),
        )
        return FactorModel(*sides, self.mean_, **self._settings)

    def _side_vectors(self, side, entities, default):
        """Return [factors | bias] of known and new entities."""
        new = None
        if entities.features is not None and getattr(self, f"_{side}_map") is not None:
            new = self._predicted(side, entities.features, entities.features.shape[0])
        return self._filled(side, entities, new, default)

    def _user_vectors(self, users):
        table = self._side_vectors("user", users, self._typical_user)
        if users.history is not None:
            table = self._folded_in(users, table)
        return np.column_stack([table[:, :-1], table[:, -1] + self.mean_, np.ones(len(table), table.dtype)])

    def _prepare_histories(self):
        if self.feedback == "implicit":
            self._item_gram = gram_of(self.item_factors_.astype(np.float64))

    def _folded_in(self, users, table):
        """Solve [factors | bias] of users with the history passed to `recommend`."""
        rows = np.flatnonzero(np.diff(users.history.weights.indptr))
        known, prior = users.codes[rows], self._priors["user"]
        weights, ratings = self._interactions_of(users.take(rows))
        if prior is not None:
            # the prior of a new user is the prediction from their features, or zero without features
            predicted = table[rows, : prior.shape[1]] if users.features is not None else 0.0
            prior = np.where((known >= 0)[:, np.newaxis], prior[known], predicted)
        vectors, biases = fold_in(
            self._factor_model(), "users", weights, ratings, prior=prior, gram=getattr(self, "_item_gram", None)
        )
        table[rows] = np.column_stack([vectors, biases])
        return table

    def _item_vectors(self, items):
        table = self._side_vectors("item", items, np.zeros(self.n_components_ + 1))
        return np.column_stack([table[:, :-1], np.ones(len(table), table.dtype), table[:, -1]])
