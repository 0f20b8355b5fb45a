"""Cross-entropy of the next item against all candidates, in torch."""

import functools
from typing import TYPE_CHECKING

from skllmrec._kernels.neural.precision import full_precision, in_full

if TYPE_CHECKING:
    import torch


def next_item_loss(
    states: "torch.Tensor",
    items: "torch.Tensor",
    targets: "torch.Tensor",
    repeats: "tuple[torch.Tensor, torch.Tensor, torch.Tensor]",
    inclusion: "torch.Tensor | None" = None,
) -> "torch.Tensor":
    """Cross-entropy of the item that came next, with additions to the scores of some pairs.

    Where the candidates are a sample, the exponential of each score but that of the target is divided by the
    probability that the candidate is in the sample, so that their sum is an unbiased estimate of the sum over the
    whole catalogue (the logQ correction).

    Parameters
    ----------
    states : torch.Tensor of shape (n, d)
        Over the temperature.
    items : torch.Tensor of shape (n_candidates, d)
    targets : torch.Tensor of shape (n,), int64
        Row of `items` of each target.
    repeats : tuple of torch.Tensor of shape (m,)
        Rows of `states`, rows of `items`, and what is added to the score of each such pair; pairs are distinct.
    inclusion : torch.Tensor of shape (n_candidates,), default=None
        Probability of each candidate; None for one.

    Returns
    -------
    torch.Tensor of shape (n,)

    References
    ----------
    .. [1] X. Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys 2019.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.sequential.losses import next_item_loss
    >>> none = torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), torch.empty(0)
    >>> next_item_loss(torch.zeros(1, 2), torch.zeros(4, 2), torch.tensor([1]), none).exp()
    tensor([4.])
    """
    offsets = None if inclusion is None else -inclusion.log()
    rows, columns, values = repeats
    with full_precision(states):
        return _loss_function().apply(in_full(states), in_full(items), targets, rows, columns, in_full(values), offsets)


@functools.cache
def _loss_function():
    """Torch function of the loss: one matrix of all scores, which few passes go over."""
    import torch

    class NextItem(torch.autograd.Function):
        @staticmethod
        def forward(context, states, items, targets, rows, columns, values, offsets):
            matrix = states @ items.T if offsets is None else torch.addmm(offsets, states, items.T)
            matrix[rows, columns] += values
            every = torch.arange(len(targets), device=targets.device)
            if offsets is not None:
                matrix[every, targets] -= offsets[targets]
            picked = matrix[every, targets]
            highest = matrix.amax(1, keepdim=True)
            sums = matrix.sub_(highest).exp_().sum(1)
            context.save_for_backward(states, items, targets, rows, columns, matrix, sums)
            return sums.log() + highest[:, 0] - picked

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, gradient):
            states, items, targets, rows, columns, exponentials, sums = context.saved_tensors
            scores = exponentials * (gradient / sums)[:, None]
            scores[torch.arange(len(targets), device=targets.device), targets] -= gradient
            return scores @ items, scores.T @ states, None, None, None, scores[rows, columns], None

    return NextItem
