"""Ranking losses in torch, liked items before others: softmax, BPR, WARP, and the sampling of negatives."""

import functools
from typing import TYPE_CHECKING

from skllmrec._kernels.neural.precision import full_precision, in_full

if TYPE_CHECKING:
    import torch


def softmax_loss(
    users: "torch.Tensor",
    items: "torch.Tensor",
    rows: "torch.Tensor",
    columns: "torch.Tensor",
    *,
    inclusion: "torch.Tensor | None" = None,
    positive: "torch.Tensor | None" = None,
) -> "torch.Tensor":
    """Cross-entropy of each pair against the candidates that its user is not known to like.

    ``-log e^s / (e^s + sum_j e^(s_j) / pi_j)``. Where the candidates are a sample, dividing by the probability pi that
    an item is in it makes the sum an unbiased estimate of the one over the whole catalogue (Horvitz and Thompson): the
    logQ correction, without which popular items are penalised in batches of observed pairs.

    Parameters
    ----------
    users : torch.Tensor of shape (n_users, d)
        Vectors over the temperature; the score of a user and an item is the product of their vectors.
    items : torch.Tensor of shape (n_candidates, d)
    rows : torch.Tensor of shape (n_pairs,), int64
        Row of `users` of each pair. Pairs are distinct, and contain all candidates that their users like: those are not
        used as negatives.
    columns : torch.Tensor of shape (n_pairs,), int64
        Row of `items` of each pair, -1 where its item is no candidate.
    inclusion : torch.Tensor of shape (n_candidates,), default=None
        pi; None for one.
    positive : torch.Tensor of shape (n_pairs,), default=None
        s, the score of each pair; None where all of their items are candidates.

    Returns
    -------
    torch.Tensor of shape (n_pairs,)

    References
    ----------
    .. [1] A. van den Oord, Y. Li, O. Vinyals, "Representation learning with contrastive predictive coding",
       arXiv:1807.03748, 2018: InfoNCE.
    .. [2] X. Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys 2019:
       the correction of softmax in a batch.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.ranking_losses import softmax_loss
    >>> pair = torch.tensor([0])
    >>> softmax_loss(torch.zeros(1, 2), torch.zeros(4, 2), pair, pair).exp()  # one of 1 + 3
    tensor([4.])
    """
    from torch.nn.functional import softplus

    pairs = (rows, columns)
    if positive is not None:
        known = columns >= 0
        pairs = (rows[known], columns[known])
    offsets = None if inclusion is None else -inclusion.log()
    with full_precision(users):
        scores, others = _candidates_function().apply(in_full(users), in_full(items), *pairs, offsets)
    return softplus(others[rows] - (scores if positive is None else positive))


@functools.cache
def _candidates_function():
    """Torch function of the scores of pairs, and of the log-sums of the exponentials of all others of their users.

    There is one copy of the matrix of all scores in each direction, and few passes go over it, where single operations
    of torch would write a matrix each.
    """
    import torch

    class Candidates(torch.autograd.Function):
        @staticmethod
        def forward(context, users, items, rows, columns, offsets):
            matrix = users @ items.T if offsets is None else torch.addmm(offsets, users, items.T)
            picked = matrix[rows, columns]
            if offsets is not None:
                picked = picked - offsets[columns]
            matrix[rows, columns] = -torch.inf
            smallest = torch.finfo(matrix.dtype)
            highest = matrix.amax(1, keepdim=True).clamp_(min=smallest.min / 2)  # -inf where nothing is left
            sums = matrix.sub_(highest).exp_().sum(1, keepdim=True).clamp_(min=smallest.tiny)
            context.save_for_backward(users, items, rows, columns, matrix, sums)
            return picked, (sums.log() + highest)[:, 0]

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, of_pairs, of_sums):
            users, items, rows, columns, exponentials, sums = context.saved_tensors
            gradient = exponentials * (of_sums[:, None] / sums)
            gradient[rows, columns] = of_pairs
            return gradient @ items, gradient.T @ users, None, None, None

    return Candidates


def bpr_loss(positive: "torch.Tensor", negative: "torch.Tensor") -> "torch.Tensor":
    """Negative log-likelihood that a liked item is preferred to another one, ``log(1 + e^(s_j - s))``.

    Parameters
    ----------
    positive, negative : torch.Tensor of shape (n_pairs,)
        Scores s of pairs, and s_j of an item that is not known to be liked.

    Returns
    -------
    torch.Tensor of shape (n_pairs,)

    References
    ----------
    .. [1] S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme, "BPR: Bayesian personalized ranking from implicit
       feedback", UAI 2009.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.ranking_losses import bpr_loss
    >>> bpr_loss(torch.tensor([1.0]), torch.tensor([1.0])).exp()
    tensor([2.])
    """
    from torch.nn.functional import softplus

    return softplus(negative - positive)


def warp_loss(
    positive: "torch.Tensor", negatives: "torch.Tensor", liked: "torch.Tensor", n_items: int, margin: float = 1.0
) -> "torch.Tensor":
    """Hinge of the first drawn item that comes within a margin of a liked one, weighted by its estimated rank.

    If the N-th item drawn is the first with ``s_j > s - margin``, about ``R = (I - 1) / N`` items come before the liked
    one, and the loss is ``log(R + 1) (margin - s + s_j)``, the logarithm in place of the sum ``1 + 1/2 + ... + 1/R``;
    if no item does, the loss is zero.

    Parameters
    ----------
    positive : torch.Tensor of shape (n_pairs,)
        s.
    negatives : torch.Tensor of shape (n_pairs, n_draws)
        s_j, in the order of the draws.
    liked : torch.Tensor of shape (n_pairs, n_draws), bool
        Draws that do not count, because the user is known to like the item.
    n_items : int
        I, the number of items that draws are made from.
    margin : float, default=1.0

    Returns
    -------
    torch.Tensor of shape (n_pairs,)

    References
    ----------
    .. [1] J. Weston, S. Bengio, N. Usunier, "WSABIE: scaling up to large vocabulary image annotation", IJCAI 2011.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.ranking_losses import warp_loss
    >>> negatives = torch.tensor([[0.0, 2.0, 5.0]])  # the second one is a violation by 1: log(6 / 2 + 1) (1 - 2 + 2)
    >>> warp_loss(torch.tensor([2.0]), negatives, negatives > 9, n_items=7).exp()
    tensor([4.])
    """
    violates = (negatives > positive[:, None] - margin) & ~liked
    first = violates.int().argmax(1, keepdim=True)
    n_draws = (~liked).cumsum(1).gather(1, first)[:, 0]
    weight = ((n_items - 1) / n_draws.clamp(min=1) + 1).log() * violates.any(1)
    return weight * (margin - positive + negatives.gather(1, first)[:, 0])


def is_linked(users: "torch.Tensor", items: "torch.Tensor", keys: "torch.Tensor", n_items: int) -> "torch.Tensor":
    """Return whether pairs are among the known ones.

    Parameters
    ----------
    users, items : torch.Tensor, int64
        Of shapes that broadcast.
    keys : torch.Tensor of shape (n_known,), int64
        ``user * n_items + item`` of the known pairs, ascending.
    n_items : int

    Returns
    -------
    torch.Tensor, bool

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.ranking_losses import is_linked
    >>> is_linked(torch.tensor([[0], [1]]), torch.tensor([2, 0]), keys=torch.tensor([2, 4]), n_items=3)
    tensor([[ True, False],
            [False, False]])
    """
    import torch

    wanted = users * n_items + items
    places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return keys[places] == wanted


def first_unknown(items: "torch.Tensor", liked: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Take the first of some draws that the user is not known to like.

    Parameters
    ----------
    items : torch.Tensor of shape (n_pairs, n_draws)
    liked : torch.Tensor of shape (n_pairs, n_draws), bool

    Returns
    -------
    items : torch.Tensor of shape (n_pairs,)
    found : torch.Tensor of shape (n_pairs,), bool
        False where all draws are liked.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.ranking_losses import first_unknown
    >>> first_unknown(torch.tensor([[7, 8, 9]]), torch.tensor([[True, False, False]]))
    (tensor([8]), tensor([True]))
    """
    first = (~liked).int().argmax(1, keepdim=True)
    return items.gather(1, first)[:, 0], ~liked.all(1)
