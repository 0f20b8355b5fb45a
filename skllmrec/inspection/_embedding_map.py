"""Vectors reduced to two dimensions, coloured by a label."""

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.manifold import TSNE
from sklearn.utils import check_array, check_random_state

from skllmrec._drawing import COLOURS, MARKERS
from skllmrec._typing import Array, ArrayLike, Estimator, FloatArray, Matrix, RandomState
from skllmrec.inspection._display import BaseDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OTHER = "other"


def _to_plane(vectors, method, random_state):
    """Reduce each vector to two coordinates."""
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
    """Check the options; return vectors and labels as arrays.

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
    """Replace all but the `n_labels` most frequent labels by "other"."""
    frequent = {label for label, _ in Counter(labels).most_common(n_labels)}
    return np.array([label if label in frequent else _OTHER for label in labels], dtype=object)


class EmbeddingMapDisplay(BaseDisplay):
    """Vectors in two dimensions, coloured by a label, to see whether vectors with one label form clusters.

    Create it with `from_estimator` or `from_predictions`, which compute the parameters.

    Parameters
    ----------
    coordinates : ndarray of shape (n, 2)
        One point per vector.
    labels : ndarray of shape (n,) or None
        One label per vector; rare labels are replaced by ``"other"``.
    method : {"pca", "tsne"}
        Method of the dimension reduction.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
        Set by `plot`.

    Notes
    -----
    A map does not measure anything: t-SNE preserves neighbourhoods but not distances, PCA preserves the two directions
    of largest variance only. Confirm with a metric what the map suggests.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.inspection import EmbeddingMapDisplay
    >>> vectors = np.array([[1.0, 0.0, 0.0], [1.1, 0.0, 0.0], [0.0, 3.0, 0.0]])
    >>> display = EmbeddingMapDisplay.from_predictions(vectors, ["a", "a", "b"], plot=False)
    >>> display.coordinates.shape
    (3, 2)
    """

    def __init__(
        self, *, coordinates: FloatArray, labels: Array | None = None, method: Literal["pca", "tsne"] = "pca"
    ) -> None:
        self.coordinates = coordinates
        self.labels = labels
        self.method = method

    @classmethod
    def from_estimator(
        cls,
        encoder: Estimator,
        X: Any,
        labels: ArrayLike | None = None,
        *,
        method: Literal["pca", "tsne"] = "pca",
        n_labels: int = 6,
        max_points: int = 5_000,
        random_state: RandomState = 0,
        ax: "Axes | None" = None,
        plot: bool = True,
    ) -> Self:
        """Create the display from what an encoder makes of texts or of a table.

        Parameters
        ----------
        encoder : fitted encoder or Pipeline of encoders
            Its `transform` returns one vector per row of X.
        X : texts or table of shape (n, ...)
            Input of the encoder.
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
            encoder.transform(X),
            labels,
            method=method,
            n_labels=n_labels,
            max_points=max_points,
            random_state=random_state,
            ax=ax,
            plot=plot,
        )

    @classmethod
    def from_predictions(
        cls,
        vectors: Matrix,
        labels: ArrayLike | None = None,
        *,
        method: Literal["pca", "tsne"] = "pca",
        n_labels: int = 6,
        max_points: int = 5_000,
        random_state: RandomState = 0,
        ax: "Axes | None" = None,
        plot: bool = True,
    ) -> Self:
        """Create the display from vectors.

        Parameters
        ----------
        vectors : array or sparse matrix of shape (n, n_features)
            At least three vectors.
        labels : array-like of shape (n,), default=None
            Labels that choose the colours, for example genres.
        method : {"pca", "tsne"}, default="pca"
            Method of the dimension reduction.
        n_labels : int, default=6
            Number of labels with their own colour, at most 7. The rarer labels are grey.
        max_points : int, default=5000
            If there are more vectors, a random sample of this size is drawn.
        random_state : int, RandomState instance or None, default=0
            Seed of the sample and of the dimension reduction.
        ax : matplotlib Axes, default=None
            Axes to draw into. If None, a new figure is made.
        plot : bool, default=True
            Whether to draw the display.

        Returns
        -------
        display : EmbeddingMapDisplay

        Raises
        ------
        ValueError
            If an option is unknown, there are fewer than three vectors, or the labels have another length.
        """
        points, names = _check(vectors, labels, method, n_labels)
        random = check_random_state(random_state)
        if points.shape[0] > max_points:
            rows = random.choice(points.shape[0], max_points, replace=False)
            points = points[rows]
            names = None if names is None else names[rows]
        names = None if names is None else _only_frequent(names, n_labels)
        seed = int(random.randint(np.iinfo(np.int32).max))
        display = cls(coordinates=_to_plane(points, method, seed), labels=names, method=method)
        return display.plot(ax=ax) if plot else display

    def _draw(self, ax: "Axes") -> None:
        labels = np.full(len(self.coordinates), None) if self.labels is None else self.labels
        counts = Counter(labels)
        names = sorted(counts, key=lambda name: (name == _OTHER, -counts[name]))
        frequent = [name for name in names if name != _OTHER]
        styles = dict(zip(frequent, zip(COLOURS, MARKERS, strict=True), strict=False))
        for name in reversed(names):  # the rarest are drawn first, below the others
            colour, marker = styles.get(name, ("0.75", "o"))
            points = self.coordinates[labels == name] if name is not None else self.coordinates
            label = None if name is None else f"{name} ({counts[name]:,})"
            ax.scatter(
                points[:, 0], points[:, 1], s=14, color=colour, marker=marker, alpha=0.6, linewidths=0, label=label
            )
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel({"pca": "first principal component", "tsne": "t-SNE"}[self.method])
        ax.set_ylabel({"pca": "second principal component", "tsne": ""}[self.method])
        if self.labels is not None:
            ax.legend(frameon=False, reverse=True, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
