"""Products of fixed features with trainable weights in torch, computed in the cheaper of two ways."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skllmrec._kernels.neural.graph import LinkProduct
from skllmrec._typing import CsrMatrix

if TYPE_CHECKING:
    import torch

_SPARSE_COST = 4  # of a stored value, in multiplications of a dense product
_GAIN = 0.7  # factors are used where they cost less than this share of the dense product


@dataclass(frozen=True)
class FactoredRows:
    """Features as a table, and the factors that it was computed from: ``rows = sparse @ right - shift``.

    Parameters
    ----------
    rows : ndarray of shape (n, r), float32
    sparse : csr_matrix of shape (n, k), default=None
    right : ndarray of shape (k, r), default=None
    shift : ndarray of shape (r,), default=None
    """

    rows: np.ndarray
    sparse: CsrMatrix | None = None
    right: np.ndarray | None = None
    shift: np.ndarray | None = None

    @property
    def has_cheap_factors(self) -> bool:
        """Whether a sparse and a small dense product cost less than one with the table."""
        if self.sparse is None or self.right is None:
            return False
        return self.right.size + _SPARSE_COST * self.sparse.nnz < _GAIN * self.rows.size


class FeatureProduct:
    """Affine maps of features, whose weights and biases may require gradients.

    A text has few of the words of a vocabulary: ``sparse (right W) - shift W + b`` and its gradients take a fraction of
    the time of ``rows W + b``.

    Parameters
    ----------
    features : FactoredRows
    device : torch.device

    Attributes
    ----------
    rows : torch.Tensor of shape (n, r)

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skllmrec._kernels.neural.feature_product import FactoredRows, FeatureProduct
    >>> features = FeatureProduct(FactoredRows(np.float32([[1, 2], [3, 4]])), torch.device("cpu"))
    >>> features.affine(torch.tensor([[1.0, 1.0]]), torch.tensor([0.5]))
    tensor([[3.5000],
            [7.5000]])
    """

    def __init__(self, features: FactoredRows, device: "torch.device") -> None:
        import torch

        def tensor(array):
            return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(device)

        self.rows, self._factors = tensor(features.rows), None
        if features.sparse is not None and features.has_cheap_factors:
            matrix = LinkProduct.of(features.sparse.astype(np.float32), device)
            self._factors = matrix, tensor(features.right), tensor(features.shift)

    def affine(self, weights: "torch.Tensor", biases: "torch.Tensor") -> "torch.Tensor":
        """Multiply by the transpose of weights, and add biases.

        Parameters
        ----------
        weights : torch.Tensor of shape (h, r)
        biases : torch.Tensor of shape (h,)

        Returns
        -------
        torch.Tensor of shape (n, h)
        """
        from torch.nn.functional import linear

        if self._factors is None:
            return linear(self.rows, weights, biases)
        matrix, right, shift = self._factors
        return matrix.dot(right @ weights.T).add_(biases - weights @ shift)
