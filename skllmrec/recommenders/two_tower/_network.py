"""The network of TwoTowerRecommender: towers of features, id embeddings, and a graph between both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from skllmrec._kernels.feature_map import MAX_RANK, FeatureBasis
from skllmrec._kernels.neural.feature_product import FactoredRows, FeatureProduct
from skllmrec._kernels.neural.graph import LinkProduct, mean_matrix, normalised_links, propagate, unit_rows
from skllmrec._typing import CsrMatrix, FloatArray, Matrix

if TYPE_CHECKING:
    import torch

_ID_NORM = 0.1  # expected length of a new id embedding


@dataclass(frozen=True)
class Architecture:
    """Sizes and options of the network; see the parameters of `TwoTowerRecommender` with the same names.

    Attributes
    ----------
    n_components, hidden_size : int
    tower : {"mlp", "linear"}
    ids : bool
    n_layers : int
    explicit : bool
        Whether there are biases, and vectors of free length instead of unit vectors.
    dropout, feature_dropout, feature_noise : float
    """

    n_components: int
    hidden_size: int
    tower: str
    ids: bool
    n_layers: int
    explicit: bool
    dropout: float
    feature_dropout: float
    feature_noise: float


class TwoTowers:
    """Vectors of all users and all items: tower of the features plus id embedding, smoothed along the interactions.

    A user vector is the sum of up to three parts: the user tower applied to the user's features, the item tower applied
    to the mean features of the user's items (AlphaRec), and the embedding of the user's id. An item vector is the sum
    of the item tower applied to the item's features and the embedding of the item's id.

    Parameters
    ----------
    architecture : Architecture
    links : csr_matrix of shape (n_users, n_items)
        Interactions that the graph consists of.
    features : tuple of two, FactoredRows or None
        Of users and of items, centred, rows of mean squared length one.
    device : torch.device
    seed : int
        Of the initial weights, which do not depend on the device.

    Attributes
    ----------
    parameters : dict of str to torch.Tensor
    """

    def __init__(
        self,
        architecture: Architecture,
        links: CsrMatrix,
        features: tuple[FactoredRows | None, FactoredRows | None],
        device: "torch.device",
        seed: int,
    ) -> None:
        import torch

        self.architecture = architecture
        self.device = device
        self._generator = torch.Generator().manual_seed(seed)
        self._shape = links.shape
        self.parameters: dict[str, torch.Tensor] = {}
        self._features = [None if side is None else FeatureProduct(side, device) for side in features]
        for name, side in zip(("user_tower", "item_tower"), self._features, strict=True):
            if side is not None:
                self._add_tower(name, side.rows.shape[1])
        width = architecture.n_components
        for name, size in zip(("user", "item"), links.shape, strict=True):
            if architecture.ids:
                self._add(f"{name}_ids", (size, width), _ID_NORM / width**0.5)
            if architecture.explicit:
                self._add(f"{name}_biases", (size, 1), 0.0)
        self.connect(links)

    def _add(self, name, shape, scale):
        import torch

        values = scale * torch.randn(shape, generator=self._generator)
        self.parameters[name] = values.to(self.device).requires_grad_()

    def _add_tower(self, name, n_features):
        """Weights with variance 1 / (number of inputs), biases zero."""
        sizes = [n_features, self.architecture.n_components]
        if self.architecture.tower == "mlp":
            sizes.insert(1, self.architecture.hidden_size)
        for layer, (n_inputs, n_outputs) in enumerate(pairwise(sizes)):
            self._add(f"{name}.weight{layer}", (n_outputs, n_inputs), n_inputs**-0.5)
            self._add(f"{name}.bias{layer}", (n_outputs,), 0.0)

    def add_heads(self, sizes: Sequence[int]) -> None:
        """Add linear read-outs of `pair_features`.

        Parameters
        ----------
        sizes : sequence of int
            Number of outputs of each.
        """
        for number, n_outputs in enumerate(sizes):
            self._add(f"head{number}.weight", (n_outputs, 3 * self.architecture.n_components), 0.0)
            self._add(f"head{number}.bias", (n_outputs,), 0.0)

    def heads(self, n_heads: int) -> list[tuple[FloatArray, FloatArray]]:
        """Weights (n_outputs, 3 d) and biases (n_outputs,) of the heads, as pairs of arrays."""

        def array(name):
            return self.parameters[name].detach().cpu().double().numpy()

        return [(array(f"head{number}.weight"), array(f"head{number}.bias")) for number in range(n_heads)]

    def connect(self, links: CsrMatrix) -> None:
        """Replace the graph.

        Parameters
        ----------
        links : csr_matrix of shape (n_users, n_items)
        """
        import torch

        self._graph = LinkProduct.of(normalised_links(links), self.device) if self.architecture.n_layers else None
        self._means = self._unlinked = None
        if self._features[1] is not None:
            self._means = LinkProduct.of(mean_matrix(links), self.device)
            unlinked = torch.from_numpy(np.diff(links.indptr) == 0)[:, None]
            self._unlinked = unlinked.to(self.device) if unlinked.any() else None

    def vectors(self, *, training: bool = False) -> "tuple[torch.Tensor, torch.Tensor]":
        """Compute the vectors of both sides.

        Parameters
        ----------
        training : bool, default=False
            Whether dropout and noise are on.

        Returns
        -------
        users, items : torch.Tensor of shape (n_users, n_components), (n_items, n_components)
            Unit vectors, or, with biases, of any length.
        """
        own = self._from_users(training)
        of_users, of_items = self._from_items(training)
        sources = [[own, of_users], [of_items]]
        sides = []
        for name, encoded, size in zip(("user_ids", "item_ids"), sources, self._shape, strict=True):
            parts = [part for part in (*encoded, self.parameters.get(name)) if part is not None]
            sides.append(sum(parts[1:], parts[0]) if parts else self._nothing(size))
        users, items = sides
        if self._graph is not None:
            users, items = propagate(users, items, self._graph, self.architecture.n_layers)
        return (users, items) if self.architecture.explicit else (unit_rows(users), unit_rows(items))

    def _nothing(self, size):
        """Zero vectors of a side without features and ids, whose vectors come from its neighbours alone."""
        import torch

        return torch.zeros(size, self.architecture.n_components, device=self.device)

    def _from_users(self, training):
        """Output of the users' tower; None without features of users."""
        features, name = self._features[0], "user_tower"
        return None if features is None else self._finish(name, self._begin(name, features, training), training)

    def _from_items(self, training):
        """Output of the items' tower for the mean features of each user's items, and for the items."""
        features, name = self._features[1], "item_tower"
        if features is None:
            return None, None
        if self.architecture.feature_noise * training:
            users = self._begin_noisy(name, self._means.dot(features.rows))
            users = self._finish(name, users, training)
            return users, self._finish(name, self._begin(name, features, training), training)
        items = self._begin(name, features, training)
        users = self._means.dot(items)  # the first layer of a mean is the mean of the first layers
        if self._unlinked is not None:
            users = users + self._unlinked * self.parameters[f"{name}.bias0"]
        return self._finish(name, users, training), self._finish(name, items, training)

    def _begin(self, name, features, training):
        """First layer of a tower, before its rectifier."""
        if self.architecture.feature_noise * training:
            return self._begin_noisy(name, features.rows)
        return features.affine(self.parameters[f"{name}.weight0"], self.parameters[f"{name}.bias0"])

    def _begin_noisy(self, name, rows):
        import torch
        from torch.nn.functional import linear

        rows = rows + self.architecture.feature_noise * rows.shape[1] ** -0.5 * torch.randn_like(rows)
        return linear(rows, self.parameters[f"{name}.weight0"], self.parameters[f"{name}.bias0"])

    def _finish(self, name, hidden, training):
        """Output of a tower from that of its first layer, which is overwritten."""
        import torch
        from torch.nn.functional import dropout, leaky_relu, linear

        if self.architecture.tower == "mlp":
            hidden = dropout(leaky_relu(hidden, inplace=True), self.architecture.dropout, training)
            hidden = linear(hidden, self.parameters[f"{name}.weight1"], self.parameters[f"{name}.bias1"])
        hide = self.architecture.feature_dropout * training
        return hidden * (torch.rand(len(hidden), 1, device=self.device) >= hide) if hide else hidden


def rotated(features: Matrix, basis: FeatureBasis) -> FactoredRows:
    """Centre features, project them onto their singular vectors, and scale rows to a mean squared length of one.

    Parameters
    ----------
    features : {ndarray, csr_matrix} of shape (n, k)
    basis : FeatureBasis
        Basis of these features; for sparse or wide features it holds the leading directions only.

    Returns
    -------
    FactoredRows
    """
    right = basis.right[:, :MAX_RANK]
    shift = basis.mean @ right
    rows = np.asarray(features @ right) - shift
    scale = np.sqrt((rows**2).sum() / len(rows))
    factors = (features, right / scale, shift / scale) if sparse.issparse(features) else ()
    return FactoredRows((rows / scale).astype(np.float32), *factors)


def pair_features(users: Any, items: Any) -> list[Any]:
    """Compute the inputs of the heads of tasks, ``[p, q, p * q]``, with unit vectors scaled to length ``sqrt(d)``.

    Parameters
    ----------
    users, items : torch.Tensor or ndarray of shape (n_pairs, d)

    Returns
    -------
    list of three of the same type, each of shape (n_pairs, d)
    """
    scale = users.shape[1] ** 0.5
    users, items = users * scale, items * scale
    return [users, items, users * items]
