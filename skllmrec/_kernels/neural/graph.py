"""Smoothing of vectors along the graph of users and items, in torch: light graph convolution."""

import functools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from skllmrec._kernels.neural.precision import full_precision, in_full
from skllmrec._typing import CsrMatrix

if TYPE_CHECKING:
    import torch

_NATIVE = ("cpu", "cuda")  # devices on which torch multiplies by sparse rows


def mean_matrix(links: CsrMatrix) -> sparse.csr_matrix:
    """Divide each row by its number of stored entries: a product with it averages over neighbours.

    Parameters
    ----------
    links : csr_matrix of shape (n_users, n_items)
        Each stored entry is a link, whatever its value.

    Returns
    -------
    csr_matrix, float32

    Examples
    --------
    >>> from scipy import sparse
    >>> from skllmrec._kernels.neural.graph import mean_matrix
    >>> mean_matrix(sparse.csr_matrix([[1.0, 1.0], [0.0, 1.0]])).toarray()
    array([[0.5, 0.5],
           [0. , 1. ]], dtype=float32)
    """
    degrees = np.diff(links.indptr)
    values = np.repeat(1 / np.maximum(degrees, 1), degrees).astype(np.float32)
    return sparse.csr_matrix((values, links.indices, links.indptr), links.shape)


def normalised_links(links: CsrMatrix) -> sparse.csr_matrix:
    """Divide each link of u and i by ``sqrt(d_u d_i)``, with d the number of links.

    Parameters
    ----------
    links : csr_matrix of shape (n_users, n_items)
        Each stored entry is a link, whatever its value.

    Returns
    -------
    csr_matrix, float32

    Examples
    --------
    >>> from scipy import sparse
    >>> from skllmrec._kernels.neural.graph import normalised_links
    >>> normalised_links(sparse.csr_matrix([[1.0, 1.0, 1.0, 1.0]])).toarray()
    array([[0.5, 0.5, 0.5, 0.5]], dtype=float32)
    """
    of_users, of_items = np.diff(links.indptr), np.bincount(links.indices, minlength=links.shape[1])
    degrees = np.repeat(of_users, of_users) * of_items[links.indices]
    return sparse.csr_matrix((1 / np.sqrt(degrees).astype(np.float32), links.indices, links.indptr), links.shape)


@dataclass(frozen=True)
class LinkProduct:
    """Products of a sparse matrix and of its transpose with dense tensors that may require gradients.

    Parameters
    ----------
    forward, backward : torch.Tensor, sparse
        The matrix and its transpose: the gradient of a product with the one is a product with the other.

    Examples
    --------
    >>> import torch
    >>> from scipy import sparse
    >>> from skllmrec._kernels.neural.graph import LinkProduct
    >>> links = LinkProduct.of(sparse.csr_matrix([[1.0, 2.0]], dtype="float32"), torch.device("cpu"))
    >>> links.dot(torch.tensor([[3.0], [4.0]])), links.T.dot(torch.tensor([[1.0]]))
    (tensor([[11.]]), tensor([[1.],
            [2.]]))
    """

    forward: object
    backward: object

    @classmethod
    def of(cls, matrix: CsrMatrix, device: "torch.device") -> "LinkProduct":
        """Put a CSR matrix on a device.

        Parameters
        ----------
        matrix : csr_matrix
        device : torch.device

        Returns
        -------
        LinkProduct
        """
        return cls(*(_to_tensor(part, device) for part in (matrix, matrix.T.tocsr())))

    @property
    def T(self) -> "LinkProduct":  # noqa: N802 - as arrays call it
        """The same for the transpose."""
        return LinkProduct(self.backward, self.forward)

    def dot(self, dense: "torch.Tensor") -> "torch.Tensor":
        """Multiply.

        Parameters
        ----------
        dense : torch.Tensor of shape (n_columns, d)

        Returns
        -------
        torch.Tensor of shape (n_rows, d)
        """
        with full_precision(dense):
            return _product_function().apply(self.forward, self.backward, in_full(dense))


def _to_tensor(matrix, device):
    """Sparse tensor of a CSR matrix: by rows where torch can multiply so, else by coordinates."""
    import torch

    values = torch.from_numpy(matrix.data)
    if device.type not in _NATIVE:
        places = torch.from_numpy(np.stack(matrix.nonzero()).astype(np.int64))
        return torch.sparse_coo_tensor(places, values, matrix.shape, check_invariants=False).to(device)
    # the index types that both devices' libraries use: others would be converted at each product
    index = np.int32 if max(matrix.nnz, *matrix.shape) <= np.iinfo(np.int32).max else np.int64
    indptr, indices = (torch.from_numpy(part.astype(index)) for part in (matrix.indptr, matrix.indices))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(indptr, indices, values, matrix.shape, check_invariants=False).to(device)


@functools.cache
def _product_function():
    """Torch function of the product; its own gradient would transpose the matrix at each step."""
    import torch

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(context, matrix, transposed, dense):
            context.transposed = transposed
            return matrix @ dense

        @staticmethod
        def backward(context, gradient):
            return None, None, context.transposed @ gradient

    return Product


def propagate(
    users: "torch.Tensor", items: "torch.Tensor", links: LinkProduct, n_layers: int
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Smooth the vectors of both sides along their links, and average over the layers.

    With P0, Q0 the given vectors and N the normalised links: ``P(k+1) = N Q(k)``, ``Q(k+1) = N' P(k)``; the result is
    the mean of layers 0 to K.

    Parameters
    ----------
    users : torch.Tensor of shape (n_users, d)
    items : torch.Tensor of shape (n_items, d)
    links : LinkProduct
        Of `normalised_links`.
    n_layers : int
        K; 0 changes nothing.

    Returns
    -------
    users, items : torch.Tensor

    References
    ----------
    .. [1] X. He, K. Deng, X. Wang, Y. Li, Y. Zhang, M. Wang, "LightGCN: simplifying and powering graph convolution
       network for recommendation", SIGIR 2020.

    Examples
    --------
    >>> import torch
    >>> from scipy import sparse
    >>> from skllmrec._kernels.neural.graph import LinkProduct, normalised_links, propagate
    >>> links = LinkProduct.of(normalised_links(sparse.csr_matrix([[1.0]])), torch.device("cpu"))
    >>> propagate(torch.tensor([[1.0]]), torch.tensor([[3.0]]), links, 1)
    (tensor([[2.]]), tensor([[2.]]))
    """
    if n_layers == 0:
        return users, items
    with full_precision(users):
        return _propagation_function().apply(in_full(users), in_full(items), links, n_layers)


@functools.cache
def _propagation_function():
    """Torch function of `propagate`: a symmetric matrix is its own gradient.

    With X all vectors and A the adjacency matrix, ``X + A X + A A X = X + A (X + A X)``: sums come with the products.
    """
    import torch

    def smooth(users, items, links, n_layers):
        p, q = users, items
        for layer in range(n_layers):
            scale = 1 / (n_layers + 1) if layer == n_layers - 1 else 1
            p, q = (
                torch.addmm(users, links.forward, q, beta=scale, alpha=scale),
                torch.addmm(items, links.backward, p, beta=scale, alpha=scale),
            )
        return p, q

    class Propagation(torch.autograd.Function):
        @staticmethod
        def forward(context, users, items, links, n_layers):
            context.graph = links, n_layers
            return smooth(users, items, links, n_layers)

        @staticmethod
        def backward(context, of_users, of_items):
            return *smooth(of_users.contiguous(), of_items.contiguous(), *context.graph), None, None

    return Propagation


def unit_rows(vectors: "torch.Tensor") -> "torch.Tensor":
    """Divide rows by their lengths; rows shorter than 1e-12 are divided by 1e-12.

    Parameters
    ----------
    vectors : torch.Tensor of shape (n, d)

    Returns
    -------
    torch.Tensor of shape (n, d)

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.graph import unit_rows
    >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    return _unit_function().apply(in_full(vectors))


@functools.cache
def _unit_function():
    """Torch function of `unit_rows`, with half of the passes over memory that single operations take."""
    import torch

    class Unit(torch.autograd.Function):
        @staticmethod
        def forward(context, vectors):
            inverse = torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_(min=1e-12).reciprocal_()
            units = vectors * inverse
            context.save_for_backward(units, inverse)
            return units

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, gradient):
            units, inverse = context.saved_tensors
            along = (units * gradient).sum(1, keepdim=True)
            return torch.addcmul(gradient, units, along, value=-1).mul_(inverse)

    return Unit
