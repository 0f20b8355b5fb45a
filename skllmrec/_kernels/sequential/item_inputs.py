"""Inputs of a network from features of items: leading components of dense and of sparse columns, and words."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from skllmrec._kernels.distinct_rows import on_distinct_rows
from skllmrec._kernels.feature_map import factorise_features
from skllmrec._typing import CsrMatrix, FloatArray, IntArray, Matrix

MOST_COMPONENTS = 128  # of each block
_DENSE_COLUMN = 0.9  # a sparse column with more non-zeros than this share holds a number, not a word
_FEWEST_DENSE = 8  # fewer such columns are frequent words


@dataclass(frozen=True)
class Block:
    """Leading principal components of some columns.

    Parameters
    ----------
    columns : ndarray of shape (k,), intp
    right : ndarray of shape (k, r), float32
        Directions, divided by the root of the mean squared length of the projected rows.
    shift : ndarray of shape (r,), float32
        Projection of the mean.
    """

    columns: IntArray
    right: FloatArray
    shift: FloatArray

    def project(self, features: Matrix) -> FloatArray:
        """Project rows of features.

        Parameters
        ----------
        features : {ndarray, csr_matrix} of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, r), float32
        """
        own = features if len(self.columns) == features.shape[1] else features[:, self.columns]
        if sp.issparse(own) and own.nnz > _DENSE_COLUMN * own.shape[0] * own.shape[1]:
            own = own.toarray()
        rows = on_distinct_rows(lambda part: np.asarray(part @ self.right), own)
        return (rows - self.shift).astype(np.float32)


@dataclass(frozen=True)
class ItemInputs:
    """Maps from encoded features to the inputs of a network, learned from the items of a fit.

    Parameters
    ----------
    blocks : list of Block
        The dense columns, and the sparse ones: of a feature union of TF-IDF and a language model, both.
    words : ndarray of shape (n_words,), intp
        Sparse columns.
    scale : float
        Root of the mean squared length of a row of words.
    """

    blocks: list[Block]
    words: IntArray
    scale: float

    @classmethod
    def learn(cls, features: Matrix) -> "ItemInputs":
        """Learn from the features of items, blocks of equal mean squared length.

        Parameters
        ----------
        features : {ndarray, csr_matrix} of shape (n_items, n_features)

        Returns
        -------
        ItemInputs
        """
        every = np.arange(features.shape[1])
        if not sp.issparse(features):
            return cls(_blocks(features, [every]), every[:0], 1.0)
        often = np.diff(features.tocsc().indptr) > _DENSE_COLUMN * features.shape[0]
        if often.sum() < _FEWEST_DENSE:
            often[:] = False
        words = np.flatnonzero(~often)
        squares = sp.csr_matrix(features)[:, words].power(2).sum() / max(features.shape[0], 1)
        return cls(_blocks(features, [np.flatnonzero(often), words]), words, float(np.sqrt(squares)) or 1.0)

    @property
    def width(self) -> int:
        """Number of components of all blocks."""
        return sum(block.right.shape[1] for block in self.blocks)

    def rows(self, features: Matrix) -> FloatArray:
        """Project rows of features onto all blocks.

        Parameters
        ----------
        features : {ndarray, csr_matrix} of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, width), float32
        """
        parts = [block.project(features) for block in self.blocks]
        return np.hstack(parts) if parts else np.zeros((features.shape[0], 0), dtype=np.float32)

    def word_rows(self, features: Matrix) -> CsrMatrix | None:
        """Select the words.

        Parameters
        ----------
        features : {ndarray, csr_matrix} of shape (n, n_features)

        Returns
        -------
        csr_matrix of shape (n, n_words), float32, or None where there are none
        """
        if not len(self.words) or not sp.issparse(features):
            return None
        words = sp.csr_matrix(features)[:, self.words].astype(np.float32)
        words.data /= np.float32(self.scale)
        words.sort_indices()
        return words


def _blocks(features, groups):
    """One block for each group of columns that are not all constant."""
    blocks = []
    for columns in groups:
        if not len(columns):
            continue
        own = features if len(columns) == features.shape[1] else features[:, columns]
        basis = factorise_features(own, np.ones(own.shape[0]), max_rank=MOST_COMPONENTS)
        right, singular = basis.right[:, :MOST_COMPONENTS], basis.singular[:MOST_COMPONENTS]
        if not len(singular):
            continue
        scale = np.sqrt((singular**2).sum() / own.shape[0])
        shift = basis.mean @ right
        blocks.append(Block(columns, (right / scale).astype(np.float32), (shift / scale).astype(np.float32)))
    return blocks
