"""Matrix factorisation whose factors are drawn towards what the features of users and items predict."""

import copy
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import TransformerMixin
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skllmrec._kernels.feature_als import Entities as FactorSide
from skllmrec._kernels.feature_als import FactorModel, fit_feature_als, fold_in
from skllmrec._progress import progress_bar
from skllmrec._sklearn import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_feature_names_in,
    fit_progress,
    with_callbacks,
)
from skllmrec.base import BaseFactorRecommender

_GRADIENT_SOLVERS = ("adamw", "rmsprop", "sgd")


class FeatureMFRecommender(CallbackSupportMixin, TransformerMixin, BaseFactorRecommender):
    r"""Matrix factorisation with the features of users and items as priors of their factors.

    The score of user u and item i is ``mu + b_u + b_i + p_u . q_i``, with ``p_u ~ N(A x_u, .)`` and
    ``q_i ~ N(B z_i, .)``: A and B are ridge regressions from the encoded features to the factors, learned together
    with them. A known item keeps its own deviation from ``B z_i``; a new one is its ``B z_i``, so that cold start is
    the same formula and not a special case.

    Explicit feedback minimises, over the factors, biases and maps,

    ``sum w (r - mu - b_u - b_i - p_u . q_i)^2 + alpha [sum_u N_u^nu |(p_u, b_u) - s A x_u|^2 + the same over items]``

    and implicit feedback (no mean, no biases)

    ``sum_observed w (p_u . q_i - 1)^2 + a0 sum_all (p_u . q_i)^2
    + alpha [sum_u (N_u + a0 I)^nu |p_u - s A x_u|^2 + the same over items]``

    with N_u the summed weight of u's rows, I the number of items, a0 the `unobserved_weight` and s the `prior_strength`
    of known rows. Sizes ``N^nu`` are rescaled to the same mean for every nu, and ratings to unit variance, so that
    alpha means the same on every scale.

    Parameters
    ----------
    n_components : int, default=64
        Number of factors.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    user_features, item_features : column key or callable, default=None
        Columns that describe the user or the item: a name, a position, a list, a slice or a selector.
    user_encoder, item_encoder : transformer, default=None
        Encodes the feature columns, once for each distinct user or item; a scalar column reaches it one-dimensional.
        None: the columns are numbers.
    feedback : {"explicit", "implicit"}, default="explicit"
        Whether y holds ratings, or non-negative weights (None for all one).
    solver : {"als"}, default="als"
        Alternating least squares by warm-started conjugate gradients. The gradient solvers "adamw", "rmsprop" and
        "sgd" are not there yet.
    alpha : float, default=None
        Strength of the regularisation. None: 0.12 for explicit feedback; for implicit feedback 0.02, or another power
        of two times that, if it ranks held-out interactions better (some short fits on part of the data).
    nu : float, default=None
        How the regularisation of a user or item grows with the number of interactions. None: 0.75 for explicit, 1 for
        implicit feedback.
    feature_alpha : float or "auto", default="auto"
        Ridge strength of the maps A and B, in units of the mean squared singular value of the weighted, centred
        features; "auto" minimises the leave-one-out error in closed form, after sweeps 1, 2, 4, 8, ... and at the end.
    prior_strength : float or "auto", default="auto"
        Share s of the map that the factors of known users and items are drawn to, between 0 (ids only) and 1; new ones
        always get all of it. "auto" chooses 0, 0.5 or 0.75 for each side on held-out interactions, and 0 unless
        another one is better there.
    unobserved_weight : float, default=None
        a0 of implicit feedback. None: ``6 nnz / (n_users n_items)``, which follows the density of the interactions: all
        unobserved pairs of a user together weigh six mean histories.
    max_iter : int, default=15
        Sweeps over users and items.
    tol : float, default=0.0
        Stop when the objective falls by less than this share; 0 never stops early.
    handle_unknown : {"prior", "error"}, default="prior"
        Unknown users and items get what their features predict, without features the mean user's factors (implicit) or
        no bias (explicit); or they raise.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial factors.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    user_factors_, item_factors_ : ndarray of shape (n_users, n_components), (n_items, n_components)
        p and q; float64 for explicit, float32 for implicit feedback.
    user_biases_, item_biases_ : ndarray of shape (n_users,), (n_items,)
        Zero for implicit feedback.
    mean_ : float
        mu, the weighted mean rating; 0 for implicit feedback.
    user_prior_strength_, item_prior_strength_ : float
        The strengths used; 0 without features.
    alpha_, unobserved_weight_ : float
        As given or as chosen.
    n_iter_ : int
        Number of sweeps.
    users_, items_, seen_, user_encoder_, item_encoder_
        See `BaseRecommender`.

    References
    ----------
    .. [1] S. Rendle, W. Krichene, L. Zhang, Y. Koren, "Revisiting the performance of iALS on item recommendation
       benchmarks", RecSys 2022: the implicit objective and its scaling of the regularisation.
    .. [2] Y. Zhou, D. Wilkinson, R. Schreiber, R. Pan, "Large-scale parallel collaborative filtering for the Netflix
       prize", AAIM 2008: regularisation weighted by counts.
    .. [3] D. Agarwal, B.-C. Chen, "Regression-based latent factor models", KDD 2009: features as priors of factors.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from skllmrec.datasets import make_interactions
    >>> from skllmrec.recommenders import FeatureMFRecommender
    >>> data = make_interactions(n_users=50, n_items=40, random_state=0)
    >>> recommender = FeatureMFRecommender(
    ...     8, user="user_id", item="item_id", item_features="title", item_encoder=TfidfVectorizer(),
    ...     feedback="implicit", random_state=0)
    >>> ids, scores = recommender.fit(data.data).recommend(data.users["user_id"][:2], n_items=3)
    >>> ids.shape
    (2, 3)
    """

    _parameter_constraints: dict = {
        **BaseFactorRecommender._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "solver": [StrOptions({"als", *_GRADIENT_SOLVERS})],
        "alpha": [None, Interval(Real, 0, None, closed="neither")],
        "nu": [None, Interval(Real, 0, None, closed="left")],
        "feature_alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "prior_strength": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "unobserved_weight": [None, Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=64,
        *,
        user=0,
        item=1,
        user_features=None,
        item_features=None,
        user_encoder=None,
        item_encoder=None,
        feedback="explicit",
        solver="als",
        alpha=None,
        nu=None,
        feature_alpha="auto",
        prior_strength="auto",
        unobserved_weight=None,
        max_iter=15,
        tol=0.0,
        handle_unknown="prior",
        random_state=None,
        verbose=False,
    ):
        self.n_components = n_components
        self.user = user
        self.item = item
        self.user_features = user_features
        self.item_features = item_features
        self.user_encoder = user_encoder
        self.item_encoder = item_encoder
        self.feedback = feedback
        self.solver = solver
        self.alpha = alpha
        self.nu = nu
        self.feature_alpha = feature_alpha
        self.prior_strength = prior_strength
        self.unobserved_weight = unobserved_weight
        self.max_iter = max_iter
        self.tol = tol
        self.handle_unknown = handle_unknown
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None, *, sample_weight=None, user_table=None, item_table=None):
        if self.solver in _GRADIENT_SOLVERS:
            raise ValueError(f"solver={self.solver!r} is not there yet: use solver='als'")
        self._scored_by_callbacks = X, y
        try:
            return super().fit(X, y, sample_weight=sample_weight, user_table=user_table, item_table=item_table)
        finally:
            del self._scored_by_callbacks

    fit.__doc__ = BaseFactorRecommender.fit.__doc__  # before it is wrapped, so that both have it
    fit = with_callbacks(fit)

    def _fit_interactions(self, interactions):
        n_users, n_items = interactions.trained_shape
        features = interactions.user_features, interactions.item_features
        with (
            fit_progress(self, self.max_iter, *self._scored_by_callbacks) as report,
            progress_bar(self.max_iter, description="ALS", unit="sweeps", enabled=self.verbose) as advance,
        ):

            def after_sweep(make_model):
                advance()
                return report is not None and report(lambda: self._attributes(make_model(), interactions))

            model = fit_feature_als(
                interactions.weights[:n_users, :n_items],
                interactions.ratings,
                user_features=None if features[0] is None else features[0][:n_users],
                item_features=None if features[1] is None else features[1][:n_items],
                n_components=self.n_components,
                alpha=self.alpha,
                nu=self.nu,
                unobserved_weight=self.unobserved_weight,
                feature_alpha=self.feature_alpha,
                prior_strength=self.prior_strength,
                max_iter=self.max_iter,
                tol=self.tol,
                seed=check_random_state(self.random_state).randint(np.iinfo(np.int32).max),
                callback=after_sweep,
            )
        self._adopt(model, interactions)

    def _attributes(self, model, interactions):
        """Return all attributes of a copy of this estimator that is fitted so far."""
        copied = copy.copy(self)
        copied._adopt(model, interactions)
        return vars(copied)

    def _adopt(self, model, interactions):
        """Set the fitted attributes."""
        self.mean_, self.n_iter_, self.alpha_ = model.mean, model.n_iter, model.alpha
        self.unobserved_weight_ = model.unobserved_weight
        self._settings = {
            name: getattr(model, name) for name in ("scale", "explicit", "alpha", "nu", "unobserved_weight")
        }
        self._ridge_scale = {}
        self._store("user", model.users, interactions.weights.shape[0], interactions.user_features)
        self._store("item", model.items, interactions.weights.shape[1], interactions.item_features)

    def _store(self, side, fitted, n_rows, features):
        """Keep one side of the fitted model, extended to the rows that only a table brought."""
        n_trained = len(fitted.vectors)
        setattr(self, f"_{side}_map", fitted.feature_map)
        setattr(self, f"{side}_prior_strength_", fitted.prior_strength)
        self._ridge_scale[side] = fitted.ridge_scale
        setattr(self, f"_{side}_prior", None)
        if fitted.feature_map is not None:
            width = self.n_components + (self.feedback == "explicit")
            prior = fitted.prior_strength * self._predicted(side, features[:n_trained], n_trained)[:, :width]
            setattr(self, f"_{side}_prior", prior.astype(fitted.vectors.dtype))
        self._keep(side, np.column_stack([fitted.vectors, fitted.bias]))
        self._append(side, None if features is None else features[n_trained:], n_rows)

    def _keep(self, side, table):
        """Set the factors and biases of a side from [factors | bias]."""
        setattr(self, f"{side}_factors_", np.ascontiguousarray(table[:, :-1]))
        setattr(self, f"{side}_biases_", table[:, -1].copy())

    def _table(self, side):
        """[factors | bias] of a side."""
        return np.column_stack([getattr(self, f"{side}_factors_"), getattr(self, f"{side}_biases_")])

    def _append(self, side, features, n_rows):
        """Give the rows from the present end up to n_rows what their features predict."""
        table, prior = self._table(side), getattr(self, f"_{side}_prior")
        new = self._predicted(side, features, n_rows - len(table)).astype(table.dtype)
        self._keep(side, np.concatenate([table, new]))
        if prior is not None:
            setattr(self, f"_{side}_prior", np.concatenate([prior, new[:, : prior.shape[1]]]))

    def _predicted(self, side, features, n_rows):
        """Factors and bias, (n_rows, n_components + 1), that the map of a side predicts; zeros where there is none."""
        table = np.zeros((n_rows, self.n_components + 1))
        feature_map = getattr(self, f"_{side}_map")
        if feature_map is not None and features is not None:
            predicted = feature_map.predict(features)
            table[:, : predicted.shape[1]] = predicted
        return table

    def _partial_fit_interactions(self, interactions, users, items):
        n_users, n_items = interactions.weights.shape
        self._append("user", interactions.user_features, n_users)
        self._append("item", interactions.item_features, n_items)
        self._fold_in("user", users, interactions.weights, interactions.ratings)
        self._fold_in("item", items, *interactions.transposed())

    def _fold_in(self, side, rows, weights, ratings):
        """Solve the factors of some rows of a side again, exactly, against the other side as it is."""
        stored = sparse.csr_matrix((np.arange(weights.nnz), weights.indices, weights.indptr), weights.shape)[rows].data
        prior = getattr(self, f"_{side}_prior")
        vectors, biases = fold_in(
            self._factor_model(),
            f"{side}s",
            weights[rows],
            None if ratings is None else ratings[stored],
            prior=None if prior is None else prior[rows],
        )
        getattr(self, f"{side}_factors_")[rows] = vectors
        getattr(self, f"{side}_biases_")[rows] = biases

    def _factor_model(self):
        """Return the fitted state as the kernels take it."""
        sides = (
            FactorSide(self.user_factors_, self.user_biases_, ridge_scale=self._ridge_scale["user"]),
            FactorSide(self.item_factors_, self.item_biases_, ridge_scale=self._ridge_scale["item"]),
        )
        return FactorModel(*sides, self.mean_, **self._settings)

    def _side_vectors(self, side, entities, default):
        """[factors | bias] of known and new entities."""
        known, new = self._table(side), None
        if entities.features is not None and getattr(self, f"_{side}_map") is not None:
            new = self._predicted(side, entities.features, entities.features.shape[0]).astype(known.dtype)
        return entities.fill(known, new, default)

    def _user_vectors(self, users):
        # a user of whom nothing is known gets the popular items: the mean user's factors where there are no biases
        typical = np.zeros(self.n_components + 1)
        if self.feedback == "implicit":
            typical[:-1] = self.user_factors_.mean(axis=0)
        table = self._side_vectors("user", users, typical)
        if users.history is not None:
            table = self._folded_in(users, table)
        return np.column_stack([table[:, :-1], table[:, -1] + self.mean_, np.ones(len(table), table.dtype)])

    def _folded_in(self, users, table):
        """Solve [factors | bias] of users again with the history that a call brought."""
        rows = np.flatnonzero(np.diff(users.history.weights.indptr))
        known, prior = users.codes[rows], self._user_prior
        weights, ratings = self._interactions_of(users.take(rows))
        if prior is not None:
            # a new user is drawn to what their features predict, and to nothing where there are none
            predicted = table[rows, : prior.shape[1]] if users.features is not None else 0.0
            prior = np.where((known >= 0)[:, np.newaxis], prior[known], predicted)
        vectors, biases = fold_in(self._factor_model(), "users", weights, ratings, prior=prior)
        table[rows] = np.column_stack([vectors, biases])
        return table

    def _item_vectors(self, items):
        table = self._side_vectors("item", items, np.zeros(self.n_components + 1))
        return np.column_stack([table[:, :-1], np.ones(len(table), table.dtype), table[:, -1]])

    def _similarity_block(self, queries, items):
        vectors = (self._item_vectors(entities)[:, : self.n_components] for entities in (queries, items))
        queries, items = map(normalize, vectors)
        return queries @ items.T

    def transform(self, X):
        """Describe each row's pair of user and item.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Rows laid out as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_components + 2), float64
            ``[p * q, b_u, b_i]``; with the mean, a row sums up to the prediction.

        Raises
        ------
        UnknownIdError
            If a user or item is unknown and `handle_unknown="error"`.
        """
        users, items = self._pairs(X)
        p, q = self._user_vectors(users), self._item_vectors(items)
        products = np.multiply(p, q, dtype=np.float64)
        products[:, -2] -= self.mean_
        return products

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against the columns of X, otherwise not used.

        Returns
        -------
        ndarray of str, shape (n_components + 2,)

        Raises
        ------
        ValueError
            If `input_features` are not the columns of X.
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features, generate_names=False)
        factors = [f"factor{position}" for position in range(self.n_components)]
        return np.array([*factors, "user_bias", "item_bias"], dtype=object)
