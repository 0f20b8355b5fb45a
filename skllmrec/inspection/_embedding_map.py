"""What vectors look like: reduced to a plane, coloured by a label."""

from collections import Counter

import numpy as np
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.manifold import TSNE
from sklearn.utils import check_array, check_random_state

from skllmrec._drawing import COLOURS, MARKERS, new_axes

_OTHER = "other"


def _to_plane(vectors, method, random_state):
    """Two coordinates of each vector."""
    if method == "tsne":
        n_components = min(50, *np.array(vectors.shape) - 1)
        reduce = TruncatedSVD if hasattr(vectors, "tocsr") else PCA
        if vectors.shape[1] > n_components > 2:
            vectors = reduce(n_components, random_state=random_state).fit_transform(vectors)
        perplexity = min(30.0, (vectors.shape[0] - 1) / 3)
        return TSNE(perplexity=perplexity, init="pca", random_state=random_state).fit_transform(np.asarray(vectors))
    reduce = TruncatedSVD if hasattr(vectors, "tocsr") else PCA
    return reduce(2, random_state=random_state).fit_transform(vectors)


def _check(vectors, labels, method, n_labels):
    """Return vectors and labels as arrays, or say what is wrong with them.

    Raises
    ------
    ValueError
        If an option is unknown, there are fewer than three vectors, or the labels have another length.
    """
    if method not in ("pca", "tsne"):
        raise ValueError(f"method={method!r} is unknown: choose 'pca' or 'tsne'")
    if not 1 <= n_labels <= len(COLOURS):
        raise ValueError(f"n_labels must be from 1 to {len(COLOURS)}, so that colours differ, got {n_labels!r}")
    vectors = check_array(vectors, accept_sparse="csr", ensure_min_samples=3, ensure_min_features=2)
    labels = None if labels is None else np.asarray(labels, dtype=object)
    if labels is not None and len(labels) != vectors.shape[0]:
        raise ValueError(f"there are {vectors.shape[0]} vectors and {len(labels)} labels: pass one for each")
    return vectors, labels


def _only_frequent(labels, n_labels):
    """Put the rare labels together."""
    frequent = {label for label, _ in Counter(labels).most_common(n_labels)}
    return np.array([label if label in frequent else _OTHER for label in labels], dtype=object)


class EmbeddingMapDisplay:
    """Vectors in a plane, coloured by a label: whether things of one kind lie together.

    Use `from_estimator` or `from_predictions`; the parameters are what those computed.

    Parameters
    ----------
    coordinates : ndarray of shape (n, 2)
        A point for each vector.
    labels : ndarray of shape (n,) or None
        Its label; those that are rare are ``"other"``.
    method : {"pca", "tsne"}
        How the plane was found.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
        What `plot` drew.

    Notes
    -----
    A map is a picture, not a measurement: t-SNE keeps neighbours and distorts distances, PCA keeps the two directions
    of most variance. Measure with a metric what the map suggests.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.inspection import EmbeddingMapDisplay
    >>> vectors = np.array([[1.0, 0.0, 0.0], [1.1, 0.0, 0.0], [0.0, 3.0, 0.0]])
    >>> display = EmbeddingMapDisplay.from_predictions(vectors, ["a", "a", "b"], plot=False)
    >>> display.coordinates.shape
    (3, 2)
    """

    def __init__(self, *, coordinates, labels=None, method="pca"):
        self.coordinates = coordinates
        self.labels = labels
        self.method = method

    @classmethod
    def from_estimator(
        cls, encoder, X, labels=None, *, method="pca", n_labels=6, max_points=5_000, random_state=0, ax=None, plot=True
    ):
        """Encode and draw.

        Parameters
        ----------
        encoder : fitted encoder or Pipeline of encoders
            Its `transform` gives a vector for each row of X.
        X : texts or table of shape (n, ...)
            What it takes.
        labels, method, n_labels, max_points, random_state, ax, plot : optional
            As for `from_predictions`.

        Returns
        -------
        display : EmbeddingMapDisplay

        Raises
        ------
        ValueError
            If an option is unknown, or the labels have another length than X.
        """
        return cls.from_predictions(
            encoder.transform(X), labels, method=method, n_labels=n_labels, max_points=max_points,
            random_state=random_state, ax=ax, plot=plot,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, vectors, labels=None, *, method="pca", n_labels=6, max_points=5_000, random_state=0, ax=None, plot=True
    ):
        """Draw vectors that exist already.

        Parameters
        ----------
        vectors : array or sparse matrix of shape (n, n_features)
            At least three.
        labels : array-like of shape (n,), default=None
            What colours them, a genre, say.
        method : {"pca", "tsne"}, default="pca"
            How to find the plane.
        n_labels : int, default=6
            Number of labels that have a colour of their own; the rarer ones are grey. At most 7.
        max_points : int, default=5000
            Of more vectors a random part is drawn.
        random_state : int, RandomState instance or None, default=0
            For the part and the plane.
        ax : matplotlib Axes, default=None
            Where to draw.
        plot : bool, default=True
            Whether to draw at once.

        Returns
        -------
        display : EmbeddingMapDisplay

        Raises
        ------
        ValueError
            If an option is unknown, there are fewer than three vectors, or the labels have another length.
        """
        vectors, labels = _check(vectors, labels, method, n_labels)
        random = check_random_state(random_state)
        if vectors.shape[0] > max_points:
            rows = random.choice(vectors.shape[0], max_points, replace=False)
            vectors, labels = vectors[rows], None if labels is None else labels[rows]
        labels = None if labels is None else _only_frequent(labels, n_labels)
        seed = int(random.randint(np.iinfo(np.int32).max))
        display = cls(coordinates=_to_plane(vectors, method, seed), labels=labels, method=method)
        return display.plot(ax=ax) if plot else display

    def plot(self, *, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : EmbeddingMapDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("EmbeddingMapDisplay") if ax is None else ax
        labels = np.full(len(self.coordinates), None) if self.labels is None else self.labels
        counts = Counter(labels)
        names = sorted(counts, key=lambda name: (name == _OTHER, -counts[name]))
        colours = dict(
            zip((name for name in names if name != _OTHER), zip(COLOURS, MARKERS, strict=True), strict=False)
        )
        for name in reversed(names):  # the rare ones on top
            colour, marker = colours.get(name, ("0.75", "o"))
            points = self.coordinates[labels == name] if name is not None else self.coordinates
            label = None if name is None else f"{name} ({counts[name]:,})"
            ax.scatter(*points.T, s=14, color=colour, marker=marker, alpha=0.6, linewidths=0, label=label)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel({"pca": "first principal component", "tsne": "t-SNE"}[self.method])
        ax.set_ylabel({"pca": "second principal component", "tsne": ""}[self.method])
        if self.labels is not None:
            ax.legend(frameon=False, reverse=True, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        self.ax_, self.figure_ = ax, ax.get_figure()
        return self
