"""Interactions with a known answer: two groups of users who like two groups of items."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from sklearn.base import clone

from skllmrec._typing import Array, ArrayLike, Estimator, Frame

N_USERS = 24
N_ITEMS = 16
N_UNSEEN = 3  # items that a user likes but has not rated
_WORDS = ("red apple cherry", "blue ocean river")


def _id(kind, prefix, code):
    """Id of a user or item; ids of every kind sort like the codes."""
    if kind == "str":
        return f"{prefix}{code:03d}"
    return 3 * code + 10 if kind == "int" else code + 0.5


class GroupData:
    """The interactions, and a clone of a recommender whose parameters name the columns.

    Users and items are numbered by codes. Users with even codes like items with even codes, users with odd codes items
    with odd codes. `fit` does not see the users and items with codes from `N_USERS` or `N_ITEMS` on. Texts and numbers
    also depend on the group. A recommender with an encoder gets the texts, one with features but without an encoder
    the numbers.

    Parameters
    ----------
    recommender : recommender
        The recommender to clone.
    kind : {"int", "float", "str"}
        Type of the ids.
    describe : bool
        Whether a recommender that accepts features gets them if its parameters do not ask for any.
    **params
        Parameters of the clone; those that it does not have are ignored.
    """

    def __init__(
        self,
        recommender: Estimator,
        *,
        kind: Literal["int", "float", "str"] = "int",
        describe: bool = False,
        **params: Any,
    ) -> None:
        known = recommender.get_params(deep=False)
        self.kind = kind
        self.names = ["user_id", "item_id"]
        columns: dict[str, Any] = {"user": 0, "item": 1}
        for side in ("user", "item"):
            describes = (
                describe and f"{side}_features" in known and getattr(recommender, f"_reads_{side}_features", True)
            )
            used = known.get(f"{side}_features") is not None or describes
            if used:
                columns[f"{side}_features"] = self._add_features(side, known.get(f"{side}_encoder") is not None)
        params = {"random_state": 0, "handle_unknown": "prior", **columns, **params}
        self.recommender = clone(recommender).set_params(
            **{name: value for name, value in params.items() if name in known}
        )
        self.has_features = {side: f"{side}_features" in columns for side in ("user", "item")}
        self.has_texts = {side: known.get(f"{side}_encoder") is not None for side in ("user", "item")}
        self.implicit = getattr(recommender, "feedback", "explicit") == "implicit"
        users, items, ratings = self._interactions()
        self.user_codes = users
        self.item_codes = items
        self.y = ratings
        self.X = self.rows(self.user_codes, self.item_codes)

    def _add_features(self, side, as_text):
        """Add the feature columns of the users or items; return their column key."""
        start = len(self.names)
        self.names += [f"{side}_text"] if as_text else [f"{side}_number0", f"{side}_number1"]
        return start if as_text else [start, start + 1]

    def _interactions(self):
        users, items = np.divmod(np.arange(N_USERS * N_ITEMS), N_ITEMS)
        own = users % 2 == items % 2
        place = items // 2 + users // 2
        liked = own & (place % (N_ITEMS // 2) < N_ITEMS // 2 - N_UNSEEN)
        disliked = ~own & ((items // 2 + 3 * (users // 2)) % (N_ITEMS // 2) < N_UNSEEN) & (not self.implicit)
        rating = np.where(own, 4.0, 1.0) + place % 2
        rows = np.flatnonzero(liked | disliked)
        return users[rows], items[rows], (rating - 3 * self.implicit)[rows]

    def rows(self, users: ArrayLike, items: ArrayLike) -> Array:
        """Make the rows of X for codes, an array of shape (n, n_columns); its dtype is object if it holds strings."""
        users, items = np.broadcast_arrays(np.atleast_1d(users), np.atleast_1d(items))
        X = np.empty((len(users), len(self.names)), dtype=object)
        for column, name in enumerate(self.names):
            side, _, what = name.partition("_")
            codes = users if side == "user" else items
            X[:, column] = [self._cell(side, what, int(code)) for code in codes]
        is_text = self.kind == "str" or any("text" in name for name in self.names)
        return X if is_text else X.astype(np.float64 if X.shape[1] > 2 or self.kind == "float" else np.int64)

    def _cell(self, side, what, code):
        if what == "id":
            return _id(self.kind, side[0], code)
        if what == "text":
            return f"{_WORDS[code % 2]} {side}{code // 2}"
        return float(code % 2 == int(what[-1])) + 0.01 * (code % 5)

    def ids(self, side: str, codes: Any) -> Array:
        """Return the ids of codes, an array of shape (n,)."""
        return np.array(
            [_id(self.kind, side[0], int(code)) for code in codes], dtype=object if self.kind == "str" else None
        )

    def frame(self, make: Callable[[dict[str, list[Any]]], Frame], X: Array | None = None) -> Frame:
        """Convert X to a dataframe with ``make(dict of columns)``; columns of numbers hold numbers."""
        X = self.X if X is None else X
        return make({name: X[:, column].tolist() for column, name in enumerate(self.names)})

    def by_name(self) -> Estimator:
        """Return a clone of the recommender whose parameters select the columns by name."""
        params = self.recommender.get_params(deep=False)
        keys = {}
        for name in ("user", "item", "user_features", "item_features"):
            key = params.get(name)
            if key is not None:
                keys[name] = [self.names[column] for column in key] if isinstance(key, list) else self.names[key]
        return clone(self.recommender).set_params(**keys)

    def fitted(self, X: Array | None = None, y: Array | None = None, **fit_params: Any) -> Estimator:
        """Fit a clone of the recommender on X and y, by default on all interactions."""
        X, y = (self.X, self.y) if X is None else (X, y)
        return clone(self.recommender).fit(X, y, **fit_params)

    def seen(self, user: int) -> Array:
        """Return the codes of the items that a user has rated."""
        return self.item_codes[self.user_codes == user]
