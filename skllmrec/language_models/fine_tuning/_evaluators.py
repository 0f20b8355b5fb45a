"""Scores of vectors on held-out rows: recommendation of new items for interactions, else a ridge regression."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from skllmrec._kernels.feature_map import FeatureMap, ridge_map
from skllmrec._kernels.selection.held_out import CUTOFF, judged_users, list_quality
from skllmrec._kernels.topk.exact import topk_factors
from skllmrec._typing import CsrMatrix, FloatArray, IntArray
from skllmrec.language_models.fine_tuning._targets import Targets
from skllmrec.preprocessing._dense_targets import dense_targets

N_FACTORS = 64
_MAX_ROWS = 4096  # of a regression; its memory is bounded
_N_HALVES = 32  # random halves of the held-out rows
_SURE = 2.0  # standard errors that a gain must exceed, since it is the best of many epochs and of two objectives


def ridge(vectors: FloatArray, targets: FloatArray, weights: FloatArray | None, seed: int) -> FeatureMap:
    """Fit a ridge regression from vectors to targets, whose strength minimises the leave-one-out error.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
    targets : ndarray of shape (n, k)
    weights : ndarray of shape (n,), or None
    seed : int
        Seed of the sample of rows if there are more than 4,096.

    Returns
    -------
    FeatureMap
    """
    weights = np.ones(len(vectors)) if weights is None else weights
    if len(vectors) > _MAX_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(len(vectors), _MAX_ROWS, replace=False))
        vectors, targets, weights = vectors[rows], targets[rows], weights[rows]
    return ridge_map(vectors, targets, weights, seed=seed)[0]


def item_factors(positives: CsrMatrix, seed: int) -> tuple[FloatArray, FloatArray]:
    """Compute factors of both sides of an interaction matrix, the best approximation of their rank.

    Parameters
    ----------
    positives : csr_matrix of shape (n_rows, n_others), bool
    seed : int

    Returns
    -------
    rows : ndarray of shape (n_rows, k)
        ``U sqrt(S)`` of the truncated SVD.
    others : ndarray of shape (n_others, k)
        ``V sqrt(S)``.
    """
    scaled = dense_targets(positives, N_FACTORS, random_state=seed)  # U S
    scaled = scaled.reshape(positives.shape[0], -1)
    singular_values = np.maximum(np.linalg.norm(scaled, axis=0), 1e-12)
    others = positives.T.astype(np.float64) @ scaled / singular_values  # V S
    return scaled / np.sqrt(singular_values), others / np.sqrt(singular_values)


def row_weights(positives: CsrMatrix) -> FloatArray:
    """Compute the weight of each row in a regression: the logarithm of 1 + its number of interactions."""
    return np.log1p(np.diff(positives.indptr))


@dataclass(frozen=True)
class Evidence:
    """Scores of vectors on held-out rows, and what is needed to estimate their standard error.

    Attributes
    ----------
    values : ndarray of shape (n_judged,)
        Value of each user, or of each held-out row; their mean is the score.
    halves : ndarray of shape (n_halves,), or None
        Scores on random halves of the held-out rows; None if there is one value for each row.
    """

    values: FloatArray
    halves: FloatArray | None = None

    def beats(self, other: "Evidence") -> bool:
        """Whether the score exceeds another one by more than two standard errors of their difference.

        The variance over users is that of paired values. All users share the held-out rows: the variance over rows is
        estimated from halves of the rows drawn without replacement, whose variance is that over samples of all rows
        (J. Shao, C. F. J. Wu, "A general theory for jackknife variance estimation", Annals of Statistics 17, 1989).
        """
        gain = self.values - other.values
        variance = gain.var() / len(gain)
        if self.halves is not None and other.halves is not None:
            variance += (self.halves - other.halves).var()
        return bool(gain.mean() > _SURE * np.sqrt(variance))


def _ranked(users, items, test):
    """Compute the NDCG at 20 of each user, with all items ranked by the product of factors."""
    nothing = sp.csr_matrix((len(users), len(items)))
    items = np.ascontiguousarray(items, dtype=np.float64)
    positions, _ = topk_factors(users.astype(np.float64), items, min(CUTOFF, len(items)), nothing)
    return list_quality(positions, test)


class RankingJudge:
    """NDCG at 20 of held-out items, ranked among themselves for every user, as recommendations of new items.

    Two recommenders use nothing but the vectors of the items: the cosine to the mean of the user's items, and a ridge
    regression to latent factors. The higher score counts. The same few held-out items are ranked for all users, so that
    the standard error of a score depends on their number more than on the number of users.

    Parameters
    ----------
    positives : csr_matrix of shape (n_rows, n_users), bool
    fitted, held_out : ndarray of int
        Rows.
    seed : int
        Seed of the factors, and of the sample of users if there are more than 2,048.
    """

    def __init__(self, positives: CsrMatrix, fitted: IntArray, held_out: IntArray, seed: int) -> None:
        self._fitted, self._held_out, self._seed = fitted, held_out, seed
        known, new = positives[fitted], positives[held_out].T.tocsr()
        users = np.flatnonzero(np.bincount(known.indices, minlength=known.shape[1]))
        users = users[judged_users(new[users], seed)]
        self.n_judged = len(users)
        self._factors, others = item_factors(known, seed)
        self._users, self._test = others[users], new[users]
        self._profiles = known.T.tocsr()[users].astype(np.float32)
        self._weights = row_weights(known)

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Score vectors.

        Parameters
        ----------
        vectors : ndarray of shape (n_rows, d)
            Vectors of all rows.

        Returns
        -------
        ndarray of shape (n_judged,)
            One value for each user.
        """
        return self._better(vectors)[0]

    def evidence(self, vectors: FloatArray) -> Evidence:
        """Score vectors on all held-out items and on random halves of them."""
        values, users, items = self._better(vectors)
        rng, n_items = np.random.default_rng(self._seed), len(items)
        halves = [np.sort(rng.permutation(n_items)[: max(1, n_items // 2)]) for _ in range(_N_HALVES)]
        return Evidence(values, np.array([self._on_some(users, items, half) for half in halves]))

    def _better(self, vectors):
        """Values of the better one of both recommenders for each user, and its factors of users and new items."""
        known, new = vectors[self._fitted], vectors[self._held_out]
        mean = known.mean(axis=0)
        for own in (known, new):  # in place: a second copy would be most of the memory of a validation
            own -= mean
            own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12)
        to_factors = ridge(known, self._factors, self._weights, self._seed)
        factors = ((self._profiles @ known, new), (self._users, to_factors.predict(new)))
        qualities = [(_ranked(users, items, self._test), users, items) for users, items in factors]
        return max(qualities, key=lambda judged: judged[0].mean())

    def _on_some(self, users, items, chosen):
        """Score on some of the held-out items, over the users who have any of them; 0 if there are none."""
        test = self._test[:, chosen]
        having = np.flatnonzero(np.diff(test.indptr))
        return _ranked(users[having], items[chosen], test[having]).mean() if len(having) else 0.0


class RegressionJudge:
    """Share of the variance that a ridge regression explains on held-out rows: one minus each squared error.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, k)
    fitted, held_out : ndarray of int
        Rows.
    seed : int
    """

    def __init__(self, numbers: FloatArray, fitted: IntArray, held_out: IntArray, seed: int) -> None:
        self._numbers, self._fitted, self._held_out, self._seed = numbers, fitted, held_out, seed
        self._variance = np.maximum(numbers[fitted].var(axis=0).sum(), 1e-12)
        self.n_judged = len(held_out)

    def _predict(self, vectors):
        to_numbers = ridge(vectors[self._fitted], self._numbers[self._fitted], None, self._seed)
        return to_numbers.predict(vectors[self._held_out])

    def evidence(self, vectors: FloatArray) -> Evidence:
        """Score vectors, with one value for each held-out row."""
        return Evidence(self(vectors))

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Score vectors of all rows, with one value for each held-out row."""
        errors = self._predict(vectors) - self._numbers[self._held_out]
        return 1 - (errors**2).sum(axis=1) / self._variance


class ClassificationJudge(RegressionJudge):
    """Accuracy of a ridge classifier on held-out rows.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rows,)
    fitted, held_out : ndarray of int
        Rows.
    seed : int
    """

    def __init__(self, codes: IntArray, fitted: IntArray, held_out: IntArray, seed: int) -> None:
        super().__init__(np.eye(codes.max() + 1)[codes], fitted, held_out, seed)

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Score vectors of all rows: 1 for each held-out row that is classified correctly, else 0."""
        predicted = self._predict(vectors).argmax(axis=1)
        return (predicted == self._numbers[self._held_out].argmax(axis=1)).astype(np.float64)


def make_judge(targets: Targets, fitted: IntArray, held_out: IntArray, seed: int) -> RankingJudge | RegressionJudge:
    """Make the evaluator for a kind of targets.

    Parameters
    ----------
    targets : Targets
    fitted, held_out : ndarray of int
        Rows.
    seed : int

    Returns
    -------
    callable
        Returns ``n_judged`` values for vectors of all rows; their mean is the score. The method `evidence` returns what
        is needed to test whether one score exceeds another beyond chance.
    """
    if targets.kind == "interactions":
        return RankingJudge(targets.values, fitted, held_out, seed)
    kind = RegressionJudge if targets.kind == "numbers" else ClassificationJudge
    return kind(targets.values, fitted, held_out, seed)
