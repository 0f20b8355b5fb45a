"""Any scikit-learn regressor on the features of a user and an item side by side."""

from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state
from sklearn.utils.validation import has_fit_parameter

from skllmrec._kernels.distinct_rows import distinct_rows
from skllmrec._sklearn import HasMethods, Interval
from skllmrec._typing import Column, Columns, Estimator, Feedback, FloatArray, IntArray, RandomState, Unknown
from skllmrec.base import BaseRecommender

_BLOCK_VALUES = 2**24  # values of one dense block of pair features: 128 MiB of float64


def _select(matrix, entities):
    """Feature rows of entities: known ones from the matrix, new ones from their own features, else zeros."""
    rows = matrix[np.maximum(entities.codes, 0)]
    unknown = np.flatnonzero(entities.codes < 0)
    if len(unknown) == 0:
        return rows
    if sparse.issparse(matrix):
        rows = sparse.diags_array((entities.codes >= 0).astype(np.float64)) @ rows
        if entities.features is not None:
            place = (np.ones(len(unknown)), (unknown, entities.rows[unknown]))
            rows = rows + sparse.csr_array(place, (len(entities), entities.features.shape[0])) @ entities.features
        return sparse.csr_array(rows)
    rows[unknown] = 0 if entities.features is None else entities.features[entities.rows[unknown]]
    return rows


def _join(user_rows, item_rows, product):
    """[x | z | x * z], sparse if one of them is."""
    parts = [user_rows, item_rows]
    if any(sparse.issparse(part) for part in parts):
        parts = [sparse.csr_array(part) for part in parts]
        parts += [parts[0].multiply(parts[1])] if product else []
        return sparse.hstack(parts, format="csr")
    return np.hstack([*parts, user_rows * item_rows] if product else parts)


def draw_unobserved(
    users: IntArray, items: IntArray, shape: tuple[int, int], n_draws: int, rng: np.random.RandomState
) -> tuple[IntArray, IntArray]:
    """Draw items for the users of observed pairs, and leave out what they have.

    Parameters
    ----------
    users, items : ndarray of shape (n_pairs,)
        The observed pairs.
    shape : tuple
        (n_users, n_items).
    n_draws : int
        Items that are drawn for each pair, with equal probability.
    rng : RandomState

    Returns
    -------
    users, items : ndarray of shape (n_drawn,), intp
        At most ``n_pairs * n_draws`` pairs, none of them observed; some may be equal.
    """
    owners = np.repeat(users.astype(np.intp), n_draws)
    drawn = rng.randint(shape[1], size=len(owners))
    observed = np.isin(owners * shape[1] + drawn, users.astype(np.intp) * shape[1] + items)
    return owners[~observed], drawn[~observed]


class PairwiseRecommender(BaseRecommender):
    """Give any regressor a `recommend`, on features ``[x_u | z_i | x_u * z_i]`` of a user and an item.

    The product is there where both sides have features and equally many of them. A side without features is coded
    one-hot by its ids (sparse), so that a linear regressor learns a bias for each id; a new id is then a row of
    zeros.

    Explicit feedback: the regressor learns the ratings. Implicit feedback: it learns to tell what users had, target 1,
    from items that are drawn for them out of those that they do not have, target 0 [1]_.

    Parameters
    ----------
    estimator : regressor
        Fitted on one row for each distinct (user, item) pair: target the weighted mean rating, `sample_weight` the
        summed weight; drawn pairs of implicit feedback have the weight one. A regressor without sample weights sees a
        row repeated as often as its weight says.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    user_features, item_features : column key or callable, default=None
        Columns that describe the user or the item: a name, a position, a list, a slice or a selector.
    user_encoder, item_encoder : transformer, default=None
        Encodes the feature columns, once for each distinct user or item. None: the columns are numbers.
    feedback : {"implicit", "explicit"}, default="implicit"
        Whether y holds non-negative weights (None for all one; zero counts as disliked), or ratings.
    n_negatives : int, default=4
        Implicit feedback: items drawn for each pair; draws that the user has are left out.
    handle_unknown : {"prior", "error"}, default="prior"
        Whether unknown users and items are scored by their features, or raise.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws of implicit feedback; what is random in `estimator` has a seed of its own.

    Attributes
    ----------
    estimator_ : regressor
        The fitted clone.
    users_, items_, seen_, user_encoder_, item_encoder_
        See `BaseRecommender`.

    References
    ----------
    .. [1] X. He, L. Liao, H. Zhang, L. Nie, X. Hu and T.-S. Chua, "Neural collaborative filtering", WWW 2017: learning
       from single pairs, four of them drawn for each that was observed.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skllmrec.recommenders import PairwiseRecommender
    >>> X = [["ann", "alien"], ["ann", "heat"], ["bob", "alien"]]
    >>> recommender = PairwiseRecommender(Ridge(alpha=0.1), feedback="explicit").fit(X, [5.0, 1.0, 4.0])
    >>> bool(recommender.predict([["bob", "heat"]])[0] < 3)
    True
    """

    _parameter_constraints: dict = {
        **BaseRecommender._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"])],
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Estimator,
        *,
        user: Column = 0,
        item: Column = 1,
        user_features: Columns | None = None,
        item_features: Columns | None = None,
        user_encoder: Estimator | None = None,
        item_encoder: Estimator | None = None,
        feedback: Feedback = "implicit",
        n_negatives: int = 4,
        handle_unknown: Unknown = "prior",
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.user = user
        self.item = item
        self.user_features = user_features
        self.item_features = item_features
        self.user_encoder = user_encoder
        self.item_encoder = item_encoder
        self.feedback = feedback
        self.n_negatives = n_negatives
        self.handle_unknown = handle_unknown
        self.random_state = random_state

    def _fit_interactions(self, interactions):
        sizes = interactions.weights.shape
        features = interactions.user_features, interactions.item_features
        self._user_matrix, self._item_matrix = (
            sparse.eye_array(size, format="csr") if side is None else side
            for size, side in zip(sizes, features, strict=True)
        )
        described = all(side is not None for side in features)
        self._product = described and features[0].shape[1] == features[1].shape[1]
        users, items, targets, weights = self._pairs_to_learn(interactions)
        design = _join(self._user_matrix[users], self._item_matrix[items], self._product)
        self.estimator_ = clone(self.estimator)
        if has_fit_parameter(self.estimator_, "sample_weight"):
            self.estimator_.fit(design, targets, sample_weight=weights)
            return
        repeats = _whole(weights, self.estimator)
        rows = np.repeat(np.arange(len(targets)), repeats)
        self.estimator_.fit(design[rows], targets[rows])

    def _pairs_to_learn(self, interactions):
        """Users, items, targets and weights of the pairs that the regressor is fitted on."""
        observed, (users, items) = interactions.weights, interactions.weights.tocoo().coords
        if interactions.ratings is not None:
            return users, items, interactions.ratings, observed.data
        shape = interactions.trained_shape
        drawn = draw_unobserved(users, items, shape, self.n_negatives, check_random_state(self.random_state))
        targets = np.concatenate([observed.data > 0, np.zeros(len(drawn[0]))])
        weights: FloatArray = np.concatenate([np.where(observed.data > 0, observed.data, 1.0), np.ones(len(drawn[0]))])
        return np.concatenate([users, drawn[0]]), np.concatenate([items, drawn[1]]), targets, weights

    def _partial_fit_interactions(self, interactions, users, items):
        """Take new users and items in with their features; the regressor is not retrained."""
        shape = interactions.weights.shape
        self._user_matrix = _grown(self._user_matrix, interactions.user_features, shape[0])
        self._item_matrix = _grown(self._item_matrix, interactions.item_features, shape[1])

    def _score_pairs(self, users, items):
        scores = np.empty(len(users))
        step = max(1, _BLOCK_VALUES // self.estimator_.n_features_in_)
        for start in range(0, len(users), step):
            rows = np.arange(start, min(start + step, len(users)))
            scores[rows] = self._predict(users.take(rows), items.take(rows))
        return scores

    def _score_block(self, users, items):
        if not sparse.issparse(self._item_matrix):
            found = distinct_rows(_select(self._item_matrix, items).astype(np.float64, copy=False))
            if found is not None:  # a regressor may round equal rows differently, by their place in the block
                return self._score_block(users, items.take(found[0]))[:, found[1]]
        scores = np.empty((len(users), len(items)))
        step = max(1, _BLOCK_VALUES // (self.estimator_.n_features_in_ * len(items)))
        every = np.arange(len(items))
        for start in range(0, len(users), step):
            rows = np.arange(start, min(start + step, len(users)))
            pairs = users.take(np.repeat(rows, len(items))), items.take(np.tile(every, len(rows)))
            scores[rows] = self._predict(*pairs).reshape(len(rows), len(items))
        return scores

    def _predict(self, users, items):
        rows = _select(self._user_matrix, users), _select(self._item_matrix, items)
        return np.asarray(self.estimator_.predict(_join(*rows, self._product)), dtype=np.float64).ravel()

    @property
    def _can_compare_items(self):
        return self.item_features is not None  # ids alone make no two items alike

    def _similarity_block(self, queries, items):
        return _dense(normalize(_select(self._item_matrix, queries)) @ normalize(_select(self._item_matrix, items)).T)


def _dense(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else matrix


def _grown(matrix, features, n_rows):
    """Append the features of new ids, zeros where they have none."""
    n_new = n_rows - matrix.shape[0]
    if n_new == 0:
        return matrix
    new = sparse.csr_array((n_new, matrix.shape[1])) if features is None else features
    if sparse.issparse(matrix):
        return sparse.vstack([matrix, sparse.csr_array(new)], format="csr")
    return np.vstack([matrix, _dense(new)])


def _whole(weights, estimator):
    if np.array_equal(weights, np.round(weights)):
        return weights.astype(np.intp)
    raise ValueError(
        f"{type(estimator).__name__} takes no sample_weight, so weights must be whole numbers (a row is then "
        f"repeated), got {weights[weights != np.round(weights)][0]:g}: use a regressor with sample_weight"
    )
