"""Ranked lists as a data frame."""

import numpy as np

from skllmrec._optional import import_optional
from skllmrec._typing import Array, FloatArray, Frame


def lists_as_frame(users: Array, ids: Array, scores: FloatArray) -> Frame:
    """Make one row for each entry of the lists, without padding.

    Parameters
    ----------
    users : ndarray of shape (n_users,)
        Whom the lists are for.
    ids : ndarray of shape (n_users, n_items)
    scores : ndarray of shape (n_users, n_items), float64
        -inf where a list is padded.

    Returns
    -------
    pandas.DataFrame with the columns user, item, rank, score
        User by user in the order of the lists; ranks begin with 1.
    """
    pd = import_optional("pandas", extra="demo", purpose="recommend(as_frame=True)")
    rows, ranks = np.nonzero(scores > -np.inf)
    columns = {"user": users[rows], "item": ids[rows, ranks], "rank": ranks + 1, "score": scores[rows, ranks]}
    return pd.DataFrame(columns)
