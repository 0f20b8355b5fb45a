"""Losses of item vectors given interactions: contrastive, and reconstruction of the interactions."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def contrastive_loss(
    vectors: "torch.Tensor", interactions: "torch.Tensor", *, temperature: float, max_pairs: int = 8192
) -> "torch.Tensor":
    r"""Softmax cross-entropy of each item of a user given the user's other items, against the items of a batch.

    The query of user u for item i sums the user's other items, :math:`q_{ui} = \sum_{j \in S_u \setminus i} a_j`,
    scaled to unit length, with :math:`S_u` the user's items in the batch and :math:`a_j` their vectors:

    .. math:: -\frac1n \sum_{u, i \in S_u} \log \frac{e^{q_{ui} \cdot a_i / \tau}}
              {\sum_{k \notin S_u \setminus i} e^{q_{ui} \cdot a_k / \tau}}

    The user's other items are neither positive nor negative.

    Parameters
    ----------
    vectors : torch.Tensor of shape (n_items, d)
        Vectors of the items of the batch, of unit length.
    interactions : torch.Tensor of shape (n_users, n_items), bool
        Interactions. Users with fewer than two items have no loss.
    temperature : float
        :math:`\tau`.
    max_pairs : int, default=8192
        If the batch has more pairs of a user and an item, this number is drawn with torch's generator.

    Returns
    -------
    torch.Tensor, scalar
        0 if no user has two items.

    References
    ----------
    .. [1] A. van den Oord, Y. Li, O. Vinyals, "Representation learning with contrastive predictive coding", 2018.

    Examples
    --------
    >>> import torch
    >>> from skllmrec.language_models.fine_tuning.losses import contrastive_loss
    >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> liked = torch.tensor([[True, True, False]])  # twice: the item 1 to the user, the other one 0
    >>> round(contrastive_loss(vectors, liked, temperature=1.0).item(), 4)
    0.3133
    """
    import torch
    from torch.nn.functional import cross_entropy, normalize

    liked = interactions[interactions.sum(1) > 1]
    users, items = liked.nonzero(as_tuple=True)
    if len(users) == 0:
        return 0.0 * vectors.sum()
    if len(users) > max_pairs:
        drawn = torch.randperm(len(users), device=users.device)[:max_pairs]
        users, items = users[drawn], items[drawn]
    sums = liked.to(vectors.dtype) @ vectors
    queries = normalize(sums[users] - vectors[items])
    logits = queries @ vectors.T / temperature
    others = liked[users]
    others[torch.arange(len(items), device=items.device), items] = False
    return cross_entropy(logits.masked_fill(others, -torch.inf), items)


def reconstruction_loss(vectors: "torch.Tensor", interactions: "torch.Tensor") -> "torch.Tensor":
    r"""Distance of users' interactions from their reconstruction by the similarities of items.

    With A the vectors of n items and X the interactions, rows are compared by direction:

    .. math:: \frac1m \sum_u \left\| \frac{x_u}{|x_u|} - \frac{y_u}{|y_u|} \right\|^2, \quad Y = X (A A^T - I)

    The products are taken from left to right: no matrix of items x items is formed.

    Parameters
    ----------
    vectors : torch.Tensor of shape (n_items, d)
        A, of unit length, so that the diagonal of A A' - I is zero: no item predicts itself.
    interactions : torch.Tensor of shape (n_users, n_items), bool or float
        X; rows of zeros have no loss.

    Returns
    -------
    torch.Tensor, scalar

    References
    ----------
    .. [1] V. Vancura, P. Kordik, M. Straka, "beeFormer: bridging the gap between semantic and interaction similarity
       in recommender systems", RecSys 2024.

    Examples
    --------
    >>> import torch
    >>> from skllmrec.language_models.fine_tuning.losses import reconstruction_loss
    >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> reconstruction_loss(vectors, torch.tensor([[1.0, 1.0, 0.0]])).abs() < 1e-6
    tensor(True)
    """
    from torch.nn.functional import cosine_similarity

    x = interactions[interactions.any(1)].to(vectors.dtype)
    if len(x) == 0:
        return 0.0 * vectors.sum()
    y = (x @ vectors) @ vectors.T - x
    return (2 - 2 * cosine_similarity(x, y)).mean()
