"""How good vectors are on rows that were held out: of new items as recommendations, else by a ridge regression."""

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
_SURE = 2.0  # standard errors that a gain has to exceed: it is the best of many epochs, of two objectives


def ridge(vectors: FloatArray, targets: FloatArray, weights: FloatArray | None, seed: int) -> FeatureMap:
    """Linear map from vectors to targets, its strength by leave-one-out.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
    targets : ndarray of shape (n, k)
    weights : ndarray of shape (n,), or None
    seed : int
        Of the rows that it is fitted on, where there are more than 4,096.

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
    """Factors of both sides of an interaction matrix, whose products are its best approximation of that rank.

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
    """Weight of each row in a regression: the logarithm of 1 + its number of interactions."""
    return np.log1p(np.diff(positives.indptr))


@dataclass(frozen=True)
class Evidence:
    """What vectors are worth on held-out rows, and what is needed to say how sure that is.

    Attributes
    ----------
    values : ndarray of shape (n_judged,)
        Of each user, or of each held-out row; their mean is the score.
    halves : ndarray of shape (n_halves,), or None
        Scores on random halves of the held-out rows; None where the values are of the rows themselves.
    """

    values: FloatArray
    halves: FloatArray | None = None

    def beats(self, other: "Evidence") -> bool:
        """Whether the score exceeds another one by more than two standard errors of their difference.

        That of users is the usual one of paired values. That of rows, which all users share: with half of the rows
        drawn without replacement, the spread over halves is that over samples of all rows (J. Shao, C. F. J. Wu, "A
        general theory for jackknife variance estimation", Annals of Statistics 17, 1989).
        """
        gain = self.values - other.values
        variance = gain.var() / len(gain)
        if self.halves is not None and other.halves is not None:
            variance += (self.halves - other.halves).var()
        return bool(gain.mean() > _SURE * np.sqrt(variance))


def _ranked(users, items, test):
    """NDCG at 20 of each user, all items ranked by the product of factors."""
    nothing = sp.csr_matrix((len(users), len(items)))
    items = np.ascontiguousarray(items, dtype=np.float64)
    positions, _ = topk_factors(users.astype(np.float64), items, min(CUTOFF, len(items)), nothing)
    return list_quality(positions, test)


class RankingJudge:
    """NDCG at 20 of held-out items, ranked among themselves for every user, as recommendations of new items.

    Two recommenders that know an item by its vector only: the cosine to the mean of the user's items, and a ridge
    regression to latent factors. The better one counts, as it would for a user of the package. A few held-out items
    decide for all users alike: how sure a score is depends on them more than on the number of users.

    Parameters
    ----------
    positives : csr_matrix of shape (n_rows, n_users), bool
    fitted, held_out : ndarray of int
        Rows.
    seed : int
        Of the factors, and of the users that are judged, where there are more than 2,048.
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
        """Judge vectors.

        Parameters
        ----------
        vectors : ndarray of shape (n_rows, d)
            Of all rows.

        Returns
        -------
        ndarray of shape (n_judged,)
            One value for each user.
        """
        return self._better(vectors)[0]

    def evidence(self, vectors: FloatArray) -> Evidence:
        """Judge vectors on all held-out items and on halves of them; an `Evidence`."""
        values, users, items = self._better(vectors)
        rng, n_items = np.random.default_rng(self._seed), len(items)
        halves = [np.sort(rng.permutation(n_items)[: max(1, n_items // 2)]) for _ in range(_N_HALVES)]
        return Evidence(values, np.array([self._on_some(users, items, half) for half in halves]))

    def _better(self, vectors):
        """Quality for each user by the better one of both recommenders, and its factors of users and new items."""
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
        """Score with some of the held-out items only, over the users who have any of them; 0 if nobody has."""
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
        """Judge vectors; an `Evidence` whose values are those of the rows."""
        return Evidence(self(vectors))

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Judge vectors of all rows; one value for each held-out row."""
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
        """Judge vectors of all rows; 0 or 1 for each held-out row."""
        predicted = self._predict(vectors).argmax(axis=1)
        return (predicted == self._numbers[self._held_out].argmax(axis=1)).astype(np.float64)


def make_judge(targets: Targets, fitted: IntArray, held_out: IntArray, seed: int) -> RankingJudge | RegressionJudge:
    """Judge that suits the targets.

    Parameters
    ----------
    targets : Targets
    fitted, held_out : ndarray of int
        Rows.
    seed : int

    Returns
    -------
    callable
        From vectors of all rows to values whose mean is the score; ``n_judged`` of them. Its method `evidence` says
        what it takes to compare vectors beyond chance.
    """
    if targets.kind == "interactions":
        return RankingJudge(targets.values, fitted, held_out, seed)
    kind = RegressionJudge if targets.kind == "numbers" else ClassificationJudge
    return kind(targets.values, fitted, held_out, seed)
