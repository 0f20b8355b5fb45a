"""Matrix factorisation whose factors are drawn towards what the features of users and items predict."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import TransformerMixin
from sklearn.utils import check_random_state

from skllmrec._kernels.feature_als import FactorModel, SideFactors, fit_feature_als, fold_in
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

    with N_u the summed weight of u's rows, I the number of items, a0 the `unobserved_weight` and s the strength of the
    prior on known rows, which is found on held-out interactions.

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
        Strength of the regularisation. None: a default for each kind of feedback, see Notes.
    nu : float, default=1.0
        How the regularisation grows with the number of interactions.
    feature_alpha : float or "auto", default="auto"
        Ridge strength of the maps A and B, in units of the mean squared singular value of the weighted, centred
        features; "auto" minimises the leave-one-out error in closed form at every sweep.
    prior_strength : float or "auto", default="auto"
        Share s of the map that the factors of known users and items are drawn to, between 0 (ids only) and 1; new ones
        always get all of it. "auto" finds it on held-out interactions.
    unobserved_weight : float, default=None
        a0 of implicit feedback. None: follows the density of the interactions, see Notes.
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
        "nu": [Interval(Real, 0, None, closed="left")],
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
        nu=1.0,
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
