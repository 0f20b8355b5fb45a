"""Losses in torch that rank what a user liked before what is not known of: softmax, BPR, WARP, and their sampling."""


def softmax_loss(positive, rows, candidates, liked, inclusion=None):
    """Cross-entropy of each pair against the candidates that its user is not known to like.

    ``-log e^s / (e^s + sum_j e^(s_j) / pi_j)``. Where the candidates are a sample, dividing by the probability pi that
    an item is in it makes the sum an unbiased estimate of the one over the whole catalogue (Horvitz and Thompson): the
    logQ correction, without which frequent items are held down in a batch of what users liked.

    Parameters
    ----------
    positive : torch.Tensor of shape (n_pairs,)
        s, the score of each pair over the temperature.
    rows : torch.Tensor of shape (n_pairs,), int64
        Row of `candidates` of the user of each pair.
    candidates : torch.Tensor of shape (n_users, n_candidates)
        s_j.
    liked : torch.Tensor of shape (n_users, n_candidates), bool
        Candidates that do not count against a user.
    inclusion : torch.Tensor of shape (n_candidates,), default=None
        pi; None for one.

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
    >>> from skllmrec._kernels.ranking_losses import softmax_loss
    >>> candidates, liked = torch.zeros(1, 4), torch.tensor([[True, False, False, False]])
    >>> softmax_loss(torch.zeros(1), torch.tensor([0]), candidates, liked).exp()  # one of 1 + 3
    tensor([4.])
    """
    import torch
    from torch.nn.functional import softplus

    if inclusion is not None:
        candidates = candidates - inclusion.log()
    lowest = torch.finfo(candidates.dtype).min / 2  # not -inf, whose gradient would be nan where nothing is left
    others = candidates.masked_fill(liked, lowest).logsumexp(1)
    return softplus(others[rows] - positive)


def bpr_loss(positive, negative):
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
    >>> from skllmrec._kernels.ranking_losses import bpr_loss
    >>> bpr_loss(torch.tensor([1.0]), torch.tensor([1.0])).exp()
    tensor([2.])
    """
    from torch.nn.functional import softplus

    return softplus(negative - positive)


def warp_loss(positive, negatives, liked, n_items, margin=1.0):
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
        I, what is drawn from.
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
    >>> from skllmrec._kernels.ranking_losses import warp_loss
    >>> negatives = torch.tensor([[0.0, 2.0, 5.0]])  # the second one is a violation by 1: log(6 / 2 + 1) (1 - 2 + 2)
    >>> warp_loss(torch.tensor([2.0]), negatives, negatives > 9, n_items=7).exp()
    tensor([4.])
    """
    violates = (negatives > positive[:, None] - margin) & ~liked
    first = violates.int().argmax(1, keepdim=True)
    n_draws = (~liked).cumsum(1).gather(1, first)[:, 0]
    weight = ((n_items - 1) / n_draws.clamp(min=1) + 1).log() * violates.any(1)
    return weight * (margin - positive + negatives.gather(1, first)[:, 0])


def is_linked(users, items, keys, n_items):
    """Whether pairs are among the known ones.

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
    >>> from skllmrec._kernels.ranking_losses import is_linked
    >>> is_linked(torch.tensor([[0], [1]]), torch.tensor([2, 0]), keys=torch.tensor([2, 4]), n_items=3)
    tensor([[ True, False],
            [False, False]])
    """
    import torch

    wanted = users * n_items + items
    places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return keys[places] == wanted


def first_unknown(items, liked):
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
    >>> from skllmrec._kernels.ranking_losses import first_unknown
    >>> first_unknown(torch.tensor([[7, 8, 9]]), torch.tensor([[True, False, False]]))
    (tensor([8]), tensor([True]))
    """
    first = (~liked).int().argmax(1, keepdim=True)
    return items.gather(1, first)[:, 0], ~liked.all(1)
