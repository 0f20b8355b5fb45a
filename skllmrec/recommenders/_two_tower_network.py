"""The network of TwoTowerRecommender: towers of features, id embeddings, and a graph between both sides."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from skllmrec._kernels.feature_map import MAX_RANK
from skllmrec._kernels.graph import LinkProduct, mean_matrix, normalised_links, propagate

_ID_NORM = 0.1  # expected length of a new id embedding


@dataclass(frozen=True)
class Architecture:
    """What the network is made of; see the parameters of the same names of `TwoTowerRecommender`.

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

    A user has up to three sources: a tower of his own features, the items' tower applied to the mean features of his
    items (AlphaRec), and an embedding of his id; an item has the last two, of itself.

    Parameters
    ----------
    architecture : Architecture
    links : csr_matrix of shape (n_users, n_items)
        Interactions that the graph consists of.
    features : tuple of two, ndarray of shape (n, k) or None
        Of users and of items, centred, rows of mean squared length one.
    device : torch.device
    seed : int
        Of the initial weights, which do not depend on the device.

    Attributes
    ----------
    parameters : dict of str to torch.Tensor
    """

    def __init__(self, architecture, links, features, device, seed):
        import torch

        self.architecture, self.device = architecture, device
        self._generator = torch.Generator().manual_seed(seed)
        self._shape = links.shape
        self.parameters = {}
        self._features = [None if side is None else self._tensor(side) for side in features]
        for name, side in zip(("user_tower", "item_tower"), self._features, strict=True):
            if side is not None:
                self._add_tower(name, side.shape[1])
        width = architecture.n_components
        for name, size in zip(("user", "item"), links.shape, strict=True):
            if architecture.ids:
                self._add(f"{name}_ids", (size, width), _ID_NORM / width**0.5)
            if architecture.explicit:
                self._add(f"{name}_biases", (size, 1), 0.0)
        self.connect(links)

    def _tensor(self, array):
        import torch

        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(self.device)

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

    def add_heads(self, sizes):
        """Add linear read-outs of `pair_features`.

        Parameters
        ----------
        sizes : sequence of int
            Number of outputs of each.
        """
        for number, n_outputs in enumerate(sizes):
            self._add(f"head{number}.weight", (n_outputs, 3 * self.architecture.n_components), 0.0)
            self._add(f"head{number}.bias", (n_outputs,), 0.0)

    def heads(self, n_heads):
        """Weights (n_outputs, 3 d) and biases (n_outputs,) of the heads, as pairs of arrays."""
        return [
            tuple(
                self.parameters[f"head{number}.{part}"].detach().cpu().double().numpy() for part in ("weight", "bias")
            )
            for number in range(n_heads)
        ]

    def connect(self, links):
        """Exchange the graph.

        Parameters
        ----------
        links : csr_matrix of shape (n_users, n_items)
        """
        item_features = self._features[1]
        self._graph = LinkProduct.of(normalised_links(links), self.device) if self.architecture.n_layers else None
        self._profiles = None
        if item_features is not None:
            self._profiles = LinkProduct.of(mean_matrix(links), self.device).dot(item_features)

    def vectors(self, *, training=False):
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
        from torch.nn.functional import normalize

        own, features = self._features
        sources = [
            [self._encode("user_tower", own, training), self._encode("item_tower", self._profiles, training)],
            [self._encode("item_tower", features, training)],
        ]
        sides = []
        for name, encoded, size in zip(("user_ids", "item_ids"), sources, self._shape, strict=True):
            parts = [part for part in (*encoded, self.parameters.get(name)) if part is not None]
            sides.append(sum(parts[1:], parts[0]) if parts else self._nothing(size))
        if self._graph is not None:
            sides = propagate(*sides, self._graph, self.architecture.n_layers)
        return tuple(sides) if self.architecture.explicit else tuple(normalize(side, dim=1) for side in sides)

    def _nothing(self, size):
        """Vectors of a side that has neither features nor ids: it is what its neighbours are."""
        import torch

        return torch.zeros(size, self.architecture.n_components, device=self.device)

    def _encode(self, name, features, training):
        """Output of a tower; None without features."""
        import torch
        from torch.nn.functional import dropout, leaky_relu, linear

        if features is None:
            return None
        noise = self.architecture.feature_noise * training
        if noise:
            features = features + noise * features.shape[1] ** -0.5 * torch.randn_like(features)
        weights = {key.removeprefix(name): tensor for key, tensor in self.parameters.items() if key.startswith(name)}
        hidden = linear(features, weights[".weight0"], weights[".bias0"])
        if self.architecture.tower == "mlp":
            hidden = dropout(leaky_relu(hidden), self.architecture.dropout, training)
            hidden = linear(hidden, weights[".weight1"], weights[".bias1"])
        hide = self.architecture.feature_dropout * training
        return hidden * (torch.rand(len(hidden), 1, device=self.device) >= hide) if hide else hidden


def rotated(features, basis):
    """Features as the towers take them: centred, on their singular vectors, rows of mean squared length one.

    Parameters
    ----------
    features : {ndarray, csr_matrix} of shape (n, k)
    basis : FeatureBasis
        Theirs; of sparse or wide features it holds the leading directions only.

    Returns
    -------
    ndarray of shape (n, r), float32
    """
    right = basis.right[:, :MAX_RANK]
    rows = np.asarray(features @ right) - basis.mean @ right
    return (rows / np.sqrt((rows**2).sum() / len(rows))).astype(np.float32)


def pair_features(users, items):
    """Describe pairs for the heads of tasks: ``[p, q, p * q]``, scaled as if the entries of unit vectors were one.

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
