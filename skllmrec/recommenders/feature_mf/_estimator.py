"""Matrix factorisation whose factors are drawn towards what the features of users and items predict."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skllmrec._kernels.als.feature_als import fit_feature_als
from skllmrec._kernels.als.sweeps import sweep
from skllmrec._progress import progress_bar
from skllmrec._sklearn import CallbackSupportMixin, Interval, StrOptions, check_feature_names_in, fit_progress
from skllmrec._training import training_constraints
from skllmrec._typing import (
    Array,
    ArrayLike,
    Column,
    Columns,
    Estimator,
    Feedback,
    FloatArray,
    RandomState,
    Rows,
    Unknown,
)
from skllmrec.recommenders.feature_mf._fitted import PriorFactorRecommender
from skllmrec.recommenders.feature_mf._gradient_descent import GradientDescent

_MAX_ITER = {"als": 15, "adamw": 30, "rmsprop": 30, "sgd": 60}


class FeatureMFRecommender(CallbackSupportMixin, TransformerMixin, PriorFactorRecommender):
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
    n_components : int or "auto", default="auto"
        Number of factors. "auto": 64 for explicit feedback. For implicit feedback 64, 128, 256 or 384: more as long as
        they rank held-out interactions better, which takes about as long as the final fit.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    user_features, item_features : column key or callable, default=None
        Columns that describe the user or the item: a name, a position, a list, a slice or a selector.
    user_encoder, item_encoder : transformer, default=None
        Encodes the feature columns, once for each distinct user or item; a scalar column reaches it one-dimensional.
        None: the columns are numbers.
    feedback : {"implicit", "explicit"}, default="implicit"
        Whether y holds non-negative weights (None for all one), or ratings.
    weighter : transformer, default=None
        Turns counts with a heavy tail into weights, such as `CountWeighter`: it is fitted on the summed y of the pairs
        of users and items. None: y is the weight.
    time : str or int, default=None
        Column of X that orders the rows of a user: numbers or dates. None: the order of training rows is unknown.
    half_life : float, "auto" or None, default="auto"
        After how many later interactions of a user one counts half as much for what this user is recommended; 1 or 2
        for "what next?", more where tastes last. A list in `history` has an order, oldest first, also without `time`.
        "auto" chooses 0.5, 1, ..., 32 or no fading, by what users did last, held out from a second fit; without `time`
        and for explicit feedback nothing fades. None: order does not count.
    solver : {"als", "adamw", "rmsprop", "sgd"}, default="als"
        How the objective is minimised. "als": alternating least squares by warm-started conjugate gradients, the
        fastest. The others: mini-batch gradient descent with AdamW, RMSProp or Nesterov momentum, which adds dropout
        and early stopping, and takes ten to thirty times as long for much the same quality ("sgd" at times for less).
        The choices that are left to held-out interactions (`alpha`, `prior_strength`) are made by least squares in
        any case.
    alpha : float, default=None
        Strength of the regularisation. None: 0.12 for explicit feedback; for implicit feedback the one that ranks
        held-out interactions best. It is climbed from 0.02 in factors of two by short fits with 64 factors, and
        interpolated.
    nu : float, default=None
        How the regularisation of a user or item grows with the number of interactions. None: 0.75 for explicit, 1 for
        implicit feedback.
    feature_alpha : float or "auto", default="auto"
        Ridge strength of the maps A and B, in units of the mean squared singular value of the weighted, centred
        features; "auto" minimises the leave-one-out error in closed form, after sweeps 1, 2, 4, 8, ... and at the end.
    prior_strength : float or "auto", default="auto"
        Share s of the map that the factors of known users and items are drawn to, between 0 (ids only) and 1; new ones
        always get all of it. "auto" chooses 0, 0.5 or 0.75 for each side, together with `alpha`, on held-out
        interactions, and 0 unless another one is better there.
    unobserved_weight : float, default=None
        a0 of implicit feedback. None: ``6 nnz / (n_users n_items)``, which follows the density of the interactions: all
        unobserved pairs of a user together weigh six mean histories.
    max_iter : int, default=None
        Sweeps over users and items, or epochs of gradient descent. None: 15 for "als", 30 for "adamw" and "rmsprop",
        60 for "sgd".
    tol : float, default=0.0
        "als": stop when the objective falls by less than this share; 0 never stops early. Gradient descent with
        `early_stopping`: the least gain of the held-out score that counts.
    batch_size : int or "auto", default="auto"
        Interactions (explicit feedback) or users (implicit feedback) of a step of gradient descent. "auto": a 150th of
        the interactions, between 32 and 8192; a 50th of the users, between 4 and 2048.
    learning_rate : {"linear", "cosine", "constant"}, default="linear"
        Schedule of the learning rate of gradient descent: it falls to zero at `max_iter` along a line or half a cosine,
        or stays constant.
    learning_rate_init : float, default=None
        Highest learning rate of gradient descent. None: 0.01 for explicit feedback; 0.03, or 0.2 for "sgd", for
        implicit feedback; the default of "sgd" is halved until the loss stays finite.
    dropout : float, default=0.0
        Share of a user's factors that gradient descent leaves out of each score while it learns.
    early_stopping : bool, default=False
        Hold out some interactions from gradient descent, stop once their RMSE (explicit feedback) or NDCG@20 (implicit
        feedback) has not improved for `n_iter_no_change` epochs, and keep the best epoch. Without effect where fewer
        than 50 interactions can be held out.
    validation_fraction : float, default=0.1
        Share of the interactions that `early_stopping` holds out.
    n_iter_no_change : int or None, default=10
        See `early_stopping`; None: all epochs are trained.
    handle_unknown : {"prior", "error"}, default="prior"
        Unknown users and items get what their features predict, without features the mean user's factors (implicit) or
        no bias (explicit); or they raise.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial factors. What is chosen on held-out interactions does not depend on it.
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
    half_life_ : float or None
        The half-life in use, None where nothing fades.
    user_prior_strength_, item_prior_strength_ : float
        The strengths used; 0 without features.
    alpha_, unobserved_weight_ : float
        As given or as chosen.
    n_components_ : int
        Number of factors.
    n_iter_ : int
        Number of sweeps or epochs.
    history_ : list of dict
        Gradient descent only: "epoch", the mean "loss" of an interaction or user, and with `early_stopping` the
        "score": NDCG@20, or minus the RMSE in standard deviations of the ratings.
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
    >>> ids, scores = recommender.fit(data.data).recommend(data.user_table["user_id"][:2], n_items=3)
    >>> ids.shape
    (2, 3)
    """

    _parameter_constraints: dict = {
        **PriorFactorRecommender._parameter_constraints,
        **PriorFactorRecommender._order_constraints,
        **training_constraints(
            "tol",
            "batch_size",
            "learning_rate",
            "learning_rate_init",
            "dropout",
            "early_stopping",
            "validation_fraction",
            "n_iter_no_change",
            "random_state",
            "verbose",
        ),
        "n_components": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "solver": [StrOptions(set(_MAX_ITER))],
        "alpha": [None, Interval(Real, 0, None, closed="neither")],
        "nu": [None, Interval(Real, 0, None, closed="left")],
        "feature_alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "prior_strength": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "unobserved_weight": [None, Interval(Real, 0, None, closed="left")],
        "max_iter": [None, Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        user: Column = 0,
        item: Column = 1,
        user_features: Columns | None = None,
        item_features: Columns | None = None,
        user_encoder: Estimator | None = None,
        item_encoder: Estimator | None = None,
        feedback: Feedback = "implicit",
        weighter: Estimator | None = None,
        time: Column | None = None,
        half_life: float | str | None = "auto",
        solver: str = "als",
        alpha: float | None = None,
        nu: float | None = None,
        feature_alpha: float | str = "auto",
        prior_strength: float | str = "auto",
        unobserved_weight: float | None = None,
        max_iter: int | None = None,
        tol: float = 0.0,
        batch_size: int | str = "auto",
        learning_rate: str = "linear",
        learning_rate_init: float | None = None,
        dropout: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = 10,
        handle_unknown: Unknown = "prior",
        random_state: RandomState = None,
        verbose: bool | int = False,
    ) -> None:
        self.n_components = n_components
        self.user = user
        self.item = item
        self.user_features = user_features
        self.item_features = item_features
        self.user_encoder = user_encoder
        self.item_encoder = item_encoder
        self.feedback = feedback
        self.weighter = weighter
        self.time = time
        self.half_life = half_life
        self.solver = solver
        self.alpha = alpha
        self.nu = nu
        self.feature_alpha = feature_alpha
        self.prior_strength = prior_strength
        self.unobserved_weight = unobserved_weight
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.dropout = dropout
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.handle_unknown = handle_unknown
        self.random_state = random_state
        self.verbose = verbose

    def _fit_interactions(self, interactions):
        n_users, n_items = interactions.trained_shape
        self.half_life_ = self._ages = None  # of an earlier fit: callbacks read what this one has so far
        features = interactions.user_features, interactions.item_features
        max_iter = _MAX_ITER[self.solver] if self.max_iter is None else self.max_iter
        descent = None if self.solver == "als" else self._gradient_descent()
        bar = progress_bar(max_iter, description="ALS", unit="sweeps", enabled=self.verbose and descent is None)
        with fit_progress(self, max_iter, *interactions.rows.passed) as report, bar as advance:

            def after_iteration(make_model: Any) -> Any:
                advance()
                return report is not None and report(lambda: self._attributes_after(make_model(), interactions))

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
                max_iter=max_iter,
                tol=self.tol,
                seed=check_random_state(self.random_state).randint(np.iinfo(np.int32).max),
                callback=after_iteration,
                minimise=sweep if descent is None else descent,
            )
        self._adopt(model, interactions)
        if descent is not None:
            self.history_ = descent.history
        self._learn_order(interactions, self._chosen())
        if self._ages is not None:
            self._refresh_users(np.arange(n_users), self._faded(interactions.weights), interactions.ratings)
            self._learn_typical_user()

    def _chosen(self):
        """Values of the parameters that this fit has chosen; those that are chosen in closed form are left to it."""
        strengths = {"item_features": self.item_prior_strength_, "user_features": self.user_prior_strength_}
        read = [strength for name, strength in strengths.items() if getattr(self, name) is not None]
        return {
            "n_components": self.n_components_,
            "alpha": self.alpha_,
            "unobserved_weight": self.unobserved_weight_,
            "prior_strength": max(read, default=0.0),
            "verbose": False,
        }

    def _gradient_descent(self):
        names = ("batch_size", "learning_rate", "learning_rate_init", "dropout")
        names = *names, "early_stopping", "validation_fraction", "n_iter_no_change"
        return GradientDescent(self.solver, **{name: getattr(self, name) for name in names}, verbose=bool(self.verbose))

    def transform(self, X: Rows) -> FloatArray:
        """Describe each row's pair of user and item.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Rows laid out as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_components_ + 2), float64
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

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against the columns of X, otherwise not used.

        Returns
        -------
        ndarray of str, shape (n_components_ + 2,)

        Raises
        ------
        ValueError
            If `input_features` are not the columns of X.
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features, generate_names=False)
        factors = [f"factor{position}" for position in range(self.n_components_)]
        return np.array([*factors, "user_bias", "item_bias"], dtype=object)
