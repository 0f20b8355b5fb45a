"""Synthetic interactions that depend on the texts of the items, which use different synonyms."""

from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from sklearn.utils import check_random_state

from skllmrec._optional import import_optional
from skllmrec._typing import Feedback, FloatArray, IntArray, RandomState
from skllmrec.datasets._bunch import make_bunch
from skllmrec.datasets._vocabulary import PHRASES, concepts

_BLOCK = 1 << 21  # pairs of user and item that are computed at a time
_START = 1_577_836_800  # January 2020
_SECONDS = 2 * 365 * 86_400  # two years
_DESCR = """\
Synthetic interactions
======================

Every item is about one or two of {n_topics} topics and names them in its title and description; every user prefers some
topics. How often an item is chosen{rated} depends on how well its topics fit the user, apart from popularity, which
is long-tailed, and noise. Each item and each user draws on one of three vocabularies, so that texts on one topic
share their meaning but, in two of three cases, none of its words.
"""


def spread(n_total: int, weights: FloatArray, ceiling: int) -> IntArray:
    """Distribute a total in proportion to weights: at most `ceiling` and, if possible, at least one each.

    Parameters
    ----------
    n_total : int
        At most ``ceiling * len(weights)``.
    weights : ndarray of shape (n,)
        Positive.
    ceiling : int

    Returns
    -------
    ndarray of shape (n,), int64
        Sums to `n_total`.

    Examples
    --------
    >>> import numpy as np
    >>> spread(10, np.array([8.0, 1.0, 1.0]), 6).tolist()
    [6, 2, 2]
    """
    counts = np.full(len(weights), int(n_total >= len(weights)))
    order = np.argsort(-weights, kind="stable")
    while (left := n_total - counts.sum()) > 0:
        free = np.where(counts < ceiling, weights, 0.0)
        shares = (left * free / free.sum()).astype(int)
        if not shares.any():
            shares[order[counts[order] < ceiling][:left]] = 1
        counts = np.minimum(counts + shares, ceiling)
    return counts


class _Writer:
    """Writes texts about topics, each text in one of three vocabularies."""

    def __init__(self, language: str, n_topics: int, rng: np.random.RandomState) -> None:
        self.words = np.array(list(concepts(language).values())[:n_topics])  # topic, concept, word
        self.phrases = PHRASES[language]
        self.rng = rng

    def write(self, kind: str, topics: FloatArray, vocabulary: int) -> str:
        """Fill a phrase with words of topics drawn from a distribution, without repetition if possible."""
        phrase = self.phrases[kind][self.rng.randint(len(self.phrases[kind]))]
        n_words = phrase.count("{}")
        n_topics, n_concepts, _ = self.words.shape
        probabilities = np.repeat(topics / n_concepts, n_concepts)
        n_distinct = np.count_nonzero(probabilities)
        drawn = self.rng.choice(n_topics * n_concepts, n_words, p=probabilities, replace=bool(n_distinct < n_words))
        words = self.words.reshape(-1, 3)[drawn, vocabulary]
        adjective = self.phrases["adjectives"][self.rng.randint(len(self.phrases["adjectives"]))]
        text = phrase.format(*words, adjective=adjective)
        return text[0].upper() + text[1:]


def _mixtures(n, n_topics, concentration, rng):
    """Draw the shares of topics of n items or users, concentrated on few topics; shares below 0.1 become 0."""
    shares = rng.dirichlet(np.full(n_topics, concentration), size=n) if n_topics > 1 else np.ones((n, 1))
    shares[shares < 0.1] = 0.0
    return shares / shares.sum(axis=1, keepdims=True)


def _mean_and_deviation(preferences, topics):
    """Mean and standard deviation of ``preferences @ topics.T``, without computing the product."""
    mean = preferences.mean(axis=0) @ topics.mean(axis=0)
    second = np.sum((preferences.T @ preferences) * (topics.T @ topics)) / (len(preferences) * len(topics))
    deviation = np.sqrt(max(second - mean**2, 0.0))
    return mean, deviation if deviation > 1e-9 else 1.0


def _choose(preferences, topics, popularity, counts, noise, taste, rng):
    """Draw items for every user without replacement.

    The probability of an item is proportional to ``popularity * exp(taste * fit)`` (the Gumbel top-k trick); `fit` is
    the standardised product of preferences and topics plus Gaussian noise.

    Returns
    -------
    users, items : ndarray of shape (n_interactions,), int64
    fit : ndarray of shape (n_interactions,), float64
    """
    mean, deviation = _mean_and_deviation(preferences, topics)
    users, items, fits = [], [], []
    n_items, most = len(topics), counts.max()
    step = max(1, _BLOCK // n_items)
    for start in range(0, len(preferences), step):
        block = preferences[start : start + step] @ topics.T
        fit = (block - mean) / deviation + noise * rng.standard_normal(block.shape)
        keys = np.log(popularity) + taste * fit + rng.gumbel(size=fit.shape)
        best = np.argpartition(-keys, most - 1, axis=1)[:, :most]
        order = np.take_along_axis(best, np.argsort(-np.take_along_axis(keys, best, axis=1), axis=1), axis=1)
        kept = np.arange(most) < counts[start : start + step, None]
        users.append(start + np.nonzero(kept)[0])
        items.append(order[kept])
        fits.append(np.take_along_axis(fit, order, axis=1)[kept])
    return np.concatenate(users), np.concatenate(items), np.concatenate(fits)


def _check_counts(n_users, n_items, n_topics):
    for name, value in (("n_users", n_users), ("n_items", n_items), ("n_topics", n_topics)):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be a positive int, got {value!r}.")
    most = len(concepts("en"))
    if n_topics > most:
        raise ValueError(f"n_topics must be at most {most}, the number of vocabularies, got {n_topics}.")


def _check_kind(feedback, language, noise):
    for name, value, allowed in (("feedback", feedback, ("implicit", "explicit")), ("language", language, PHRASES)):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {tuple(allowed)}, got {value!r}.")
    if not isinstance(noise, Real) or not 0 <= noise < np.inf:
        raise ValueError(f"noise must be a non-negative number, got {noise!r}.")


def _n_interactions(n_pairs, n_interactions, density):
    """Return the number of interactions, from `n_interactions` or `density`."""
    if n_interactions is None:
        if not isinstance(density, Real) or not 0 < density <= 1:
            raise ValueError(f"density must lie in (0, 1], got {density!r}.")
        return max(1, round(density * n_pairs))
    if not isinstance(n_interactions, Integral) or not 1 <= n_interactions <= n_pairs:
        raise ValueError(
            f"n_interactions must lie between 1 and n_users * n_items = {n_pairs}, got {n_interactions!r}."
        )
    return n_interactions


def _items(writer, topics, vocabularies, rng):
    rows = list(zip(topics, vocabularies, strict=True))
    return {
        "item_id": np.arange(len(topics)),
        "title": [writer.write("title", *row) for row in rows],
        "description": [writer.write("description", *row) for row in rows],
        "year": rng.randint(1950, 2020, size=len(topics)),
    }


def _users(writer, preferences, rng):
    vocabularies = rng.randint(3, size=len(preferences))
    ages = rng.permutation(np.linspace(20, 60, preferences.shape[1]))  # mean age of the users who prefer each topic
    age = preferences @ ages + rng.normal(scale=5, size=len(preferences))
    return {
        "user_id": np.arange(len(preferences)),
        "age": np.clip(np.rint(age), 12, 90).astype(np.int64),
        "about": [writer.write("about", *row) for row in zip(preferences, vocabularies, strict=True)],
    }


def _ratings(users, items, fit, n_users, n_items, rng):
    """Ratings from 1 to 5: the fit plus random effects of the user and the item."""
    stars = 3.2 + 0.9 * fit + rng.normal(scale=0.3, size=n_users)[users] + rng.normal(scale=0.3, size=n_items)[items]
    return np.clip(np.rint(stars), 1, 5)


def make_interactions(
    n_users: int = 200,
    n_items: int = 100,
    *,
    n_topics: int = 6,
    n_interactions: int | None = None,
    density: float = 0.1,
    feedback: Feedback = "implicit",
    language: Literal["en", "zh"] = "en",
    noise: float = 0.3,
    return_X_y: bool = False,
    random_state: RandomState = None,
) -> Any:
    """Generate interactions with items that are described by texts, which determine the preferences.

    Items are about topics, users prefer topics, and the fit of the two determines which items a user chooses and how
    they rate them. Title and description consist of words of the topics of the item: each topic has six concepts, each
    concept three synonyms (ship, vessel, boat). Every item uses the same one of the three throughout, so that texts on
    one topic have a similar meaning but often no word in common, which a language model can use and word counts cannot.
    The age of a user and a sentence about them depend on their topics in the same way.

    The popularity of items is a power of their rank and independent of the texts; the activity of users is log-normal.

    Parameters
    ----------
    n_users, n_items : int, default=200, 100
        Numbers of users and items. With few interactions some items have none. If there are at least as many
        interactions as users, every user has one.
    n_topics : int, default=6
        Number of topics, at most 12.
    n_interactions : int, default=None
        Number of interactions, each of another pair of user and item. If None, `density` determines it.
    density : float, default=0.1
        Share of all pairs that interact, if `n_interactions` is None.
    feedback : {"implicit", "explicit"}, default="implicit"
        With "implicit", y is 1.0 for all rows, and the choice of items depends strongly on the preferences. With
        "explicit", y is a rating from 1 to 5 that depends on the preferences, and the choice of items depends on them
        weakly.
    language : {"en", "zh"}, default="en"
        Language of the texts, English or Chinese (without spaces between words: see `TextAnalyzer`).
    noise : float, default=0.3
        Standard deviation of the noise added to the fit of a user and an item, which has standard deviation 1.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState instance or None, default=None
        Pass an int for reproducible data.

    Returns
    -------
    data : sklearn.utils.Bunch
        With the entries

        frame : pandas.DataFrame of shape (n_interactions, 9)
            ``user_id, item_id, rating, timestamp``, attributes of the item ``title, description, year``,
            attributes of the user ``age, about``; in the order of time.
        data : pandas.DataFrame
            The frame without ``rating``: X.
        target : pandas.Series of shape (n_interactions,), float64
            The ratings: y.
        item_table, user_table : pandas.DataFrame
            One row per item or user, including those without interactions; ids start at 0. `fit` takes them by these
            names.
        user_preferences : ndarray of shape (n_users, n_topics)
            True shares of the topics in the preferences of each user; rows sum to 1.
        item_topics : ndarray of shape (n_items, n_topics)
            True shares of the topics of each item; rows sum to 1.
        item_vocabularies : ndarray of shape (n_items,), int
            Which of the three synonyms of a concept each item uses: 0, 1 or 2. A model of word counts that was
            fitted on the items of one vocabulary cannot predict those of another.
        topic_names : list of str
            Names of the topics.
        feature_names, target_names, item_names, user_names : list of str
            Names of the columns of data, target, item_table and user_table.
        DESCR : str
            Description.
    (data, target) : tuple if `return_X_y`

    Raises
    ------
    ValueError
        If an argument is out of its range.
    ImportError
        If pandas is not installed.

    Examples
    --------
    >>> from skllmrec.datasets import make_interactions
    >>> data = make_interactions(n_users=30, n_items=20, n_interactions=100, random_state=0)
    >>> data.data.shape, data.item_table.shape, data.item_topics.shape
    ((100, 8), (20, 4), (20, 6))
    >>> data.frame.columns.tolist()
    ['user_id', 'item_id', 'rating', 'timestamp', 'title', 'description', 'year', 'age', 'about']
    """
    pandas = import_optional("pandas", extra="demo", purpose="make_interactions")
    _check_counts(n_users, n_items, n_topics)
    _check_kind(feedback, language, noise)
    total = _n_interactions(n_users * n_items, n_interactions, density)
    rng = check_random_state(random_state)
    item_topics = _mixtures(n_items, n_topics, 0.1, rng)
    preferences = _mixtures(n_users, n_topics, 0.3, rng)
    vocabularies = rng.randint(3, size=n_items)
    writer = _Writer(language, n_topics, rng)
    items = _items(writer, item_topics, vocabularies, rng)
    users = _users(writer, preferences, rng)

    popularity = 1.0 / rng.permutation(np.arange(1, n_items + 1)) ** 0.8
    counts = spread(total, rng.lognormal(sigma=0.8, size=n_users), n_items)
    taste = 2.0 if feedback == "implicit" else 0.5
    users_of_rows, items_of_rows, fit = _choose(preferences, item_topics, popularity, counts, noise, taste, rng)
    ratings = np.ones(total)
    if feedback == "explicit":
        ratings = _ratings(users_of_rows, items_of_rows, fit, n_users, n_items, rng)
    interactions = pandas.DataFrame(
        {
            "user_id": users_of_rows,
            "item_id": items_of_rows,
            "rating": ratings,
            "timestamp": _START + rng.randint(_SECONDS, size=total),
        }
    )
    interactions = interactions.sort_values("timestamp", kind="stable", ignore_index=True)
    bunch = make_bunch(
        interactions,
        pandas.DataFrame(items),
        pandas.DataFrame(users),
        user="user_id",
        item="item_id",
        target="rating",
        descr=_DESCR.format(n_topics=n_topics, rated=" and how it is rated" if feedback == "explicit" else ""),
        user_preferences=preferences,
        item_topics=item_topics,
        item_vocabularies=vocabularies,
        topic_names=list(concepts(language))[:n_topics],
    )
    return (bunch.data, bunch.target) if return_X_y else bunch
