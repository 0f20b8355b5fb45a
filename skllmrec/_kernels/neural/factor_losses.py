"""Losses of factors in torch: of observed pairs, and of all pairs without ever forming them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def rating_loss(
    user_rows: "torch.Tensor", item_rows: "torch.Tensor", targets: "torch.Tensor", weights: "torch.Tensor"
) -> "torch.Tensor":
    """Weighted squared error of each of some pairs, ``w (t - b_u - b_i - p_u . q_i)^2``.

    Parameters
    ----------
    user_rows, item_rows : torch.Tensor of shape (n, d + 1)
        ``[vector, bias]`` of the two sides of each pair.
    targets, weights : torch.Tensor of shape (n,)

    Returns
    -------
    torch.Tensor of shape (n,)

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.factor_losses import rating_loss
    >>> user, item = torch.tensor([[2.0, 0.5]]), torch.tensor([[3.0, 0.5]])
    >>> rating_loss(user, item, targets=torch.tensor([5.0]), weights=torch.tensor([0.5]))
    tensor([2.])
    """
    products = (user_rows[:, :-1] * item_rows[:, :-1]).sum(1)
    return weights * (targets - products - user_rows[:, -1] - item_rows[:, -1]).square()


def preference_loss(
    users: "torch.Tensor",
    items: "torch.Tensor",
    pairs: tuple["torch.Tensor", "torch.Tensor"],
    weights: "torch.Tensor",
    unobserved_weight: float,
) -> "torch.Tensor":
    """Squared error of implicit feedback, ``sum_observed w (p_u . q_i - 1)^2 + a0 sum_all (p_u . q_i)^2``.

    The sum over all pairs is ``trace(P'P Q'Q)``: two small matrices instead of users x items scores.

    Parameters
    ----------
    users : torch.Tensor of shape (n_users, d)
        P, of the users of a batch.
    items : torch.Tensor of shape (n_items, d)
        Q, of all items.
    pairs : tuple of two torch.Tensor of shape (n,), int64
        Rows of `users` and of `items` that were observed together.
    weights : torch.Tensor of shape (n,)
        w of the observed pairs.
    unobserved_weight : float
        a0.

    Returns
    -------
    torch.Tensor, scalar

    References
    ----------
    .. [1] W. Krichene, N. Mayoraz, S. Rendle, L. Zhang, X. Yi, L. Hong, E. Chi, J. Anderson, "Efficient training on
       very large corpora via Gramian estimation", ICLR 2019.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.factor_losses import preference_loss
    >>> users, items = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [3.0]])
    >>> pairs = torch.tensor([0, 1]), torch.tensor([0, 1])  # scores 1 and 6, of all pairs 1, 3, 2, 6
    >>> preference_loss(users, items, pairs, torch.ones(2), unobserved_weight=0.1)
    tensor(30.)
    """
    from torch.nn.functional import embedding

    scores = (embedding(pairs[0], users) * embedding(pairs[1], items)).sum(1)
    observed = (weights * (scores - 1).square()).sum()
    return observed + unobserved_weight * ((users.T @ users) * (items.T @ items)).sum()


def prior_loss(rows: "torch.Tensor", priors: "torch.Tensor", strengths: "torch.Tensor") -> "torch.Tensor":
    """Distance of each row from its prior, ``strength |row - prior|^2``.

    Parameters
    ----------
    rows, priors : torch.Tensor of shape (n, k)
    strengths : torch.Tensor of shape (n,)

    Returns
    -------
    torch.Tensor of shape (n,)

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.factor_losses import prior_loss
    >>> prior_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]]), torch.tensor([0.5]))
    tensor([2.5000])
    """
    return strengths * (rows - priors).square().sum(1)
