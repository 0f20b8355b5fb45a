"""Interactions as rows and as a matrix of users and items: one becomes the other."""

from typing import Any

import numpy as np
from scipy import sparse

from skllmrec._foreign import as_table
from skllmrec._ids import IdIndex, column, normalise_ids, shown
from skllmrec._sklearn import is_frame, num_rows, with_types
from skllmrec._typing import Array, ArrayLike, Column, FloatArray, Ids, Rows


def _ids_of(values, n, name):
    """Ids of an axis of length n; None: the positions."""
    if values is None:
        return np.arange(n)
    ids = normalise_ids(values, name=name)
    if len(ids) != n:
        raise ValueError(f"{name} has {len(ids)} ids for {n} {'rows' if name == 'users' else 'columns'} of the matrix")
    distinct, first = np.unique(ids, return_index=True)
    if len(distinct) < n:
        twice = np.setdiff1d(np.arange(n), first)
        raise ValueError(
            f"{name} has {shown(ids[twice[0]])} twice, the second time at position {twice[0]}: every id names one "
            f"{'row' if name == 'users' else 'column'}"
        )
    return ids


def _stored(R):
    """Rows, columns and values of the entries that are observed."""
    if sparse.issparse(R):
        matrix = R.tocsr(copy=True)
        matrix.sum_duplicates()
        entries = matrix.tocoo()
        return *entries.coords, entries.data
    rows, columns = np.nonzero((R != 0) & ~np.isnan(R))
    return rows, columns, R[rows, columns]


def interactions_from_matrix(R: Any, users: Ids | None = None, items: Ids | None = None) -> tuple[Array, FloatArray]:
    """Turn a matrix of users and items into rows of interactions, as recommenders take them.

    Parameters
    ----------
    R : sparse matrix, sparse array, ndarray or dataframe of shape (n_users, n_items)
        Ratings or weights. Of a sparse matrix all stored entries are observed, stored zeros too, and entries that are
        stored twice are summed. Of a dense one zeros and NaN are not observed.
    users, items : array-like of shape (n_users,), (n_items,), default=None
        Ids of the rows and the columns. None: the index and the columns of a dataframe that has both, else the
        positions 0, 1, 2, ...

    Returns
    -------
    X : ndarray of shape (n_observed, 2)
        Id of the user, id of the item; int64, or objects where an id is a text. Row by row of the matrix.
    y : ndarray of shape (n_observed,), float64
        The entries.

    Raises
    ------
    TypeError
        If R holds no numbers, or ids are neither texts nor numbers.
    ValueError
        If R does not have two dimensions, an entry is not finite, or the ids are not distinct or not as many as the
        rows or the columns.

    See Also
    --------
    matrix_from_interactions : The way back.

    Notes
    -----
    Users and items without an entry are in no row: pass them to `fit` in a table, with their features.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from skllmrec import PopularityRecommender, interactions_from_matrix
    >>> R = csr_array([[5.0, 0.0, 1.0], [4.0, 0.0, 0.0]])
    >>> X, y = interactions_from_matrix(R, items=["alien", "dune", "heat"])
    >>> X.tolist(), y.tolist()
    ([[0, 'alien'], [0, 'heat'], [1, 'alien']], [5.0, 1.0, 4.0])
    >>> PopularityRecommender(feedback="explicit").fit(X, y).recommend([1], n_items=1)[0].tolist()
    [['heat']]
    """
    if is_frame(R) and hasattr(R, "index"):
        users, items = R.index if users is None else users, R.columns if items is None else items
    if not sparse.issparse(R):
        try:
            R = np.asarray(R, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"R must be a matrix of numbers, users x items, got {type(R).__name__}: {error}") from error
    if len(R.shape) != 2:
        raise ValueError(f"R must have two dimensions, users x items, got shape {R.shape}")
    ids = _ids_of(users, R.shape[0], "users"), _ids_of(items, R.shape[1], "items")
    rows, columns, values = _stored(R)
    y = values.astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(y))
    if len(wrong):
        user, item = ids[0][rows[wrong[0]]], ids[1][columns[wrong[0]]]
        raise ValueError(
            f"R has {y[wrong[0]]} for user {shown(user)} and item {shown(item)} ({len(wrong)} in total): remove these "
            "entries"
        )
    dtype = np.result_type(*ids)
    X: Array = np.empty((len(y), 2), dtype=dtype)
    X[:, 0], X[:, 1] = ids[0][rows], ids[1][columns]
    return X, y


def matrix_from_interactions(
    X: Rows,
    y: ArrayLike | None = None,
    *,
    user: Column = 0,
    item: Column = 1,
    users: Ids | None = None,
    items: Ids | None = None,
) -> tuple[sparse.csr_array, Array, Array]:
    """Turn rows of interactions into a sparse matrix of users and items.

    Parameters
    ----------
    X : dataframe or array-like of shape (n_samples, n_features)
        One row for each interaction.
    y : array-like of shape (n_samples,), default=None
        Ratings or weights; None: all one.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    users, items : array-like of shape (n_users,), (n_items,), default=None
        Ids of the rows and the columns of the matrix. None: those of X, sorted.

    Returns
    -------
    R : csr_array of shape (n_users, n_items), float64
        Rows of the same user and item are summed.
    users : ndarray of shape (n_users,)
        Ids of the rows.
    items : ndarray of shape (n_items,)
        Ids of the columns.

    Raises
    ------
    TypeError
        If an id is neither a text nor a number, or the ids of X and those that are passed are texts and numbers.
    ValueError
        If a column does not exist, y has another length than X or an entry that is not finite, or an id of X is not
        among those that are passed.

    See Also
    --------
    interactions_from_matrix : The way back.

    Examples
    --------
    >>> from skllmrec import matrix_from_interactions
    >>> R, users, items = matrix_from_interactions([["ann", "dune"], ["bob", "alien"]], [5.0, 4.0])
    >>> R.toarray(), users.tolist(), items.tolist()
    (array([[0., 5.],
           [4., 0.]]), ['ann', 'bob'], ['alien', 'dune'])
    """
    X = with_types(as_table(X))
    y = np.ones(num_rows(X)) if y is None else np.asarray(y, dtype=np.float64)
    if y.shape != (num_rows(X),):
        raise ValueError(f"y has shape {y.shape}, but X has {num_rows(X)} rows: pass one number for each row")
    wrong = np.flatnonzero(~np.isfinite(y))
    if len(wrong):
        raise ValueError(f"y has {y[wrong[0]]} at position {wrong[0]} ({len(wrong)} in total): remove these rows")
    axes = []
    for key, name, given in ((user, "user", users), (item, "item", items)):
        values = column(X, key, name=name)
        if given is None:
            axes.append(IdIndex.from_values(values))
            continue
        index = IdIndex(_ids_of(given, len(given), f"{name}s"))  # type: ignore[arg-type]
        index.check_kind(values, name=f"{name} column {key!r}: the ids")
        codes = index.encode(values)
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            raise ValueError(
                f"{name} column {key!r} has {shown(values[unknown[0]])} at position {unknown[0]} ({len(unknown)} rows "
                f"in total), which is not among {name}s: add it, or remove the rows"
            )
        axes.append((index, codes))
    (user_index, rows), (item_index, columns) = axes
    R = sparse.coo_array((y, (rows, columns)), shape=(len(user_index), len(item_index))).tocsr()
    return R, user_index.ids, item_index.ids
