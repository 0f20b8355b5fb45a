"""The largest strength whose loss on held-out interactions stays below a bound."""

import numpy as np

from skllmrec._kernels.selection.held_out import (
    CUTOFF,
    MIN_HELD_OUT,
    hold_out_entries,
    judged_users,
    list_quality,
    take_entries,
)
from skllmrec.recommenders.diversified._search import pool_size

SEED = 0  # whatever the random_state is, so that it does not decide what is chosen
_GRID = np.geomspace(1e-3, 1e3, 61)


def strengths(method):
    """Values that are tried, ascending; those of a convex combination are below one."""
    return _GRID / (1 + _GRID) if method in ("mmr", "calibrated") else _GRID


def split(recommender, X):
    """Hold interactions of a fitted recommender out.

    Returns
    -------
    rows : ndarray of intp or None
        Rows of X to train on; None where too little can be held out.
    test : csr_matrix of shape (n_users, n_items)
        The held-out entries that count as relevant.
    """
    seen, ratings = recommender.seen_, recommender._ratings
    train, test = hold_out_entries(seen, SEED)
    sides = recommender._user_side, recommender._item_side
    users, items = (side.index.encode(side.read_ids(X)) for side in sides)
    held_out = take_entries(seen, test)
    relevant = test if ratings is None else test[ratings[test] >= ratings.mean()]
    if len(relevant) < MIN_HELD_OUT or len(train) == 0:
        return None, held_out
    is_held_out = np.zeros(len(users), dtype=bool)
    known = np.flatnonzero((users >= 0) & (items >= 0))
    n_items = np.int64(seen.shape[1])
    owners = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))[test]
    is_held_out[known] = np.isin(users[known] * n_items + items[known], owners * n_items + seen.indices[test])
    return np.flatnonzero(~is_held_out), take_entries(seen, relevant)


def _pools(trial, search, users, size):
    """Pools and scores of users by the recommender that was fitted without the held-out interactions."""
    seen, found = trial.seen_[users.codes], []
    step = search.users_at_once(seen.shape[1])
    for start in range(0, len(users), step):
        rows = np.arange(start, min(start + step, len(users)))
        found.append(search._inner.search(users.take(rows), size, seen[rows]))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def choose_strength(model, trial, test, max_loss):
    """Choose by bisection over a grid, as the loss grows with the strength.

    Parameters
    ----------
    model : DiversifiedRecommender
        Fitted on all rows.
    trial : DiversifiedRecommender
        Its inner recommender was fitted without the held-out rows.
    test : csr_matrix of shape (n_users, n_items)
        Held-out interactions of the users and items of `model`.
    max_loss : float

    Returns
    -------
    strength, loss : float
        The loss of NDCG@20 with that strength, as a share of that of the lists of the inner recommender.
    """
    judged = judged_users(test, SEED)
    test = test[judged]
    users = trial._target_users(model.users_[judged], None)
    items = trial._read_candidates(None)
    search = trial._prepare_search(items)
    n_items = min(CUTOFF, len(items))
    pools, scores = _pools(trial, search, users, pool_size(n_items, len(items)))
    codes = np.append(model._item_side.index.encode(items.ids), -1)
    inner = list_quality(codes[pools[:, :n_items]], test).mean()

    def loss_of(strength):
        chosen = search.begun().select(users, pools, scores, n_items, strength)
        found = np.where(chosen < 0, -1, np.take_along_axis(pools, np.maximum(chosen, 0), axis=1))
        return 1.0 - list_quality(codes[found], test).mean() / inner

    if inner == 0:
        return 0.0, 0.0
    grid, best, loss = strengths(model.method), -1, loss_of(0.0)
    low, high = 0, len(grid) - 1
    while low <= high:
        middle = (low + high) // 2
        found = loss_of(grid[middle])
        if found <= max_loss:
            best, loss, low = middle, found, middle + 1
        else:
            high = middle - 1
    return (float(grid[best]) if best >= 0 else 0.0), float(loss)
