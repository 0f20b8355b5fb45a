"""Pooling: from one vector per token to one vector per text."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

POOLINGS = ("mean", "cls", "max", "last", "weighted_mean")
DECLARED_POOLINGS = (*POOLINGS, "mean_sqrt_length")  # the last one only where a saved model declares it
JOINT = " + "  # between the names of poolings whose vectors are joined


def pool(
    hidden: "torch.Tensor",
    mask: "torch.Tensor | None" = None,
    *,
    pooling: str = "mean",
    skip_first_token: bool = False,
    n_skipped: int = 0,
) -> "torch.Tensor":
    r"""Pool the hidden states of a batch of texts over their tokens.

    With :math:`h_t` the state of token :math:`t = 1, \dots, T` of a text,

    - ``"mean"``: :math:`\frac1T \sum_t h_t`,
    - ``"weighted_mean"``: :math:`\sum_t t\, h_t / \sum_t t`: in a causal model later tokens have seen more [1]_,
    - ``"max"``: the maximum over the tokens, for each dimension,
    - ``"cls"``: :math:`h_1`, the first token,
    - ``"last"``: :math:`h_T`, the last token,
    - ``"mean_sqrt_length"``: :math:`\frac1{\sqrt T} \sum_t h_t`.

    Names that are joined by ``" + "`` give the vectors of all of them, one behind the other.

    Parameters
    ----------
    hidden : torch.Tensor of shape (n_texts, n_tokens, n_dims)
        Hidden states, of any floating point dtype; the arithmetic is float32.
    mask : torch.Tensor of shape (n_texts, n_tokens) or None, default=None
        True or 1 for tokens, False or 0 for padding on either side; None if there is no padding.
    pooling : str, default="mean"
        The formula: ``"mean"``, ``"cls"``, ``"max"``, ``"last"``, ``"weighted_mean"``, ``"mean_sqrt_length"``, or
        several that are joined.
    skip_first_token : bool, default=False
        Leave out the first token of every text that has more than one: in causal models it is an attention sink,
        whose large norm swamps the mean [2]_. The positions t of the weighted mean stay those in the text.

    n_skipped : int, default=0
        Leave out so many tokens, those of a prompt, of every text that has more.

    Returns
    -------
    torch.Tensor of shape (n_texts, n_dims), dtype float32
        Times the number of names in `pooling`. A text without any token is the zero vector.

    References
    ----------
    .. [1] N. Muennighoff, "SGPT: GPT sentence embeddings for semantic search", 2022, section 4.1.
    .. [2] G. Xiao et al., "Efficient streaming language models with attention sinks", ICLR 2024.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._backbone.pooling import pool
    >>> hidden = torch.tensor([[[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]]])
    >>> pool(hidden, torch.tensor([[1, 1, 0]]))
    tensor([[2., 1.]])
    """
    import torch

    if JOINT in pooling:
        parts = [
            pool(hidden, mask, pooling=name, skip_first_token=skip_first_token, n_skipped=n_skipped)
            for name in pooling.split(JOINT)
        ]
        return torch.cat(parts, dim=1)
    hidden = hidden.float()
    n_skipped = max(n_skipped, int(skip_first_token))
    if mask is None:
        if not n_skipped and pooling == "mean":
            return hidden.mean(dim=1)  # the common case, without a single temporary array
        mask = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
    mask = mask.bool()
    position = mask.cumsum(dim=1)  # 1, 2, ... over the tokens of each text, wherever the padding is
    length = position[:, -1:]
    first: int | torch.Tensor = 1
    if n_skipped:
        mask = mask & ((position > n_skipped) | (length <= n_skipped))
        first = torch.where(length > n_skipped, n_skipped + 1, 1)
    if pooling == "max":
        largest = hidden.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1)
        return largest.masked_fill(length == 0, 0.0)
    weights = mask.float()
    if pooling == "cls":
        weights = weights * (position == first)
    elif pooling == "last":
        weights = weights * (position == length)
    elif pooling == "weighted_mean":
        weights = weights * position
    total = weights.sum(dim=1, keepdim=True).clamp(min=1.0)
    weights = weights / (total.sqrt() if pooling == "mean_sqrt_length" else total)
    # padding may hold anything, infinities included: 0 * inf is not 0
    hidden = hidden.masked_fill(~mask[:, :, None], 0.0)
    return (weights[:, None, :] @ hidden)[:, 0, :]
